import type { CID } from "multiformats/cid";

/** Somebody who may hold blocks. What it delivers is checked by whoever asked. */
export interface BlockSource {
  /** How people know it: a URL or a peer id. */
  readonly name: string;
  /** How many requests it takes at once. */
  readonly parallel: number;
  /**
   * Fetches a block into `target` and returns its length in bytes.
   *
   * Throws `content-missing` where the holder says that it does not hold the block, and
   * `block-invalid` for more bytes than fit or a malformed answer; whatever else it throws means
   * that the holder cannot be reached now.
   */
  fetch(cid: CID, target: Uint8Array, signal: AbortSignal): Promise<number>;
  /** Closes its connections. */
  close(): Promise<void>;
}
