import {
  type Close,
  type CloseReason,
  closeReasons,
  closeType,
  LakeError,
  limits as protocolLimits,
  messageHash,
  parties,
  requireSigner,
  type Signed,
  signMessage,
  type Successor,
  ticketType,
  tickType,
} from "@lake-travis/protocol";
import { limits } from "../limits.ts";
import { ticketFitsOffer } from "./open-session.ts";
import { refusalToServe } from "./receive-tick.ts";
import {
  coveredUntil,
  type Line,
  type ServedSession,
  type SessionBook,
  sessionOf,
} from "./session-book.ts";

/** Takes a User's own Close. Throws `signer-wrong`, `audience-wrong`, `session-unknown`. */
export function closeByUser(book: SessionBook, signed: Signed<Close>, now: number): ServedSession {
  const { domainSeparator, signatures } = book.identity;
  const session = sessionOf(book, signed.message.sessionId);
  const expected = session.ticket.message.sessionKey;
  requireSigner(domainSeparator, closeType, signed, { signatures, expected });
  if (parties[signed.message.party] !== "user" || !(signed.message.reason in closeReasons)) {
    throw new LakeError("message-invalid", "A User's Close names the User and a known reason.");
  }
  if (session.close === undefined) end(book, session, signed, now);
  return session;
}

/** Ends a Session from our side and signs why. One that has ended already keeps its first Close. */
export function closeByProvider(
  book: SessionBook,
  session: ServedSession,
  ending: { readonly reason: CloseReason; readonly now: number },
): Signed<Close> {
  if (session.close !== undefined) return session.close;
  const { domainSeparator, signer } = book.identity;
  const message: Close = {
    sessionId: session.sessionId,
    tickHash: messageHash(domainSeparator, tickType, session.lastTick.tick),
    party: parties.indexOf("provider"),
    reason: closeReasons.indexOf(ending.reason),
  };
  const signed = signMessage(domainSeparator, closeType, message, signer);
  end(book, session, signed, ending.now);
  return signed;
}

/**
 * Takes the Router's Close of a Session. At an epoch's end the line stays for the successor.
 * Returns undefined where the Session is not ours or has ended already; throws `signer-wrong`.
 */
export function closeByRouter(
  book: SessionBook,
  signed: Signed<Close>,
  now: number,
): ServedSession | undefined {
  const session = book.sessions.get(signed.message.sessionId);
  if (session === undefined || session.close !== undefined) return undefined;
  const { domainSeparator, signatures, routerKeyOf } = book.identity;
  const expected = routerKeyOf(session.ticket.message.router);
  // The party may be another one: the Router also passes on that the User has closed.
  if (expected === undefined) {
    throw new LakeError("signer-wrong", "This Close is not the Router's.");
  }
  requireSigner(domainSeparator, closeType, signed, { signatures, expected });
  end(book, session, signed, now);
  return session;
}

/**
 * Takes the Ticket with which the Router continues a Session. Returns the Session that it
 * continues, or undefined where that is not ours; throws `signer-wrong` or `provider-refused`.
 */
export function attachSuccessor(
  book: SessionBook,
  successor: Successor,
  now: number,
): ServedSession | undefined {
  const { domainSeparator, signatures, routerKeyOf, provider } = book.identity;
  const session = book.sessions.get(successor.previous);
  const line = session === undefined ? undefined : book.lines.get(session.lineId);
  if (session === undefined || line?.current !== session) return undefined;
  if (session.successor !== undefined) return undefined;
  const { message } = successor.ticket;
  const expected = routerKeyOf(message.router);
  if (expected === undefined) {
    throw new LakeError("signer-wrong", "This successor's Router is not registered.");
  }
  requireSigner(domainSeparator, ticketType, successor.ticket, { signatures, expected });
  const previous = session.ticket.message;
  const isSameUse =
    message.sessionKey === previous.sessionKey &&
    message.provider === provider &&
    message.router === previous.router &&
    message.epoch > previous.epoch;
  if (!isSameUse || !ticketFitsOffer(message, line.offer, provider)) {
    throw new LakeError("provider-refused", "This successor does not continue its Session.");
  }
  const sessionId = messageHash(domainSeparator, ticketType, message);
  session.successor = { sessionId, ticket: successor.ticket, at: now };
  // With the successor the Router says that the older Session is over.
  closeByProvider(book, session, { reason: "epoch-ended", now });
  return session;
}

/** Sessions that must end at `now`, with the reason for each. */
export function dueEndings(
  book: SessionBook,
  now: number,
): readonly { readonly session: ServedSession; readonly reason: CloseReason }[] {
  const due: { session: ServedSession; reason: CloseReason }[] = [];
  for (const { current } of book.lines.values()) {
    if (current.close !== undefined) continue;
    const { maxSeconds } = current.ticket.message;
    const covered = coveredUntil(current);
    if (covered + protocolLimits.tickGraceMs < now) {
      const isFull = current.lastTick.tick.seconds >= maxSeconds;
      due.push({ session: current, reason: isFull ? "time-reached" : "ticks-missing" });
    } else if (current.startedAt + maxSeconds * 1_000 + protocolLimits.tickGraceMs < now) {
      due.push({ session: current, reason: "time-reached" });
    }
  }
  return due;
}

/**
 * Why a line may not be served at `now`; undefined where it may. Between an epoch's end and the
 * opening of the successor, running and new requests go on for {@link limits.successorMs}.
 */
export function refusalOfLine(line: Line, now: number): LakeError | undefined {
  return awaitsSuccessor(line.current, now) ? undefined : refusalToServe(line.current, now);
}

/** Frees the lines whose Session has ended and is not continued in time; returns their ids. */
export function releaseLines(book: SessionBook, now: number): readonly string[] {
  const released: string[] = [];
  for (const line of book.lines.values()) {
    if (line.current.close === undefined || awaitsSuccessor(line.current, now)) continue;
    book.lines.delete(line.lineId);
    released.push(line.lineId);
  }
  return released;
}

/** Whether a Session that ended with its epoch may still be continued by its User. */
function awaitsSuccessor(session: ServedSession, now: number): boolean {
  if (session.close === undefined) return false;
  const isEpochEnd = closeReasons[session.close.message.reason] === "epoch-ended";
  const since = session.successor?.at ?? session.closedAt;
  return isEpochEnd && now < since + limits.successorMs;
}

function end(book: SessionBook, session: ServedSession, close: Signed<Close>, now: number): void {
  session.close = close;
  session.closedAt = now;
  releaseLines(book, now);
}
