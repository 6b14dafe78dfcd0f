import {
  type CloseReason,
  faultOf,
  fundCharge,
  type Hex,
  type Party,
  parties,
  closeReasons,
  pricePerSecond,
  zeroBytes32,
} from "@lake-travis/protocol";
import { coreLimits } from "./core-limits.ts";
import type { ReceivedClose, ReceivedTick, RouterEvent } from "./events.ts";
import { dispatchLine } from "./matching.ts";
import { beginRounds, receiveAnswer } from "./challenges.ts";
import { debitDeposits, noteFailedBy, release, spend, userOf } from "./money.ts";
import type { Outcome } from "./outcome.ts";
import { changeUsed, providerOf } from "./providers.ts";
import { deadlinesOf, type Ending, notifyEnd, secondsCharged, stopMeter } from "./metering.ts";
import { keepRecord, moveMoney } from "./ledgers.ts";
import { recordOf } from "./records.ts";
import { ledgerOf } from "./settling.ts";
import type { RouterState, Session } from "./state.ts";
import { cutSession } from "./succession.ts";
import { schedule } from "./wheel.ts";

type EventOf<T extends RouterEvent["type"]> = Extract<RouterEvent, { type: T }>;

/** What a Provider reports: connections, countersigned Ticks, Closes. All of it may be repeated. */
export function receiveBeat(
  state: RouterState,
  event: EventOf<"beat-received">,
  out: Outcome,
): void {
  const provider = providerOf(state, event.provider);
  out.changed = true;
  provider.silent = false;
  for (const id of event.connected) {
    const session = ownSession(state, event.provider, id);
    if (session !== undefined) connect(state, session, event.at, out);
  }
  for (const received of event.ticks) {
    const session = ownSession(state, event.provider, received.tick.sessionId);
    if (session !== undefined) receiveTick(state, session, received, event.at, out);
  }
  for (const answer of event.challengeAnswers ?? []) {
    receiveAnswer(state, event.provider, answer, event.at);
  }
  for (const received of event.closes) {
    const session = closable(state, received.close.sessionId);
    if (session?.ticket.provider !== event.provider) continue;
    takeClose(state, session, received, event.at, out);
  }
}

/** A Close that its User sent to the Router. */
export function receiveClose(
  state: RouterState,
  event: EventOf<"close-received">,
  out: Outcome,
): void {
  const session = closable(state, event.received.close.sessionId);
  if (session !== undefined) takeClose(state, session, event.received, event.at, out);
}

/** Ends all Sessions of a set, as far as they have not ended yet. */
export function endSessionsOf(
  state: RouterState,
  ids: ReadonlySet<Hex>,
  ending: Ending,
  out: Outcome,
): void {
  for (const id of [...ids]) {
    const session = state.sessions.get(id);
    if (session !== undefined) endSession(state, session, ending, out);
  }
}

/**
 * Ends a Session: its slot is free, its meter stands, and of its money only what it can still cost
 * stays reserved. Its Record waits a moment for Ticks that are under way.
 */
function endSession(state: RouterState, session: Session, ending: Ending, out: Outcome): void {
  if (session.phase === "closing") return;
  out.changed = true;
  const wasGranted = session.phase === "granted";
  stopMeter(state, session, ending);
  out.effects.push({
    type: "session-closing",
    sessionId: session.id,
    provider: session.ticket.provider,
    party: ending.party,
    reason: ending.reason,
  });
  notifyEnd(state, session, ending.at);
  const isDoubted = isDoubtful(session);
  if (isDoubted) noteFailedBy(state, session.user, session.ticket.provider);
  if (isDoubted && !wasGranted) {
    schedule(state, ending.at + coreLimits.goneSettlesMs, `r:${session.id}`);
  } else if (wasGranted || ending.reason === "provider-gone" || isTickKnown(session)) {
    finalise(state, session, out);
  } else schedule(state, ending.at + coreLimits.closingMs, `r:${session.id}`);
  changeUsed(state, session.offerKey, -1);
  dispatchLine(state, session.ticket.manifestDigest, ending.at, out);
}

/**
 * A Provider has fallen silent: Users who said so before are right, and their Sessions end as its
 * fault. Until then theirs was one party's word.
 */
export function blameGone(state: RouterState, ids: ReadonlySet<Hex>, out: Outcome): void {
  for (const id of [...ids]) {
    const session = state.sessions.get(id);
    if (session === undefined || !isDoubtful(session)) continue;
    session.endedBy = "router";
    finalise(state, session, out);
  }
}

