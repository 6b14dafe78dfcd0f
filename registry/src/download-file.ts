import { createHash, type Hash } from "node:crypto";
import { mkdir, open, rename, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LakeError } from "@lake-travis/protocol";
import { limits } from "./limits.ts";
import { readBody } from "./read-body.ts";

/** What a download must turn out to be. `git` is the SHA-1 that git gives a file. */
export interface ExpectedContent {
  readonly bytes: number;
  readonly algorithm: "sha256" | "git";
  /** Lower-case hexadecimal. */
  readonly digest: string;
}

/** A file to download. */
export interface Download {
  readonly url: string;
  readonly path: string;
  readonly expected: ExpectedContent;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly onBytes: (bytes: number) => void;
}

/**
 * Downloads a file over HTTP into `<path>.part`, goes on where an earlier try ended, checks the
 * whole against its checksum, and only then gives it its name. A file that is there already is
 * kept.
 *
 * Throws `content-missing` for a 404, `block-invalid` for wrong content, `holder-none` where the
 * server cannot be reached after several tries.
 */
export async function downloadFile(download: Download): Promise<void> {
  const { path, expected } = download;
  if (expected.bytes > limits.layerBytesMax) {
    throw new LakeError("format-refused", `${path} would have ${expected.bytes} bytes.`);
  }
  if ((await stat(path).catch(() => undefined))?.size === expected.bytes) {
    download.onBytes(expected.bytes);
    return;
  }
  await mkdir(dirname(path), { recursive: true });
  const handle = await open(`${path}.part`, "a+");
  try {
    const hash = await fill(handle, download);
    if (hash.digest("hex") !== expected.digest) {
      // Wrong bytes would be resumed from for ever.
      await handle.truncate(0);
      throw new LakeError("block-invalid", `${download.url} has not the announced checksum.`, {
        advice: "Try again; if it stays so, the server's copy is damaged.",
      });
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${path}.part`, path);
}

async function fill(handle: FileHandle, download: Download): Promise<Hash> {
  const { expected, signal } = download;
  const hash = startHash(expected);
  let filled = await hashWhatIsThere(handle, hash, download);
  for (let failures = 0; filled < expected.bytes;) {
    const before = filled;
    try {
      for await (const chunk of fetchFrom(download, filled)) {
        if (filled + chunk.length > expected.bytes) {
          throw new LakeError("block-invalid", `${download.url} is longer than announced.`);
        }
        hash.update(chunk);
        await handle.write(chunk);
        filled += chunk.length;
        download.onBytes(chunk.length);
      }
      if (filled < expected.bytes) throw new Error("The server ended the answer too early.");
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof LakeError) throw error;
      failures = filled > before ? 1 : failures + 1;
      if (failures >= limits.holderFailuresMax) throw unreachable(download.url, error);
      await sleep(limits.retryMs * 2 ** failures, undefined, { signal });
    }
  }
  return hash;
}

async function* fetchFrom(download: Download, from: number): AsyncGenerator<Uint8Array> {
  const stalled = new AbortController();
  let timer = setTimeout(() => stalled.abort(), limits.importStallMs);
  try {
    const response = await fetch(download.url, {
      headers: { ...download.headers, ...(from === 0 ? {} : { Range: `bytes=${from}-` }) },
      signal: AbortSignal.any([download.signal, stalled.signal]),
    });
    requireAnswer(response, download.url);
    const isPart = response.status === 206;
    if (isPart && !response.headers.get("content-range")?.startsWith(`bytes ${from}-`)) {
      throw new Error("The server sent another part than it was asked for.");
    }
    // A server without ranges sends all of it: what is there already is passed over.
    let skip = isPart ? 0 : from;
    for await (const chunk of readBody(response)) {
      clearTimeout(timer);
      timer = setTimeout(() => stalled.abort(), limits.importStallMs);
      const skipped = Math.min(skip, chunk.length);
      skip -= skipped;
      if (skipped < chunk.length) yield chunk.subarray(skipped);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Throws what a person can act on unless the answer is a good one. */
export function requireAnswer(response: Response, url: string): void {
  if (response.ok) return;
  const { status } = response;
  if (status === 404) {
    throw new LakeError("content-missing", `${url} does not exist.`, {
      advice: "Check the spelling of the model, the file and the tag.",
    });
  }
  if (status === 401 || status === 403) {
    throw new LakeError("content-missing", `${url} may not be read (status ${status}).`, {
      advice: "Accept the model's terms there and give a token by --token-file.",
    });
  }
  throw new Error(`status ${status}`);
}

/** A failure that trying again did not cure. */
export function unreachable(url: string, cause: unknown): LakeError {
  return new LakeError("holder-none", `${new URL(url).origin} cannot be reached.`, {
    cause,
    advice: "Check the network, or name another host by --endpoint; what came is kept.",
  });
}

async function hashWhatIsThere(
  handle: FileHandle,
  hash: Hash,
  download: Download,
): Promise<number> {
  const { size } = await handle.stat();
  if (size > download.expected.bytes) {
    await handle.truncate(0);
    return 0;
  }
  const buffer = Buffer.allocUnsafe(limits.leafBytes);
  let filled = 0;
  while (filled < size) {
    download.signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, filled);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    filled += bytesRead;
    download.onBytes(bytesRead);
  }
  return filled;
}

function startHash(expected: ExpectedContent): Hash {
  if (expected.algorithm === "sha256") return createHash("sha256");
  // git hashes a file with its kind and length in front.
  return createHash("sha1").update(`blob ${expected.bytes}\0`);
}
