/*
 * How signature work travels to a thread and back: rows of fixed length in one buffer, so that a
 * batch costs one message however long it is.
 */
import type { Hex } from "@lake-travis/protocol";
import { keyFromHex, recoverAddress, signWithKey } from "./signatures.ts";

/** What is to be done: who signed this digest, or a signature of it. */
export type SignatureJob =
  | { readonly digest: Uint8Array; readonly signature: Hex }
  | { readonly digest: Uint8Array; readonly signature: null };

/** A row of work: whether there is a signature, the digest, the signature. */
const jobBytes = 1 + 32 + 65;
/** A row of results: how many bytes count, an address or a signature. */
const resultBytes = 1 + 65;

/** Writes a batch for {@link runJobs}. */
export function encodeJobs(jobs: readonly SignatureJob[]): Uint8Array<ArrayBuffer> {
  const rows = Buffer.from(new ArrayBuffer(jobs.length * jobBytes));
  jobs.forEach(({ digest, signature }, index) => {
    const at = index * jobBytes;
    rows.set(digest, at + 1);
    if (signature === null) return;
    rows[at] = 1;
    rows.write(signature.slice(2), at + 33, 65, "hex");
  });
  return rows;
}

/** Does a batch with the key of `privateKey`; the result is read by {@link decodeResults}. */
export function createJobRunner(privateKey: Hex): (rows: Uint8Array) => Uint8Array<ArrayBuffer> {
  const key = keyFromHex(privateKey);
  return (rows) => {
    const count = rows.length / jobBytes;
    const results = new Uint8Array(count * resultBytes);
    for (let index = 0; index < count; index += 1) {
      const row = rows.subarray(index * jobBytes, (index + 1) * jobBytes);
      const digest = row.subarray(1, 33);
      const asksWho = row[0] === 1;
      const found = asksWho ? recoverAddress(digest, row.subarray(33)) : signWithKey(digest, key);
      if (found === undefined) continue;
      results[index * resultBytes] = found.length;
      results.set(found, index * resultBytes + 1);
    }
    return results;
  };
}

/** Reads a batch's results: addresses and signatures, undefined where nobody signed. */
export function decodeResults(bytes: Uint8Array): (Hex | undefined)[] {
  const rows = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: rows.length / resultBytes }, (_, index): Hex | undefined => {
    const at = index * resultBytes;
    const length = rows[at] as number;
    return length === 0 ? undefined : `0x${rows.toString("hex", at + 1, at + 1 + length)}`;
  });
}
