import {
  closeReasons,
  type CountersignedTick,
  digestOf,
  type Hex,
  LakeError,
  limits as protocolLimits,
  requireSigner,
  type Signed,
  type Tick,
  tickType,
} from "@lake-travis/protocol";
import { coveredUntil, type ServedSession, type SessionBook, sessionOf } from "./session-book.ts";

/** A Tick and our own signature over the same digest. */
export function countersign(book: SessionBook, signed: Signed<Tick>): CountersignedTick {
  const { domainSeparator, signer } = book.identity;
  const countersignature = signer.sign(digestOf(domainSeparator, tickType, signed.message));
  return { tick: signed.message, signature: signed.signature, countersignature };
}

/** What became of a Tick. */
export interface ReceivedTick {
  readonly session: ServedSession;
  readonly countersignature: Hex;
  /** The Session reaches further than before, which has to be kept. */
  readonly isNew: boolean;
}

/**
 * Takes a User's Tick. It must reach no less far than the last one, no further than the Ticket, and
 * claim nothing that cannot be. The same Tick again is answered the same. In a Session that has
 * ended a Tick is countersigned and changes nothing: its User is about to hear of the end.
 *
 * Throws `tick-stale`, `tick-beyond-ticket`, `message-invalid`, `signer-wrong`, `session-unknown`.
 */
export function receiveTick(book: SessionBook, signed: Signed<Tick>, now: number): ReceivedTick {
  const { domainSeparator, signatures } = book.identity;
  const session = sessionOf(book, signed.message.sessionId);
  const expected = session.ticket.message.sessionKey;
  requireSigner(domainSeparator, tickType, signed, { signatures, expected });
  const last = session.lastTick.tick;
  const tick = signed.message;
  if (isSameTick(tick, last)) {
    return { session, countersignature: session.lastTick.countersignature, isNew: false };
  }
  if (tick.seconds < last.seconds) {
    throw new LakeError("tick-stale", "An earlier Tick reaches further than this one.", {
      data: { seconds: tick.seconds, lastSeconds: last.seconds },
    });
  }
  const { maxSeconds } = session.ticket.message;
  if (tick.seconds > maxSeconds) {
    throw new LakeError("tick-beyond-ticket", "The Ticket does not reach that far.", {
      data: { seconds: tick.seconds, maxSeconds },
    });
  }
  checkFigures(tick, last, { session, now });
  const countersigned = countersign(book, signed);
  const isNew = session.close === undefined;
  if (isNew) session.lastTick = countersigned;
  return { session, countersignature: countersigned.countersignature, isNew };
}

/** Why a Session may not be served at `now`; undefined where it may. */
export function refusalToServe(session: ServedSession, now: number): LakeError | undefined {
  if (session.close !== undefined) {
    const reason = closeReasons[session.close.message.reason] ?? "finished";
    return new LakeError("session-ended", `This Session has ended (${reason}).`, {
      advice: "Open another one.",
    });
  }
  if (coveredUntil(session) + protocolLimits.tickGraceMs < now) {
    return new LakeError("tick-not-covered", "No Tick covers this moment.", {
      advice: "Send Ticks ahead of time, one a second.",
      data: { lateMs: now - coveredUntil(session) },
    });
  }
  return undefined;
}

function isSameTick(a: Tick, b: Tick): boolean {
  return (Object.keys(tickType.fields) as (keyof Tick)[]).every((name) => a[name] === b[name]);
}

const growing = ["requestsAnswered", "requestsFailed", "tokens", "activeMs"] as const;

/** Chunks of an answer that a client may count as tokens: its head, tail, usage and end. */
const chunksBesideTokens = 4;
/** Tokens under way while a line goes on in its successor: counted in one Session here or there. */
const tokensUnderWay = 1_024;
/** Requests of one Session that run at once, at most: their active times add up in some clients. */
const runningMax = 256;

/*
 * The User signs what it observed, which differs from what we counted by the network and by the
 * way of counting; what it says of failures and slowness makes a review at most. So a figure is
 * refused where it cannot be true at all, and a User's clumsy counting never ends its Session.
 */
function checkFigures(
  tick: Tick,
  last: Tick,
  facts: { readonly session: ServedSession; readonly now: number },
): void {
  const { tally, startedAt } = facts.session;
  for (const name of growing) {
    if (tick[name] >= last[name]) continue;
    throw new LakeError("tick-stale", `'${name}' of a Tick never falls.`);
  }
  const openMs = Math.max(0, facts.now - startedAt) + protocolLimits.clockSkewMsMax;
  const slack = tally.received === 0 ? 0 : tokensUnderWay + tally.received * chunksBesideTokens;
  const bounds = {
    requests: [tick.requestsAnswered + tick.requestsFailed, tally.received],
    tokens: [tick.tokens, tally.tokens + slack],
    ttftMs: [tick.ttftMs, openMs],
    activeMs: [tick.activeMs, openMs * runningMax],
  } as const;
  for (const [name, [claimed, possible]] of Object.entries(bounds)) {
    if (claimed <= possible) continue;
    throw new LakeError("message-invalid", `'${name}' is more than can have happened.`, {
      data: { claimed, possible },
    });
  }
}
