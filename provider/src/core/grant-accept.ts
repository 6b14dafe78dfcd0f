import {
  acceptType,
  type Hex,
  LakeError,
  messageHash,
  parseHandle,
  type RequestForCompute,
  rfcType,
  type Signed,
  signerOf,
  signMessage,
  formatHandle,
  zeroBytes32,
} from "@lake-travis/protocol";
import { limits } from "../limits.ts";
import {
  freeSlots,
  type Grant,
  hashAccept,
  type OwnOffer,
  type SessionBook,
} from "./session-book.ts";

/** What a Router asks with its liveness check. */
export interface GrantRequest {
  readonly rfc: Signed<RequestForCompute>;
  readonly offerHash: Hex;
  /** Whether a registered Router signed the request; only then does the Accept hold a slot. */
  readonly fromRouter: boolean;
}

/**
 * Grants one slot to one RFC, for {@link limits.acceptMs}. Asked twice, it answers the same.
 *
 * Anyone can reach this door, so an Accept for an unsigned request holds nothing: it only says that
 * there is a slot now.
 *
 * Throws `slots-full`, `provider-refused`, `message-expired`, `sequence-stale`.
 */
export function grantAccept(book: SessionBook, request: GrantRequest, now: number): Grant {
  if (book.refusal !== undefined) throw book.refusal;
  const { domainSeparator, signatures, signer } = book.identity;
  const offer = offerToGrant(book, request.offerHash, now);
  const refusal = book.refusals.get(offer.signed.message.model);
  if (refusal !== undefined) throw refusal;
  checkRfc(offer, request.rfc.message, now);
  // Only the Router knows whose Delegation the key belongs to; here any valid signature will do.
  signerOf(domainSeparator, rfcType, request.rfc, signatures);
  const rfcHash = messageHash(domainSeparator, rfcType, request.rfc.message);
  const known = [...book.grants.values()].find(
    ({ accept }) => accept.message.rfcHash === rfcHash && accept.message.expiresAt > now,
  );
  if (known !== undefined) return known;
  if (book.grants.size >= limits.grantsMax || freeSlots(book, offer, now) < 1) {
    throw new LakeError("slots-full", "All slots of this Provider are taken.");
  }
  const accept = { rfcHash, offerHash: offer.hash, expiresAt: now + limits.acceptMs };
  const grant: Grant = {
    accept: signMessage(domainSeparator, acceptType, accept, signer),
    acceptHash: hashAccept(book, accept),
    holdsSlot: request.fromRouter,
    used: false,
  };
  book.grants.set(grant.acceptHash, grant);
  return grant;
}

function offerToGrant(book: SessionBook, offerHash: Hex, now: number): OwnOffer {
  const offer = book.offers.get(offerHash);
  if (offer === undefined || offer.signed.message.validUntil < now) {
    throw new LakeError("sequence-stale", "This Provider no longer makes that Offer.", {
      advice: "Take its newest Offer.",
    });
  }
  return offer;
}

function checkRfc(offer: OwnOffer, rfc: RequestForCompute, now: number): void {
  if (rfc.deadline < now) {
    throw new LakeError("message-expired", "The deadline of this RFC is over.");
  }
  const { message } = offer.signed;
  const sameModel =
    formatHandle(parseHandle(rfc.model)) === formatHandle(parseHandle(message.model));
  const sameBytes =
    rfc.manifestDigest === zeroBytes32 || rfc.manifestDigest === message.manifestDigest;
  const paysEnough = rfc.maxWeiPerSecond >= message.weiPerSecond;
  const fastEnough = rfc.minMilliTps <= message.milliTps;
  if (!sameModel || !sameBytes || !paysEnough || !fastEnough) {
    throw new LakeError("provider-refused", "This Offer does not meet the RFC.", {
      data: { sameModel, sameBytes, paysEnough, fastEnough },
    });
  }
}