/** Whether its User said that the Provider is gone, which only the Provider's silence can show. */
function isDoubtful(session: Session): boolean {
  const { phase, endedBy, endReason } = session;
  return phase === "closing" && endedBy === "user" && endReason === "provider-gone";
}

/** Looks at a Session whose deadline may have come. */
export function checkSession(state: RouterState, session: Session, at: number, out: Outcome): void {
  if (session.phase === "closing") return;
  const { connectsUntil, ticksUntil, endsAt } = deadlinesOf(state, session);
  if (session.phase === "granted") {
    if (at < connectsUntil) {
      schedule(state, connectsUntil, `s:${session.id}`);
      return;
    }
    userOf(state, session.user).lapses += 1;
    endSession(state, session, { at, party: "user", reason: "ticket-lapsed" }, out);
    return;
  }
  if (at >= endsAt) {
    const reason = endReasonOf(session);
    endSession(state, session, { at: endsAt, party: "router", reason }, out);
  } else if (at >= ticksUntil) {
    endSession(state, session, { at, party: "router", reason: "ticks-missing" }, out);
  } else {
    const warnsAt = endsAt - coreLimits.endNoticeMs;
    if (!session.warned && at >= warnsAt) warn(state, session, at, endsAt, out);
    const next = session.warned ? endsAt : warnsAt;
    schedule(state, Math.min(ticksUntil, next), `s:${session.id}`);
  }
}

/** Leaves word for both sides, once for each Session, that it ends soon. */
function warn(
  state: RouterState,
  session: Session,
  at: number,
  endsAt: number,
  out: Outcome,
): void {
  session.warned = true;
  const { provider } = session.ticket;
  const reason = endReasonOf(session);
  const { id: sessionId } = session;
  providerOf(state, provider).warnings.push({ at, sessionId, endsAt, reason });
  out.effects.push({ type: "session-ending", sessionId, provider, endsAt, reason });
}

function endReasonOf(session: Session): CloseReason {
  return session.boundBy === "money" ? "credit-spent" : "time-reached";
}

/** Makes the Record of a Session, charges its User and credits its payees. */
export function finalise(state: RouterState, session: Session, out: Outcome): void {
  const seconds = secondsCharged(session);
  const charge = pricePerSecond(session.ticket.payees) * BigInt(seconds);
  release(state, session.user, session.hold);
  const { fromAllowance, fromDeposit } = fundCharge({
    charge,
    reservedAllowance: session.hold.allowance,
  });
  const { debits } = debitDeposits(state, session.user, fromDeposit);
  const debited = debits.reduce((sum, { wei }) => sum + wei, 0n);
  const funding = { fromAllowance, fromDeposit: debited };
  spend(state, session.user, { epoch: session.ticket.epoch, ...funding });
  const ledger = ledgerOf(state, session.ticket.epoch);
  const { sessionKey } = session.ticket;
  const money = { user: session.user, sessionKey, ...funding, debits };
  moveMoney(ledger, { payees: session.ticket.payees, router: state.router, money }, 1n);
  ledger.open -= 1;
  if (session.measuredFrom > 0) {
    const record = recordOf(state, session, { seconds, ...funding });
    keepRecord(state, ledger, { record, money });
  }
  if (faultOf(session.endedBy, session.endReason) === "provider") {
    noteFailedBy(state, session.user, session.ticket.provider);
  }
  forget(state, session, { seconds, charge });
  out.effects.push({
    type: "session-ended",
    sessionId: session.id,
    provider: session.ticket.provider,
    party: session.endedBy,
    reason: session.endReason,
    seconds,
    charge,
  });
}

function ownSession(state: RouterState, provider: string, id: Hex): Session | undefined {
  const session = state.sessions.get(id);
  return session?.ticket.provider === provider ? session : undefined;
}

/**
 * The Session that a Close means: the one it names, or where that crossed an epoch's end meanwhile,
 * the one that goes on for it now.
 */
function closable(state: RouterState, id: Hex): Session | undefined {
  let at: Hex | null = id;
  // One turn per epoch's end that the Close was late for.
  for (let turns = 0; at !== null && turns < coreLimits.successionsMax; turns += 1) {
    const session: Session | undefined = state.sessions.get(at);
    const successor: Hex | null = session?.successor ?? state.ended.get(at)?.successor ?? null;
    if (session !== undefined && successor === null) return session;
    at = successor;
  }
  return undefined;
}

