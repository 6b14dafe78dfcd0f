/*
 * Paid credits can be claimed as far as final debits were booked against their deposits, and a
 * float of about one epoch's budget beyond (docs/decisions/contracts-ring-fenced-deposits.md).
 * Only Routers hold the debit tree, so they see to it that the float does not run out: each
 * booking costs gas, and shows on chain what a deposit has spent, so it is done no sooner than
 * needed and for few deposits.
 */
import { debitTreeOf } from "@lake-travis/protocol";
import type { DebitLeaf } from "@lake-travis/protocol";
import type { RouterState } from "./core/state.ts";
import { routerLimits } from "./limits.ts";

/** A deposit whose final debit should be booked now. */
export interface DueCollection {
  readonly number: number;
  readonly leaf: DebitLeaf;
}

/** The deposits to book now, those that spent most first; none while the float is half full. */
export function dueCollections(state: RouterState): DueCollection[] {
  const waiting = state.deposits
    .map(({ collected }, number) => {
      const cumulative = state.settled.debits.get(number) ?? 0n;
      return { number, cumulative, wei: cumulative > collected ? cumulative - collected : 0n };
    })
    .filter(({ wei }) => wei > 0n);
  let rest = waiting.reduce((sum, { wei }) => sum + wei, 0n);
  if (rest * 2n <= state.budget) return [];
  waiting.sort((a, b) => (a.wei > b.wei ? -1 : a.wei < b.wei ? 1 : a.number - b.number));
  const { debits, totals } = state.settled;
  const { entries, tree } = debitTreeOf({
    debits,
    deposits: totals.deposits,
    secret: state.secret,
  });
  const due: DueCollection[] = [];
  for (const { number, cumulative, wei } of waiting) {
    // A quarter of the float is left as it is, so that one Session does not bring the next booking.
    if (due.length >= routerLimits.collectionsMax || rest * 4n <= state.budget) break;
    const { salt } = entries[number] as { readonly salt: DebitLeaf["salt"] };
    const leaf = { cumulativeDebit: cumulative, salt, proof: tree.proofOf(number) };
    due.push({ number, leaf });
    rest -= wei;
  }
  return due;
}
