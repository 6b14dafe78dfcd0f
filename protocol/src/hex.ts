import { LakeError } from "./errors.ts";

/** Lower-case hexadecimal with `0x`. */
export type Hex = `0x${string}`;

/** A 20-byte account, lower-case. */
export type Address = Hex;

/** 32 zero bytes: 'none' where a digest is optional. */
export const zeroBytes32: Hex = `0x${"0".repeat(64)}`;

const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Writes bytes as lower-case hexadecimal with `0x`. */
export function toHex(bytes: Uint8Array): Hex {
  let text = "0x";
  for (const byte of bytes) text += digits[byte] as string;
  return text as Hex;
}

/** Reads hexadecimal with `0x`; throws `message-invalid` where it is not. */
export function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array((text.length - 2) >> 1);
  writeHex(text, bytes, 0);
  return bytes;
}

/** Writes the bytes of `text` (with `0x`) into `target` from `offset`; throws `message-invalid`. */
export function writeHex(text: string, target: Uint8Array, offset: number): void {
  if (text.length % 2 !== 0 || !text.startsWith("0x")) throw notHex();
  for (let index = 2, at = offset; index < text.length; index += 2, at += 1) {
    const high = nibble(text.charCodeAt(index));
    const low = nibble(text.charCodeAt(index + 1));
    if ((high | low) < 0) throw notHex();
    target[at] = (high << 4) | low;
  }
}

/** Whether `value` is `0x` and exactly `bytes` lower-case bytes. */
export function isHex(value: unknown, bytes: number): value is Hex {
  return typeof value === "string" && value.length === 2 + bytes * 2 && /^0x[0-9a-f]*$/.test(value);
}

function nibble(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  if (code >= 97 && code <= 102) return code - 87;
  if (code >= 65 && code <= 70) return code - 55;
  return -1;
}

function notHex(): LakeError {
  return new LakeError("message-invalid", "Expected hexadecimal digits behind 0x.");
}
