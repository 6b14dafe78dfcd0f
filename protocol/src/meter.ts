import type { CloseReason, Party } from "./messages.ts";

/** Whose fault the end of a Session is; nobody's where it simply ended. */
export type Fault = "none" | "user" | "provider";

/** How a Session ended, as far as the meter is concerned. */
export interface Metered {
  /** Seconds of the last countersigned Tick; 0 where there is none. */
  readonly tickedSeconds: number;
  /** Milliseconds from the first report of the connection to the end, on the Router's clock. */
  readonly measuredMs: number;
  readonly minSeconds: number;
  /** Requests answered, as the User signed in the last Tick. */
  readonly requestsAnswered: number;
  readonly endedBy: Party;
  readonly endReason: CloseReason;
}

/**
 * Whose fault an end is. A Provider that goes silent or whose engine fails is at fault; a User
 * whose Ticks stop coming has hit and run.
 */
export function faultOf(endedBy: Party, endReason: CloseReason): Fault {
  if (endReason === "provider-gone" || endReason === "engine-failed") {
    // A User's word alone blames nobody.
    return endedBy === "user" ? "none" : "provider";
  }
  return endReason === "ticks-missing" ? "user" : "none";
}

/**
 * The seconds that a Session costs (DESIGN.md section 3, 'The meter'):
 * min(last Tick, max(minSeconds, ceil(seconds measured))). The minimum is owed only after a first
 * answer and if the User ended it; a Provider's fault costs nothing.
 */
export function chargedSeconds(metered: Metered): number {
  const fault = faultOf(metered.endedBy, metered.endReason);
  if (fault === "provider") return 0;
  const endedByUser = metered.endedBy === "user" || fault === "user";
  const owesMinimum = endedByUser && metered.requestsAnswered > 0;
  const measured = Math.ceil(Math.max(0, metered.measuredMs) / 1000);
  const used = Math.max(owesMinimum ? metered.minSeconds : 0, measured);
  return Math.min(metered.tickedSeconds, used);
}
