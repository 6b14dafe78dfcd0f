import {
  closeReasons,
  type CountersignedTick,
  epochAt,
  formatHandle,
  type Hex,
  LakeError,
  limits as protocolLimits,
  messageHash,
  openType,
  type Open,
  parseHandle,
  payeeKinds,
  requireSigner,
  type Signed,
  type Tick,
  type Ticket,
  ticketType,
  tickType,
} from "@lake-travis/protocol";
import { continueLine, lineAwaiting } from "./continue-line.ts";
import { countersign } from "./receive-tick.ts";
import {
  freeSlots,
  type Line,
  type OwnOffer,
  type ServedSession,
  type SessionBook,
} from "./session-book.ts";
import { emptyTally } from "./session-count.ts";

/** What a User sends to open a Session, all three signed. */
export interface Opening {
  readonly ticket: Signed<Ticket>;
  readonly open: Signed<Open>;
  readonly tick: Signed<Tick>;
  /** SHA-256 of the bearer token that the User will get. */
  readonly tokenHash: string;
}

/** What opening did. */
export interface OpenedLine {
  readonly line: Line;
  /** The User asked again with the same proof: nothing changed, the token stays the old one. */
  readonly repeated: boolean;
  /** The Session goes on from an older one of the same line, whose token stays valid. */
  readonly continued: boolean;
}

/**
 * Opens a Session from its Ticket, or goes on with a line whose successor Ticket this is.
 * Each thing that can be wrong has its own code; nothing changes where one is.
 */
export function openSession(book: SessionBook, opening: Opening, now: number): OpenedLine {
  const { ticket } = opening;
  const sessionId = checkTicket(book, ticket, now);
  checkProof(book, opening, sessionId, now);
  const known = book.sessions.get(sessionId);
  if (known !== undefined) return repeatedOpening(book, known, opening);
  const line = lineAwaiting(book, sessionId);
  if (line !== undefined) {
    const { open, tick } = opening;
    continueLine(book, line, { tick, openNonce: open.message.nonce, now });
    return { line, repeated: false, continued: true };
  }
  return { line: newLine(book, opening, sessionId, now), repeated: false, continued: false };
}

/** Whether a Ticket pays what the Offer asks and names the model that it sells. */
export function ticketFitsOffer(ticket: Ticket, offer: OwnOffer, provider: string): boolean {
  const { manifestDigest, weiPerSecond } = offer.signed.message;
  const paid = ticket.payees
    .filter(({ account, kind }) => account === provider && kind === payeeKinds.provider)
    .reduce((sum, payee) => sum + payee.weiPerSecond, 0n);
  return ticket.manifestDigest === manifestDigest && paid >= weiPerSecond;
}

function checkTicket(book: SessionBook, ticket: Signed<Ticket>, now: number): Hex {
  const { domainSeparator, provider, signatures, schedule, routerKeyOf } = book.identity;
  const { message } = ticket;
  if (message.provider !== provider) {
    throw new LakeError("audience-wrong", "This Ticket is for another Provider.", {
      data: { provider: message.provider },
    });
  }
  const expected = routerKeyOf(message.router);
  if (expected === undefined) {
    throw new LakeError("signer-wrong", "This Ticket names a Router that is not registered.", {
      data: { router: message.router },
    });
  }
  requireSigner(domainSeparator, ticketType, ticket, { signatures, expected });
  // A Router learns of a new epoch from the chain, a little later than the clock says.
  const epoch = epochAt(schedule, now);
  const earliest = epochAt(schedule, now - protocolLimits.clockSkewMsMax);
  const latest = epochAt(schedule, now + protocolLimits.clockSkewMsMax);
  if (message.epoch < earliest || message.epoch > latest) {
    throw new LakeError("message-expired", "This Ticket is for another epoch.", {
      data: { epoch, ticketEpoch: message.epoch },
    });
  }
  return messageHash(domainSeparator, ticketType, message);
}

