import {
  acceptType,
  type Close,
  closeType,
  type CountersignedTick,
  type Hex,
  messageHash,
  offerType,
  type Signed,
  signedFromJson,
  signedToJson,
  ticketType,
  tickType,
} from "@lake-travis/protocol";
import { countersign } from "../core/receive-tick.ts";
import {
  type AwaitedSuccessor,
  type Grant,
  hashAccept,
  type Line,
  type OwnOffer,
  type ServedSession,
  type SessionBook,
} from "../core/session-book.ts";
import { emptyTally } from "../core/session-count.ts";
import { releaseLines } from "../core/end-session.ts";

/** One thing that happened, as the journal keeps it. */
export type JournalEntry =
  | { readonly type: "offered"; readonly offer: unknown }
  | { readonly type: "accepted"; readonly accept: unknown; readonly holdsSlot: boolean }
  | {
      readonly type: "opened";
      readonly ticket: unknown;
      readonly tick: unknown;
      readonly openNonce: Hex;
      readonly tokenHash: string;
      readonly lineId: string;
      readonly startedAt: number;
    }
  | { readonly type: "ticked"; readonly tick: unknown }
  | {
      readonly type: "continued";
      readonly previous: Hex;
      readonly ticket: unknown;
      readonly at: number;
    }
  | { readonly type: "closed"; readonly close: unknown; readonly at: number }
  | { readonly type: "reported"; readonly sessionId: Hex };

/** The entry for an Offer that was signed. */
export function offeredEntry(offer: OwnOffer): JournalEntry {
  return { type: "offered", offer: signedToJson(offerType, offer.signed) };
}

/** The entry for an Accept that was given. */
export function acceptedEntry(grant: Grant): JournalEntry {
  const accept = signedToJson(acceptType, grant.accept);
  return { type: "accepted", accept, holdsSlot: grant.holdsSlot };
}

/** The entry for a Session as it stands, its last Tick included. */
export function openedEntry(session: ServedSession, line: Line): JournalEntry {
  return {
    type: "opened",
    ticket: signedToJson(ticketType, session.ticket),
    tick: tickJson(session.lastTick),
    openNonce: session.openNonce,
    tokenHash: line.tokenHash,
    lineId: line.lineId,
    startedAt: session.startedAt,
  };
}

/** The entry for a Session's newest Tick. */
export function tickedEntry(session: ServedSession): JournalEntry {
  return { type: "ticked", tick: tickJson(session.lastTick) };
}

/** The entry for a successor Ticket. */
export function continuedEntry(previous: Hex, successor: AwaitedSuccessor): JournalEntry {
  const { ticket, at } = successor;
  return { type: "continued", previous, ticket: signedToJson(ticketType, ticket), at };
}

/** The entry for a Session's end. */
export function closedEntry(close: Signed<Close>, at: number): JournalEntry {
  return { type: "closed", close: signedToJson(closeType, close), at };
}

/** What a restart finds beside the book. */
export interface Restored {
  /** The highest sequence of any Offer that was signed. */
  readonly sequence: number;
  /** Ended Sessions of which the Router has not confirmed to have heard. */
  readonly unreported: ReadonlySet<Hex>;
}

