/*
 * The Provider's book of Accepts and Sessions: who may be served, until when, and what was signed.
 *
 * It is pure: time comes in as `now`, signatures through a port, and what must be written or sent
 * is returned. A User's connection is a *line*: one bearer token and one slot. A line carries one
 * Session at a time, and where an epoch ends it goes on with the successor Ticket, so that running
 * answers do not notice the epoch's end.
 */
import {
  type Accept,
  acceptType,
  type Address,
  type Close,
  type CountersignedTick,
  type EpochSchedule,
  type Hex,
  LakeError,
  messageHash,
  type Offer,
  offerType,
  type Signatures,
  type Signed,
  type Signer,
  signMessage,
  type Ticket,
} from "@lake-travis/protocol";
import { limits } from "../limits.ts";
import type { SessionTally } from "./session-count.ts";

/** Who this Provider is and whom it believes. */
export interface BookIdentity {
  /** The node account, which is what Offers, Tickets and payees name. */
  readonly provider: Address;
  /** The registered signing key. */
  readonly signer: Signer;
  readonly domainSeparator: Uint8Array;
  readonly schedule: EpochSchedule;
  readonly signatures: Signatures;
  /** The registered signing key of a Router; undefined where there is no such Router. */
  readonly routerKeyOf: (router: Address) => Address | undefined;
}

/** An Offer of ours that Tickets may name, with its hash. */
export interface OwnOffer {
  readonly hash: Hex;
  readonly signed: Signed<Offer>;
}

/** An Accept that we gave. */
export interface Grant {
  readonly accept: Signed<Accept>;
  readonly acceptHash: Hex;
  /** Asked for by a Router that signed, so that it keeps a slot free until it expires. */
  readonly holdsSlot: boolean;
  used: boolean;
}

/** The Ticket that continues a Session, until its User goes on with it. */
export interface AwaitedSuccessor {
  readonly sessionId: Hex;
  readonly ticket: Signed<Ticket>;
  /** When it came, in unix milliseconds. */
  readonly at: number;
}

/** One Session as the Provider sees it. */
export interface ServedSession {
  readonly sessionId: Hex;
  readonly ticket: Signed<Ticket>;
  readonly lineId: string;
  /** The instant that second 0 of its Ticks means, in unix milliseconds. */
  readonly startedAt: number;
  readonly openNonce: Hex;
  readonly tally: SessionTally;
  lastTick: CountersignedTick;
  close: Signed<Close> | undefined;
  closedAt: number;
  successor: AwaitedSuccessor | undefined;
}

/** One User's connection: a slot and a bearer token. */
export interface Line {
  readonly lineId: string;
  /** SHA-256 of the bearer token, so that a copied journal opens no Session. */
  readonly tokenHash: string;
  readonly offer: OwnOffer;
  current: ServedSession;
}

/** All that a Provider knows about its Sessions. */
export interface SessionBook {
  readonly identity: BookIdentity;
  readonly offers: Map<Hex, OwnOffer>;
  readonly grants: Map<Hex, Grant>;
  readonly sessions: Map<Hex, ServedSession>;
  readonly lines: Map<string, Line>;
  readonly linesByToken: Map<string, Line>;
  /** Set while no new Session may begin, with the failure that says why. */
  refusal: LakeError | undefined;
  /** The same for single models, by `builder/name:tag`: their engines are in trouble. */
  readonly refusals: Map<string, LakeError>;
}

/** An empty book. */
export function createSessionBook(identity: BookIdentity): SessionBook {
  return {
    identity,
    offers: new Map(),
    grants: new Map(),
    sessions: new Map(),
    lines: new Map(),
    linesByToken: new Map(),
    refusal: undefined,
    refusals: new Map(),
  };
}

/** Signs an Offer and lets Tickets name it until it expires. */
export function addOffer(book: SessionBook, offer: Offer): OwnOffer {
  const { domainSeparator, signer } = book.identity;
  const signed = signMessage(domainSeparator, offerType, offer, signer);
  const own = { hash: messageHash(domainSeparator, offerType, offer), signed };
  book.offers.set(own.hash, own);
  return own;
}

/** The Session of this id; throws `session-unknown`. */
export function sessionOf(book: SessionBook, sessionId: string): ServedSession {
  const session = book.sessions.get(sessionId as Hex);
  if (session === undefined) {
    throw new LakeError("session-unknown", "This Provider has no such Session.", {
      advice: "Open one with a Ticket; Sessions that ended are forgotten after two minutes.",
    });
  }
  return session;
}

/** Slots of an engine class that neither a line nor a signed Accept holds at `now`. */
export function freeSlots(book: SessionBook, offer: OwnOffer, now: number): number {
  const { model, slots } = offer.signed.message;
  let taken = 0;
  for (const line of book.lines.values()) {
    if (line.offer.signed.message.model === model) taken += 1;
  }
  for (const grant of book.grants.values()) {
    const held = grant.holdsSlot && !grant.used && grant.accept.message.expiresAt > now;
    const granted = held ? book.offers.get(grant.accept.message.offerHash) : undefined;
    if (granted?.signed.message.model === model) taken += 1;
  }
  return slots - taken;
}

/** Until when the Session's last Tick lets us serve, grace not included. */
export function coveredUntil(session: ServedSession): number {
  return session.startedAt + session.lastTick.tick.seconds * 1_000;
}

/** Forgets Accepts, Offers and ended Sessions whose time is over. */
export function forgetExpired(book: SessionBook, now: number): void {
  for (const [hash, grant] of book.grants) {
    if (grant.accept.message.expiresAt < now) book.grants.delete(hash);
  }
  const used = new Set([...book.lines.values()].map((line) => line.offer.hash));
  for (const [hash, offer] of book.offers) {
    if (offer.signed.message.validUntil < now && !used.has(hash)) book.offers.delete(hash);
  }
  const ended = [...book.sessions.values()].filter((session) => session.close !== undefined);
  const surplus = ended.length - limits.endedMax;
  ended.forEach((session, index) => {
    const isOld = session.closedAt + limits.endedMsMax < now || index < surplus;
    if (isOld && book.lines.get(session.lineId)?.current !== session) {
      book.sessions.delete(session.sessionId);
    }
  });
  // A token outlives its line, so that its User hears 'ended' and not 'unknown'.
  for (const [tokenHash, line] of book.linesByToken) {
    if (!book.sessions.has(line.current.sessionId)) book.linesByToken.delete(tokenHash);
  }
}

/** The digest of an Accept. */
export function hashAccept(book: SessionBook, accept: Accept): Hex {
  return messageHash(book.identity.domainSeparator, acceptType, accept);
}
