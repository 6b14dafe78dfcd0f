import {
  acceptType,
  closeType,
  delegationType,
  domainSeparatorOf,
  type Domain,
  type Fields,
  type Hex,
  heartbeatDigest,
  digestOf,
  LakeError,
  type MessageType,
  offerType,
  requireSigner,
  revocationType,
  rfcType,
  type Accept,
  type Address,
  type Close,
  type Delegation,
  type Offer,
  type RequestForCompute,
  type Revocation,
  type Signatures,
  type Signed,
  type Signer,
  toHex,
  type ValuesOf,
} from "@lake-travis/protocol";
import type { ReceivedClose, RouterEvent } from "./core/events.ts";

type EventOf<T extends RouterEvent["type"]> = Extract<RouterEvent, { type: T }>;

/**
 * Turns signed messages into events: everything that needs a signature checked and no state happens
 * here, before the state machine, so that a replay checks no signature twice.
 */
export class Edge {
  readonly separator: Uint8Array;
  readonly #signatures: Signatures;
  readonly #signer: Signer;

  constructor(domain: Domain, signatures: Signatures, signer: Signer) {
    this.separator = domainSeparatorOf(domain);
    this.#signatures = signatures;
    this.#signer = signer;
  }

  /** The address of the key that signs for this Router. */
  get signingKey(): Address {
    return this.#signer.address;
  }

  /** Signs a message for this Router. */
  sign<F extends Fields>(type: MessageType<F>, message: ValuesOf<F>): Signed<ValuesOf<F>> {
    return { message, signature: this.#signer.sign(digestOf(this.separator, type, message)) };
  }

  /** Signs bytes that are not an EIP-712 message, such as a body. */
  signBytes(bytes: Uint8Array): Hex {
    return this.#signer.sign(heartbeatDigest(this.separator, bytes));
  }

  /** Who signed bytes; undefined where nobody did. */
  signerOfBytes(bytes: Uint8Array, signature: Hex): Address | undefined {
    return this.#signatures.recover(heartbeatDigest(this.separator, bytes), signature);
  }

  /** Throws `signature-invalid` or `signer-wrong`. */
  delegation(
    signed: Signed<Delegation>,
    pseudonymKey: Hex | null,
    at: number,
  ): EventOf<"delegation-received"> {
    const { message: delegation } = signed;
    const { expected } = { expected: delegation.user };
    requireSigner(this.separator, delegationType, signed, {
      signatures: this.#signatures,
      expected,
    });
    const hash = toHex(digestOf(this.separator, delegationType, delegation));
    return { type: "delegation-received", delegation, hash, pseudonymKey, at };
  }

  /** Throws `signature-invalid` or `signer-wrong`. */
  revocation(signed: Signed<Revocation>, at: number): EventOf<"revocation-received"> {
    const { message: revocation } = signed;
    requireSigner(this.separator, revocationType, signed, {
      signatures: this.#signatures,
      expected: revocation.user,
    });
    return { type: "revocation-received", revocation, at };
  }

  /** Throws `signature-invalid`. */
  offer(offer: Signed<Offer>, at: number): EventOf<"offer-received"> {
    const { hash, signer } = this.#identify(offerType, offer);
    return { type: "offer-received", offer, hash, signer, at };
  }

  /** Throws `signature-invalid`. */
  rfc(rfc: Signed<RequestForCompute>, at: number): EventOf<"rfc-received"> {
    const { hash, signer } = this.#identify(rfcType, rfc);
    return { type: "rfc-received", rfc, hash, signer, at };
  }

  /** Throws `signature-invalid`. */
  accept(accept: Signed<Accept>, at: number): EventOf<"accept-received"> {
    const { hash, signer } = this.#identify(acceptType, accept);
    return { type: "accept-received", accept, hash, signer, at };
  }

  /** Throws `signature-invalid`. */
  close(close: Signed<Close>): ReceivedClose {
    return { close: close.message, signer: this.#identify(closeType, close).signer };
  }

  /** Who signed a digest; throws `signature-invalid`. */
  signerOf(digest: Uint8Array, signature: Hex): Address {
    const signer = this.#signatures.recover(digest, signature);
    if (signer === undefined) {
      throw new LakeError("signature-invalid", "A signature in this message is not valid.");
    }
    return signer;
  }

  #identify<F extends Fields>(
    type: MessageType<F>,
    signed: Signed<ValuesOf<F>>,
  ): { readonly hash: Hex; readonly signer: Address } {
    const digest = digestOf(this.separator, type, signed.message);
    return { hash: toHex(digest), signer: this.signerOf(digest, signed.signature) };
  }
}
