import {
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
  type Address,
  type Close,
  type Delegation,
  type Offer,
  type Revocation,
  type Signatures,
  type Signed,
  type Signer,
  toHex,
  type ValuesOf,
} from "@lake-travis/protocol";
import type { ReceivedClose, RouterEvent } from "./core/events.ts";

/** Signature work that need not be done on the spot. */
interface SignatureWork {
  recover(digest: Uint8Array, signature: Hex): Promise<Address | undefined>;
  sign(digest: Uint8Array): Promise<Hex>;
}

type EventOf<T extends RouterEvent["type"]> = Extract<RouterEvent, { type: T }>;

/**
 * Turns signed messages into events: everything that needs a signature checked and no state happens
 * here, before the state machine, so that a replay checks no signature twice.
 */
export class Edge {
  readonly separator: Uint8Array;
  readonly #signatures: Signatures;
  readonly #signer: Signer;
  readonly #work: SignatureWork;

  /** `work` is with the same key as `signer`; absent: all is done where it is asked for. */
  constructor(domain: Domain, signatures: Signatures, signer: Signer, work?: SignatureWork) {
    this.separator = domainSeparatorOf(domain);
    this.#signatures = signatures;
    this.#signer = signer;
    this.#work = work ?? {
      recover: (digest, signature) => Promise.resolve(signatures.recover(digest, signature)),
      sign: (digest) => Promise.resolve(signer.sign(digest)),
    };
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
    const { message: delegation, signature } = signed;
    const { expected } = { expected: delegation.user };
    requireSigner(this.separator, delegationType, signed, {
      signatures: this.#signatures,
      expected,
    });
    const hash = toHex(digestOf(this.separator, delegationType, delegation));
    return { type: "delegation-received", delegation, hash, signature, pseudonymKey, at };
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

  /** The name and the signer of an RFC or an Accept; throws `signature-invalid`. */
  async identify<F extends Fields>(
    type: MessageType<F>,
    signed: Signed<ValuesOf<F>>,
  ): Promise<{ readonly hash: Hex; readonly signer: Address }> {
    const digest = digestOf(this.separator, type, signed.message);
    return { hash: toHex(digest), signer: await this.findSigner(digest, signed.signature) };
  }

  /** Throws `signature-invalid`. */
  close(close: Signed<Close>): ReceivedClose {
    return { close: close.message, signer: this.#identify(closeType, close).signer };
  }

  /** Signs a digest along with the others of this turn of the event loop. */
  signDigest(digest: Uint8Array): Promise<Hex> {
    return this.#work.sign(digest);
  }

  /** Who signed a digest, found along with the others of this turn; throws `signature-invalid`. */
  async findSigner(digest: Uint8Array, signature: Hex): Promise<Address> {
    return valid(await this.#work.recover(digest, signature));
  }

  #identify<F extends Fields>(
    type: MessageType<F>,
    signed: Signed<ValuesOf<F>>,
  ): { readonly hash: Hex; readonly signer: Address } {
    const digest = digestOf(this.separator, type, signed.message);
    const signer = valid(this.#signatures.recover(digest, signed.signature));
    return { hash: toHex(digest), signer };
  }
}

function valid(signer: Address | undefined): Address {
  if (signer !== undefined) return signer;
  throw new LakeError("signature-invalid", "A signature in this message is not valid.");
}
