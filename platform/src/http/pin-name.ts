import type { Hex } from "@lake-travis/protocol";

/**
 * The server name by which a client asks for the certificate that it pins, so that a Provider can
 * change its own without turning away who holds an older Offer. `.invalid` is no real domain
 * (RFC 2606); the digits say no more than the public Offer does.
 */
export function pinName(fingerprint: Hex): string {
  return `${fingerprint.slice(2, 42).toLowerCase()}.pin.invalid`;
}
