import { keccak256 } from "./keccak.ts";

/**
 * The digest that a Provider signs over a Heartbeat's exact bytes: the hash of the domain separator
 * and the hash of the body, so that a beat cannot be played at another network.
 */
export function heartbeatDigest(domainSeparator: Uint8Array, body: Uint8Array): Uint8Array {
  const preimage = new Uint8Array(64);
  preimage.set(domainSeparator, 0);
  preimage.set(keccak256(body), 32);
  return keccak256(preimage);
}

/** The HTTP header that carries a Heartbeat's signature. */
export const heartbeatSignatureHeader = "lake-signature";
