import { LakeError } from "@lake-travis/protocol";
import { fetchJson } from "./fetch-json.ts";
import type { Finding, RemoteFile } from "./import-model.ts";
import { refuseExecutable } from "./manifest.ts";

/** One file in the answer of the Hub's API with `blobs=true`. */
interface Sibling {
  readonly rfilename: string;
  readonly size: number;
  /** SHA-1 that git gives the file; of an LFS file that is the pointer's. */
  readonly blobId: string;
  readonly lfs?: { readonly sha256: string; readonly size: number };
}

/**
 * Asks the Hub's API (`/api/models/<repo>/revision/main?blobs=true`) which files a repository
 * has, and where each is downloaded (`/<repo>/resolve/<commit>/<file>`). Without a file named,
 * all are taken but those in formats that can carry code.
 */
export async function findHuggingFace(source: string, finding: Finding): Promise<RemoteFile[]> {
  const [, repository = "", wanted] =
    /^([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?::(.+))?$/.exec(source) ?? [];
  if (repository === "") {
    throw new LakeError("argument-invalid", `"${source}" is not org/repo[:file].`, {
      advice: "Copy the repository's name from its page, such as hf:org/repo:model.gguf.",
    });
  }
  const base = (finding.endpoint ?? "https://huggingface.co").replace(/\/$/, "");
  const headers: Record<string, string> =
    finding.token === undefined ? {} : { Authorization: `Bearer ${finding.token}` };
  const url = `${base}/api/models/${repository}/revision/main?blobs=true`;
  const { sha, siblings } = readAnswer(await fetchJson(url, headers, finding.signal), url);
  const files = siblings.filter(({ rfilename }) =>
    wanted === undefined ? isWanted(rfilename) : rfilename === wanted,
  );
  if (files.length === 0) {
    throw new LakeError("content-missing", `${repository} has no ${wanted ?? "usable file"}.`, {
      advice: `It has: ${siblings
        .map(({ rfilename }) => rfilename)
        .slice(0, 20)
        .join(", ")}.`,
    });
  }
  const quantisations = files.filter(({ rfilename }) => /\.gguf$/i.test(rfilename));
  const isSplit = quantisations.every(({ rfilename }) => /-\d{5}-of-\d{5}\.gguf$/.test(rfilename));
  if (quantisations.length > 1 && !isSplit) {
    throw new LakeError("argument-invalid", `${repository} has several GGUF files.`, {
      advice: `Name one: ${quantisations.map(({ rfilename }) => rfilename).join(", ")}.`,
    });
  }
  return files.map((file) => ({
    path: file.rfilename,
    url: `${base}/${repository}/resolve/${sha}/${encodePath(file.rfilename)}`,
    headers,
    expected:
      file.lfs === undefined
        ? { bytes: file.size, algorithm: "git", digest: file.blobId }
        : { bytes: file.lfs.size, algorithm: "sha256", digest: file.lfs.sha256 },
  }));
}

function isWanted(path: string): boolean {
  // Hidden files, pictures of the page and other frameworks' weights are no part of the model.
  if (/(?:^|\/)\.|\.(?:png|jpe?g|gif|svg|webp|msgpack|ot|tflite|zip)$/i.test(path)) return false;
  try {
    refuseExecutable(path);
    return true;
  } catch {
    // The repository usually has the same weights as safetensors beside them.
    return false;
  }
}

function readAnswer(value: unknown, url: string): { sha: string; siblings: Sibling[] } {
  const { sha, siblings } = Object(value) as Record<string, unknown>;
  const isRight =
    typeof sha === "string" &&
    /^[0-9a-f]{40}$/.test(sha) &&
    Array.isArray(siblings) &&
    siblings.every(isSibling);
  if (!isRight) {
    throw new LakeError("manifest-invalid", `${url} does not list files as the Hub does.`);
  }
  return { sha, siblings };
}

function isSibling(value: unknown): value is Sibling {
  const { rfilename, size, blobId, lfs } = Object(value) as Record<string, unknown>;
  const large = Object(lfs) as Record<string, unknown>;
  return (
    typeof rfilename === "string" &&
    Number.isSafeInteger(size) &&
    typeof blobId === "string" &&
    /^[0-9a-f]{40}$/.test(blobId) &&
    (lfs === undefined ||
      (Number.isSafeInteger(large["size"]) && /^[0-9a-f]{64}$/.test(String(large["sha256"]))))
  );
}

function encodePath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
