import { createKeccak } from "hash-wasm";
import { type Hex, toHex } from "./hex.ts";

// One instance serves the whole thread: JavaScript runs a hash from init to digest undisturbed.
const hasher = await createKeccak(256);

/** Keccak-256 as 32 bytes (Ethereum's, not NIST's SHA3-256). */
export function keccak256(bytes: Uint8Array): Uint8Array {
  return hasher.init().update(bytes).digest("binary");
}

/** Keccak-256 as hexadecimal. */
export function keccak256Hex(bytes: Uint8Array): Hex {
  return toHex(keccak256(bytes));
}
