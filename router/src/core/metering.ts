import {
  chargedSeconds,
  type CloseReason,
  fundCharge,
  limits,
  type Party,
  pricePerSecond,
} from "@lake-travis/protocol";
import { coreLimits } from "./core-limits.ts";
import { release, reserve } from "./money.ts";
import { notify } from "./providers.ts";
import type { RouterState, Session } from "./state.ts";

/** How a Session ends. */
export interface Ending {
  readonly at: number;
  readonly party: Party;
  readonly reason: CloseReason;
}

/** Stops a Session's meter and keeps of its money what its Ticks can still claim. */
export function stopMeter(state: RouterState, session: Session, ending: Ending): void {
  session.phase = "closing";
  session.closedAt = ending.at;
  session.endedBy = ending.party;
  session.endReason = ending.reason;
  const most = pricePerSecond(session.ticket.payees) * BigInt(secondsAtMost(session));
  const { fromAllowance, fromDeposit } = fundCharge({
    charge: most,
    reservedAllowance: session.hold.allowance,
  });
  release(state, session.user, session.hold);
  session.hold = { ...session.hold, allowance: fromAllowance, deposit: fromDeposit };
  reserve(state, session.user, session.hold);
}

/** What a Session costs in seconds as it stands. */
export function secondsCharged(session: Session): number {
  // What never connected has no Record, so it costs nothing whatever its Ticks say.
  if (session.measuredFrom === 0) return 0;
  return chargedSeconds({
    tickedSeconds: session.tick?.seconds ?? 0,
    measuredMs: session.closedAt - session.measuredFrom,
    minSeconds: session.ticket.minSeconds,
    requestsAnswered: session.tick?.requestsAnswered ?? 0,
    endedBy: session.endedBy,
    endReason: session.endReason,
  });
}

/** Tells the Provider for some replies that a Session has ended. */
export function notifyEnd(state: RouterState, session: Session, at: number): void {
  notify(state, session.ticket.provider, {
    at,
    sessionId: session.id,
    tickHash: session.tickHash,
    party: session.endedBy,
    reason: session.endReason,
    successor: null,
  });
}

/** Until when a Session may go without its connection, its next Tick, or more money and time. */
export interface Deadlines {
  readonly connectsUntil: number;
  readonly ticksUntil: number;
  readonly endsAt: number;
}

/** A Session's deadlines as it stands, with time to be heard anew after the Router was away. */
export function deadlinesOf(state: RouterState, session: Session): Deadlines {
  const { ticket, tick, measuredFrom } = session;
  const anew = state.resumedAt + coreLimits.providerSilentMs;
  const covered = measuredFrom + (tick?.seconds ?? 0) * 1000;
  return {
    connectsUntil: Math.max(ticket.connectBy + coreLimits.beatSlackMs, anew),
    ticksUntil: Math.max(covered + limits.tickGraceMs + coreLimits.beatSlackMs, anew),
    endsAt: measuredFrom + ticket.maxSeconds * 1000,
  };
}

/** The most that Ticks still under way could make of a Session whose meter stands. */
function secondsAtMost(session: Session): number {
  if (session.measuredFrom === 0) return 0;
  const measured = Math.ceil(Math.max(0, session.closedAt - session.measuredFrom) / 1000);
  return Math.min(session.ticket.maxSeconds, Math.max(session.ticket.minSeconds, measured));
}
