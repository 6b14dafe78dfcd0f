import { LakeError } from "./errors.ts";
import { type Address, type Hex, toHex } from "./hex.ts";
import { digestOf, type Fields, type MessageType, type Signed, type ValuesOf } from "./message.ts";
import type { Signatures, Signer } from "./ports/signatures.ts";

/** The EIP-712 digest of a message as hexadecimal: its name in other messages. */
export function messageHash<F extends Fields>(
  domainSeparator: Uint8Array,
  type: MessageType<F>,
  message: ValuesOf<F>,
): Hex {
  return toHex(digestOf(domainSeparator, type, message));
}

/** Signs a message under a network's domain separator. */
export function signMessage<F extends Fields>(
  domainSeparator: Uint8Array,
  type: MessageType<F>,
  message: ValuesOf<F>,
  signer: Signer,
): Signed<ValuesOf<F>> {
  return { message, signature: signer.sign(digestOf(domainSeparator, type, message)) };
}

/** Who signed a message; throws `signature-invalid` where nobody did. */
export function signerOf<F extends Fields>(
  domainSeparator: Uint8Array,
  type: MessageType<F>,
  signed: Signed<ValuesOf<F>>,
  signatures: Signatures,
): Address {
  const digest = digestOf(domainSeparator, type, signed.message);
  const signer = signatures.recover(digest, signed.signature);
  if (signer === undefined) {
    throw new LakeError("signature-invalid", `The signature of this ${type.name} is not valid.`);
  }
  return signer;
}

/** Throws `signature-invalid` or `signer-wrong` unless `expected` signed the message. */
export function requireSigner<F extends Fields>(
  domainSeparator: Uint8Array,
  type: MessageType<F>,
  signed: Signed<ValuesOf<F>>,
  options: { readonly signatures: Signatures; readonly expected: Address },
): void {
  const signer = signerOf(domainSeparator, type, signed, options.signatures);
  if (signer !== options.expected) {
    throw new LakeError("signer-wrong", `This ${type.name} is not signed by who it speaks for.`, {
      advice: "Check that the key, the chain and the Compute Contract are the right ones.",
      data: { expected: options.expected, signer },
    });
  }
}
