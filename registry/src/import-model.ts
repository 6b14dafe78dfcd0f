import { join } from "node:path";
import { LakeError } from "@lake-travis/protocol";
import { downloadFile, type ExpectedContent } from "./download-file.ts";
import { findHuggingFace } from "./find-hugging-face.ts";
import { findOci } from "./find-oci.ts";
import { limits } from "./limits.ts";
import { listFiles } from "./list-files.ts";
import { checkFilePath, refuseExecutable } from "./manifest.ts";
import { ProgressMeter, type OnProgress } from "./progress.ts";

/** A model at another place. */
export interface ImportRequest {
  /** `hf:org/repo[:file]`, `ollama:name[:tag]`, `oci:host/repository[:tag]` or `file:path`. */
  readonly source: string;
  /** Folder of the node; the files go to `models/imports` in it. */
  readonly dataDir: string;
  /** Base URL of another host that speaks the same protocol. */
  readonly endpoint?: string;
  /** Sent as bearer token to the host that was named, and to no other. */
  readonly token?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** A file of a foreign model. */
export interface RemoteFile {
  /** Path inside the model. */
  readonly path: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expected: ExpectedContent;
}

/** What the finders need to ask the host. */
export interface Finding {
  readonly endpoint: string | undefined;
  readonly token: string | undefined;
  readonly signal: AbortSignal;
}

/** A model that was imported: publish the folder. */
export interface ImportedModel {
  readonly folder: string;
  readonly files: readonly string[];
  readonly bytes: number;
}

/**
 * Downloads a model from Hugging Face, Ollama's registry or any OCI registry, each by its own
 * protocol and with its checksums, and goes on where an earlier import ended. Nothing is
 * published: that is {@link publishModel}'s work, with the folder that this returns.
 *
 * Throws `argument-invalid` for a malformed source, `content-missing`, `format-refused`,
 * `block-invalid`, `holder-none`.
 */
export async function importModel(request: ImportRequest): Promise<ImportedModel> {
  const [, scheme = "", rest = ""] = /^([a-z]+):(.+)$/s.exec(request.source) ?? [];
  if (scheme === "file") {
    const files = await listFiles(rest);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    return { folder: rest, files: files.map((file) => file.path), bytes };
  }
  const signal = request.signal ?? new AbortController().signal;
  const { endpoint, token } = request;
  const remote = await findFiles(scheme, rest, { endpoint, token, signal });
  for (const file of remote) {
    checkFilePath(file.path);
    refuseExecutable(file.path);
  }
  const meter = new ProgressMeter(request.onProgress);
  meter.totalBytes = remote.reduce((sum, file) => sum + file.expected.bytes, 0);
  if (meter.totalBytes > limits.modelBytesMax || remote.length > limits.layersMax) {
    throw new LakeError("format-refused", "The model is too large to be one.", {
      data: { bytes: meter.totalBytes, files: remote.length },
    });
  }
  const name = `${scheme}-${rest.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, limits.filePathMax)}`;
  const folder = join(request.dataDir, "models", "imports", name);
  meter.enter("pulling");
  for (const { url, path, headers, expected } of remote) {
    const onBytes = (bytes: number): void => meter.moved(bytes);
    await downloadFile({ url, headers, expected, path: join(folder, path), signal, onBytes });
  }
  meter.enter("done");
  return { folder, files: remote.map((file) => file.path), bytes: meter.totalBytes };
}

async function findFiles(scheme: string, rest: string, finding: Finding): Promise<RemoteFile[]> {
  if (scheme === "hf") return await findHuggingFace(rest, finding);
  if (scheme === "ollama" || scheme === "oci") return await findOci(scheme, rest, finding);
  throw new LakeError("argument-invalid", `"${scheme}:" is no place that models come from.`, {
    advice: "Write hf:org/repo[:file], ollama:name[:tag], oci:host/repository[:tag] or file:path.",
  });
}