function checkProof(book: SessionBook, opening: Opening, sessionId: Hex, now: number): void {
  const { domainSeparator, signatures } = book.identity;
  const expected = opening.ticket.message.sessionKey;
  requireSigner(domainSeparator, openType, opening.open, { signatures, expected });
  requireSigner(domainSeparator, tickType, opening.tick, { signatures, expected });
  const { open, tick } = opening;
  if (open.message.sessionId !== sessionId || tick.message.sessionId !== sessionId) {
    throw new LakeError("audience-wrong", "The proof or the Tick is for another Session.");
  }
  if (Math.abs(open.message.openedAt - now) > protocolLimits.clockSkewMsMax) {
    throw new LakeError("message-expired", "The proof is too old, or the clocks differ.", {
      advice: "Set this machine's clock.",
      data: { skewMs: open.message.openedAt - now },
    });
  }
  if (tick.message.seconds < 1 || tick.message.seconds > opening.ticket.message.maxSeconds) {
    throw new LakeError("tick-beyond-ticket", "The first Tick must lie within the Ticket's time.", {
      data: { seconds: tick.message.seconds, maxSeconds: opening.ticket.message.maxSeconds },
    });
  }
}

function repeatedOpening(book: SessionBook, known: ServedSession, opening: Opening): OpenedLine {
  const line = book.lines.get(known.lineId);
  if (known.close !== undefined || line === undefined) {
    const reason = closeReasons[known.close?.message.reason ?? 0] ?? "finished";
    throw new LakeError("session-ended", `This Session has ended (${reason}).`);
  }
  if (known.openNonce !== opening.open.message.nonce) {
    throw new LakeError("session-busy", "This Session is open already, from another place.", {
      advice: "Ask for a Session of your own.",
    });
  }
  return { line, repeated: true, continued: false };
}

function newLine(book: SessionBook, opening: Opening, sessionId: Hex, now: number): Line {
  const ticket = opening.ticket.message;
  const grant = book.grants.get(ticket.acceptHash);
  const offer = book.offers.get(ticket.offerHash);
  const isOurs =
    grant?.accept.message.rfcHash === ticket.rfcHash &&
    grant.accept.message.offerHash === ticket.offerHash;
  if (grant === undefined || offer === undefined || !isOurs) {
    throw new LakeError("provider-refused", "This Provider did not accept that RFC.", {
      advice: "Ask the Router for a new Ticket.",
    });
  }
  if (grant.used) throw new LakeError("message-replayed", "This Accept was used already.");
  if (ticket.connectBy < now) {
    throw new LakeError("ticket-lapsed", "The time to connect with this Ticket is over.", {
      advice: "Ask the Router for a new Ticket.",
    });
  }
  if (!ticketFitsOffer(ticket, offer, book.identity.provider)) {
    throw new LakeError("provider-refused", "This Ticket does not pay what the Offer asks.");
  }
  // The Accept gives its slot up for the line; one that held none may have lost the race.
  grant.used = true;
  if (freeSlots(book, offer, now) < 1) {
    grant.used = false;
    throw new LakeError("slots-full", "All slots of this Provider are taken.");
  }
  const lineId = sessionId;
  const tally = emptyTally();
  const current = newSession(book, opening, { sessionId, lineId, startedAt: now, tally });
  const line: Line = { lineId, tokenHash: opening.tokenHash, offer, current };
  book.lines.set(lineId, line);
  book.linesByToken.set(line.tokenHash, line);
  return line;
}

function newSession(
  book: SessionBook,
  opening: Opening,
  place: Pick<ServedSession, "sessionId" | "lineId" | "startedAt" | "tally">,
): ServedSession {
  const lastTick: CountersignedTick = countersign(book, opening.tick);
  const session: ServedSession = {
    ...place,
    ticket: opening.ticket,
    openNonce: opening.open.message.nonce,
    lastTick,
    close: undefined,
    closedAt: 0,
    successor: undefined,
  };
  book.sessions.set(place.sessionId, session);
  return session;
}

/** The model that a line serves, as its Offer names it. */
export function modelOf(line: Line): string {
  return formatHandle(parseHandle(line.offer.signed.message.model));
}