function connect(state: RouterState, session: Session, at: number, out: Outcome): void {
  if (session.phase !== "granted") return;
  out.changed = true;
  session.phase = "open";
  session.measuredFrom = at;
  out.effects.push({ type: "session-opened", sessionId: session.id });
  beginRounds(state, session.ticket.manifestDigest, at);
  if (session.ticket.epoch < state.openEpoch) cutSession(state, session, at, out);
  else checkSession(state, session, at, out);
}

function receiveTick(
  state: RouterState,
  session: Session,
  received: ReceivedTick,
  at: number,
  out: Outcome,
): void {
  const reason = reasonAgainstTick(state, session, received);
  if (reason === "repeated") return;
  if (reason !== undefined) {
    out.effects.push({ type: "tick-refused", sessionId: session.id, reason });
    return;
  }
  connect(state, session, at, out);
  // The same id as the Session's own, so that its text is held once.
  session.tick = { ...received.tick, sessionId: session.id };
  session.tickHash = received.tickHash;
  session.signature = received.signature;
  session.countersignature = received.countersignature;
  if (session.phase === "closing" && isComplete(session)) finalise(state, session, out);
}

function reasonAgainstTick(
  state: RouterState,
  session: Session,
  received: ReceivedTick,
): string | undefined {
  const { tick } = received;
  const last = session.tick;
  if (received.tickHash === session.tickHash) return "repeated";
  if (received.signer !== session.ticket.sessionKey) return "not signed by the session key";
  const signingKey = state.nodes.get(session.ticket.provider)?.signingKey;
  if (received.countersigner !== signingKey) return "not countersigned by the Provider";
  if (tick.seconds > session.ticket.maxSeconds) return "beyond the Ticket";
  if (last === null) return undefined;
  const falls =
    tick.seconds < last.seconds ||
    tick.requestsAnswered < last.requestsAnswered ||
    tick.requestsFailed < last.requestsFailed ||
    tick.tokens < last.tokens ||
    tick.activeMs < last.activeMs;
  return falls ? "older than the last one" : undefined;
}

function takeClose(
  state: RouterState,
  session: Session,
  received: ReceivedClose,
  at: number,
  out: Outcome,
): void {
  const { close, signer } = received;
  const party = parties[close.party];
  const reason = closeReasons[close.reason];
  if (party === undefined || reason === undefined) return;
  if (!speaksFor(state, session, party, signer)) return;
  // A Close of the Session before this one names a Tick of that one.
  if (session.closeTickHash === null && close.sessionId === session.id) {
    out.changed = true;
    session.closeTickHash = close.tickHash;
  }
  if (session.phase !== "closing") {
    endSession(state, session, { at, party, reason: believable(party, reason) }, out);
  } else if (isComplete(session)) finalise(state, session, out);
}

function speaksFor(state: RouterState, session: Session, party: Party, signer: string): boolean {
  if (party === "user") return signer === session.ticket.sessionKey;
  if (party !== "provider") return false;
  return signer === state.nodes.get(session.ticket.provider)?.signingKey;
}

/**
 * Only the Router finds that time, money or Ticks ran out; others who say so have just finished.
 */
function believable(party: Party, reason: CloseReason): CloseReason {
  if (reason === "ticks-missing" && party === "provider") return reason;
  if (reason === "provider-gone" && party === "user") return reason;
  const own: readonly CloseReason[] = ["finished", "idle", "engine-failed", "shutting-down"];
  return own.includes(reason) ? reason : "finished";
}

/** Whether nothing more is to come of a Session that has ended. */
function isComplete(session: Session): boolean {
  return isTickKnown(session) && !isDoubtful(session);
}

/** Whether the last Tick that a Close names is here. */
function isTickKnown(session: Session): boolean {
  return session.closeTickHash !== null && session.closeTickHash === session.tickHash;
}

function forget(
  state: RouterState,
  session: Session,
  cost: { readonly seconds: number; readonly charge: bigint },
): void {
  state.sessions.delete(session.id);
  userOf(state, session.user).sessions.delete(session.id);
  providerOf(state, session.ticket.provider).sessions.delete(session.id);
  state.ended.set(session.id, {
    epoch: session.ticket.epoch,
    seconds: session.tick?.seconds ?? 0,
    chargedSeconds: cost.seconds,
    charge: cost.charge,
    endedBy: session.endedBy,
    endReason: session.endReason,
    successor: session.successor,
  });
  if (state.ended.size > coreLimits.endedSessionsMax) {
    state.ended.delete(state.ended.keys().next().value ?? zeroBytes32);
  }
}
