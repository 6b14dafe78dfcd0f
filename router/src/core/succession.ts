/*
 * What happens to open Sessions at an epoch's end. No Session crosses it: allowances, Records and
 * settlements belong to one epoch. So the Router closes each one and issues a successor Ticket that
 * goes on where the old one was paid up to, without a gap, a lost slot or a second minimum.
 */
import { payeeKinds, priceCapOf, pricePerSecond, type Ticket } from "@lake-travis/protocol";
import { fadeConducts } from "./conduct.ts";
import { coreLimits } from "./core-limits.ts";
import { takeDemand } from "./demand-book.ts";
import type { RouterEvent } from "./events.ts";
import { addSession, dispatchLine, sessionOf } from "./matching.ts";
import { notifyEnd, secondsCharged, stopMeter } from "./metering.ts";
import { fundSession, reserve } from "./money.ts";
import type { Outcome } from "./outcome.ts";
import { changeUsed, notify } from "./providers.ts";
import { fadeStandings, ledgerOf, reportOf, revealSecret } from "./settling.ts";
import type { RouterState, Session } from "./state.ts";
import { schedule } from "./wheel.ts";

/** The first block of an epoch was seen and its budget read: Tickets are for this epoch now. */
export function beginEpoch(
  state: RouterState,
  event: Extract<RouterEvent, { type: "epoch-began" }>,
  out: Outcome,
): void {
  if (event.epoch <= state.openEpoch || event.epoch > state.epoch) return;
  out.changed = true;
  revealSecret(state);
  if (state.firstEpoch < 0) state.firstEpoch = event.epoch;
  state.budget = event.budget;
  state.epochSecret = event.secret;
  const over = state.openEpoch;
  const demand = takeDemand(state, over);
  if (demand.length > 0) ledgerOf(state, over).demand = demand;
  state.openEpoch = event.epoch;
  reportOf(state, event.epoch).budget = event.budget;
  fadeStandings(state);
  fadeConducts(state);
  for (const session of [...state.sessions.values()]) {
    if (session.phase === "open") cutSession(state, session, event.at, out);
  }
}

/** Ends a Session of a past epoch and lets a successor go on where it was paid up to. */
export function cutSession(state: RouterState, session: Session, at: number, out: Outcome): void {
  stopMeter(state, session, { at, party: "router", reason: "epoch-ended" });
  const paidUntil = session.measuredFrom + secondsCharged(session) * 1000;
  const successor = succeed(state, session, Math.max(at, paidUntil), at);
  schedule(state, at + coreLimits.closingMs, `r:${session.id}`);
  const { provider, manifestDigest } = session.ticket;
  const ending = { sessionId: session.id, provider, party: "router" } as const;
  if (successor === undefined) {
    session.endReason = "credit-spent";
    notifyEnd(state, session, at);
    changeUsed(state, session.offerKey, -1);
    out.effects.push({ type: "session-closing", ...ending, reason: "credit-spent" });
    dispatchLine(state, manifestDigest, at, out);
    return;
  }
  out.effects.push({ type: "session-closing", ...ending, reason: "epoch-ended" });
  session.successor = successor.id;
  notify(state, provider, {
    at,
    sessionId: session.id,
    tickHash: session.tickHash,
    party: "router",
    reason: "epoch-ended",
    successor: successor.ticket,
  });
  const { id: sessionId, ticket } = successor;
  out.effects.push({ type: "successor-granted", previous: session.id, sessionId, ticket });
}

function succeed(
  state: RouterState,
  session: Session,
  openedAt: number,
  at: number,
): Session | undefined {
  const old = session.ticket;
  const user = state.users.get(session.user);
  if (user?.delegation == null || user.delegation.expiresAt <= at) return undefined;
  if (user.delegation.nonce < user.revokedBelow) return undefined;
  const elapsed = Math.ceil((at - session.measuredFrom) / 1000);
  const funded = fundSession(state, {
    user: session.user,
    payees: old.payees,
    allowancePays: !session.depositOnly && isWithinCap(state, session),
    secondsWished: session.wishedSeconds - elapsed,
    secondsMin: 1,
    at,
  });
  if (funded === undefined) return undefined;
  reserve(state, session.user, funded.hold);
  const ticket: Ticket = {
    ...old,
    epoch: state.openEpoch,
    reservedAllowance: funded.hold.allowance,
    reservedDeposit: funded.hold.deposit,
    minSeconds: 0,
    maxSeconds: funded.seconds,
    connectBy: openedAt + (old.connectBy - old.openedAt),
    openedAt,
  };
  const made = sessionOf(state, ticket, {
    user: session.user,
    offer: { key: session.offerKey, signed: offerFactsOf(session) },
    funded,
    wishedSeconds: session.wishedSeconds - elapsed,
    depositOnly: session.depositOnly,
  });
  // It is connected already, by the same connection, and is measured from where the old one ends.
  made.phase = "open";
  made.measuredFrom = openedAt;
  addSession(state, made);
  schedule(state, openedAt + coreLimits.beatSlackMs, `s:${made.id}`);
  return made;
}

function isWithinCap(state: RouterState, session: Session): boolean {
  const own = session.ticket.payees.find(({ kind }) => kind === payeeKinds.provider);
  return (own?.weiPerSecond ?? 0n) <= priceCapOf(state.priceCaps, session.hardwareClass);
}

/** The price of the open epoch's successor is that of the old Ticket: it is what was agreed. */
function offerFactsOf(session: Session): Parameters<typeof sessionOf>[2]["offer"]["signed"] {
  const { ticket } = session;
  return {
    signature: ticket.offerHash,
    message: {
      provider: ticket.provider,
      model: session.model,
      manifestDigest: ticket.manifestDigest,
      weiPerSecond: pricePerSecond(ticket.payees),
      minSeconds: 0,
      slots: 0,
      milliTps: session.offeredMilliTps,
      engineClass: "",
      hardwareClass: session.hardwareClass,
      endpoint: "",
      tlsFingerprint: ticket.offerHash,
      validUntil: 0,
      sequence: 0,
    },
  };
}
