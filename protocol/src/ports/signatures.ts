import type { Address, Hex } from "../hex.ts";

/** secp256k1 over 32-byte digests; signatures are 65 bytes r, s, v (27 or 28) with low s. */
export interface Signatures {
  /** The signer's address, or undefined where the signature is not one (high s included). */
  recover(digest: Uint8Array, signature: Hex): Address | undefined;
}

/** One key that signs digests without showing itself. */
export interface Signer {
  readonly address: Address;
  sign(digest: Uint8Array): Hex;
}
