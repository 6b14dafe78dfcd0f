import type { Address } from "@lake-travis/protocol";
import type { RouterState } from "./state.ts";

/** Whether a party's Offers or RFCs are not taken in the open epoch. Reads only. */
export function isSuspended(state: RouterState, account: Address): boolean {
  return (state.conducts.get(account)?.suspendedUntil ?? 0) > state.openEpoch;
}