/** Fills an empty book from the journal's entries, in their order. */
export function restoreBook(book: SessionBook, entries: readonly unknown[]): Restored {
  let sequence = 0;
  const unreported = new Set<Hex>();
  for (const entry of entries as readonly JournalEntry[]) {
    if (entry.type === "offered") sequence = Math.max(sequence, restoreOffer(book, entry.offer));
    else if (entry.type === "accepted") restoreGrant(book, entry);
    else if (entry.type === "opened") restoreSession(book, entry);
    else if (entry.type === "reported") unreported.delete(entry.sessionId);
    else if (entry.type === "ticked") {
      const tick = signedFromJson(tickType, entry.tick);
      const session = book.sessions.get(tick.message.sessionId);
      if (session !== undefined) session.lastTick = countersign(book, tick);
    } else if (entry.type === "continued") {
      const session = book.sessions.get(entry.previous);
      if (session === undefined) continue;
      const ticket = signedFromJson(ticketType, entry.ticket);
      const { domainSeparator } = book.identity;
      const sessionId = messageHash(domainSeparator, ticketType, ticket.message);
      session.successor = { sessionId, ticket, at: entry.at };
    } else {
      const close = signedFromJson(closeType, entry.close);
      const session = book.sessions.get(close.message.sessionId);
      if (session === undefined) continue;
      session.close = close;
      session.closedAt = entry.at;
      unreported.add(session.sessionId);
      releaseLines(book, entry.at);
    }
  }
  return { sequence, unreported };
}

/** The entries that a rewritten journal needs: the newest Offers, Accepts, Sessions, Closes. */
export function entriesOf(book: SessionBook, unreported: ReadonlySet<Hex>): JournalEntry[] {
  const entries: JournalEntry[] = [...book.offers.values()].map(offeredEntry);
  entries.push(...[...book.grants.values()].map(acceptedEntry));
  const tokens = new Map([...book.linesByToken.values()].map((line) => [line.lineId, line]));
  for (const session of book.sessions.values()) {
    const line = tokens.get(session.lineId);
    if (line === undefined) continue;
    entries.push(openedEntry(session, line));
    if (session.successor !== undefined) {
      entries.push(continuedEntry(session.sessionId, session.successor));
    }
    if (session.close !== undefined) {
      entries.push(closedEntry(session.close, session.closedAt));
      if (!unreported.has(session.sessionId)) {
        entries.push({ type: "reported", sessionId: session.sessionId });
      }
    }
  }
  return entries;
}

function tickJson({ tick, signature }: CountersignedTick): unknown {
  return signedToJson(tickType, { message: tick, signature });
}

function restoreOffer(book: SessionBook, json: unknown): number {
  const signed = signedFromJson(offerType, json);
  const hash = messageHash(book.identity.domainSeparator, offerType, signed.message);
  book.offers.set(hash, { hash, signed });
  return signed.message.sequence;
}

function restoreGrant(book: SessionBook, entry: Extract<JournalEntry, { type: "accepted" }>): void {
  const accept = signedFromJson(acceptType, entry.accept);
  const acceptHash = hashAccept(book, accept.message);
  book.grants.set(acceptHash, { accept, acceptHash, holdsSlot: entry.holdsSlot, used: false });
}

function restoreSession(book: SessionBook, entry: Extract<JournalEntry, { type: "opened" }>): void {
  const ticket = signedFromJson(ticketType, entry.ticket);
  const lastTick = countersign(book, signedFromJson(tickType, entry.tick));
  const { requestsAnswered, requestsFailed, tokens, activeMs } = lastTick.tick;
  const session: ServedSession = {
    sessionId: lastTick.tick.sessionId,
    ticket,
    lineId: entry.lineId,
    startedAt: entry.startedAt,
    openNonce: entry.openNonce,
    tally: {
      ...emptyTally(),
      received: requestsAnswered + requestsFailed,
      answered: requestsAnswered,
      failed: requestsFailed,
      tokens,
      activeMsDone: activeMs,
    },
    lastTick,
    close: undefined,
    closedAt: 0,
    successor: undefined,
  };
  const offer = book.offers.get(ticket.message.offerHash);
  if (offer === undefined) return;
  const grant = book.grants.get(ticket.message.acceptHash);
  if (grant !== undefined) grant.used = true;
  book.sessions.set(session.sessionId, session);
  const known = book.linesByToken.get(entry.tokenHash);
  const line = known ?? {
    lineId: entry.lineId,
    tokenHash: entry.tokenHash,
    offer,
    current: session,
  };
  line.current = session;
  book.lines.set(line.lineId, line);
  book.linesByToken.set(line.tokenHash, line);
}
