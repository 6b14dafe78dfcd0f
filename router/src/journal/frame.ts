import { crc32 } from "node:zlib";
import { routerLimits } from "../limits.ts";

/** Bytes before each entry: its length and the CRC-32 of its payload, both big-endian. */
export const frameHeadBytes = 8;

/** Wraps one entry for the journal file. */
export function encodeFrame(payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameHeadBytes + payload.length);
  frame.writeUInt32BE(payload.length, 0);
  frame.writeUInt32BE(crc32(payload), 4);
  frame.set(payload, frameHeadBytes);
  return frame;
}

/**
 * The whole entries at the beginning of some bytes, and where the first that is not whole begins.
 */
export interface Frames {
  readonly payloads: Buffer[];
  readonly end: number;
  /** Whether what follows is too long or has a wrong sum, rather than just being cut off. */
  readonly broken: boolean;
}

/** Reads the entries that lie whole and unharmed at the beginning of `bytes`. */
export function decodeFrames(bytes: Buffer): Frames {
  const payloads: Buffer[] = [];
  let at = 0;
  while (at + frameHeadBytes <= bytes.length) {
    const length = bytes.readUInt32BE(at);
    if (length === 0 || length > routerLimits.entryBytesMax) {
      return { payloads, end: at, broken: true };
    }
    const from = at + frameHeadBytes;
    if (from + length > bytes.length) break;
    const payload = bytes.subarray(from, from + length);
    if (crc32(payload) !== bytes.readUInt32BE(at + 4)) return { payloads, end: at, broken: true };
    payloads.push(payload);
    at = from + length;
  }
  return { payloads, end: at, broken: false };
}
