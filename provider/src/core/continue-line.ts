import {
  type Hex,
  LakeError,
  requireSigner,
  type Signed,
  type Tick,
  tickType,
  zeroBytes32,
} from "@lake-travis/protocol";
import { countersign } from "./receive-tick.ts";
import type { Line, ServedSession, SessionBook } from "./session-book.ts";
import { continueTally } from "./session-count.ts";

/** The line whose Session goes on as this one, by the Router's successor Ticket. */
export function lineAwaiting(book: SessionBook, sessionId: Hex): Line | undefined {
  for (const line of book.lines.values()) {
    if (line.current.successor?.sessionId === sessionId) return line;
  }
  return undefined;
}

/**
 * Continues a line with its first Tick of the successor: its User holds the line's token and signs
 * with the same session key, so no other proof is needed. Throws `signer-wrong` and
 * `tick-beyond-ticket`.
 */
export function continueWithTick(
  book: SessionBook,
  line: Line,
  signed: Signed<Tick>,
  now: number,
): ServedSession {
  const { successor } = line.current;
  if (successor === undefined) throw new LakeError("internal", "This line has no successor.");
  const { sessionKey, maxSeconds } = successor.ticket.message;
  const { domainSeparator, signatures } = book.identity;
  requireSigner(domainSeparator, tickType, signed, { signatures, expected: sessionKey });
  if (signed.message.seconds < 1 || signed.message.seconds > maxSeconds) {
    throw new LakeError("tick-beyond-ticket", "The first Tick must lie within the Ticket's time.", {
      data: { seconds: signed.message.seconds, maxSeconds },
    });
  }
  return continueLine(book, line, { tick: signed, openNonce: zeroBytes32, now });
}

/** Makes the successor the line's Session. Its seconds count from the epoch's beginning. */
export function continueLine(
  book: SessionBook,
  line: Line,
  start: { readonly tick: Signed<Tick>; readonly openNonce: Hex; readonly now: number },
): ServedSession {
  const { successor, tally } = line.current;
  if (successor === undefined) throw new LakeError("internal", "This line has no successor.");
  const session: ServedSession = {
    sessionId: successor.sessionId,
    ticket: successor.ticket,
    lineId: line.lineId,
    startedAt: Math.min(start.now, successor.ticket.message.openedAt),
    openNonce: start.openNonce,
    tally: continueTally(tally, start.now),
    lastTick: countersign(book, start.tick),
    close: undefined,
    closedAt: 0,
    successor: undefined,
  };
  line.current = session;
  book.sessions.set(session.sessionId, session);
  return session;
}
