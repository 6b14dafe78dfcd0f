import { createHash, webcrypto } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import type { IndexedBlock } from "./content-index.ts";
import { type FileDag, layOutFile } from "./file-dag.ts";
import { limits } from "./limits.ts";

/** Chunks in flight: one being read, one being hashed on the thread pool, one in between. */
const chunksInFlight = 4;

/** What a file is, block by block. */
export interface HashedFile {
  /** SHA-256 of the whole file. */
  readonly digest: Uint8Array;
  readonly bytes: number;
  readonly leaves: readonly IndexedBlock[];
  readonly dag: FileDag;
}

/**
 * Reads a file once and computes both the SHA-256 of its whole and of each leaf: the first on
 * this thread, the second on the thread pool, so that two cores share the work.
 *
 * Throws the reason of `signal` when it is aborted.
 */
export async function hashFile(
  handle: FileHandle,
  options: { readonly signal?: AbortSignal; readonly onBytes?: (bytes: number) => void } = {},
): Promise<HashedFile> {
  const whole = createHash("sha256");
  const leaves: Promise<IndexedBlock>[] = [];
  const buffers = Array.from({ length: chunksInFlight }, () =>
    Buffer.allocUnsafeSlow(limits.leafBytes),
  );
  let offset = 0;
  let next = readFully(handle, buffers[0] as Buffer<ArrayBuffer>, 0);
  for (let turn = 0; ; turn += 1) {
    const chunk = await next;
    if (chunk.length === 0 && turn > 0) break;
    options.signal?.throwIfAborted();
    // The buffer that is read into next was hashed chunksInFlight - 1 turns ago.
    await leaves[turn - chunksInFlight + 1];
    const target = buffers[(turn + 1) % chunksInFlight] as Buffer<ArrayBuffer>;
    next = readFully(handle, target, offset + chunk.length);
    leaves.push(hashLeaf(chunk, offset));
    whole.update(chunk);
    offset += chunk.length;
    options.onBytes?.(chunk.length);
    if (chunk.length < limits.leafBytes) break;
  }
  await next;
  const blocks = await Promise.all(leaves);
  return { digest: whole.digest(), bytes: offset, leaves: blocks, dag: layOutFile(blocks) };
}

async function hashLeaf(chunk: Buffer<ArrayBuffer>, offset: number): Promise<IndexedBlock> {
  const digest = new Uint8Array(await webcrypto.subtle.digest("SHA-256", chunk));
  return { digest, offset, length: chunk.length };
}

async function readFully(
  handle: FileHandle,
  target: Buffer<ArrayBuffer>,
  offset: number,
): Promise<Buffer<ArrayBuffer>> {
  let filled = 0;
  while (filled < target.length) {
    const { bytesRead } = await handle.read(
      target,
      filled,
      target.length - filled,
      offset + filled,
    );
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return target.subarray(0, filled);
}
