import type { Address, Hex } from "./hex.ts";

/** An RFC that waits for a slot. */
export interface Waiting {
  readonly rfcHash: Hex;
  readonly user: Address;
  /** The smaller of the User's MOR at the epoch's first block and now, in wei. */
  readonly balance: bigint;
  /** The place in the order of arrival, ever growing. */
  readonly arrival: number;
}

/**
 * Every so many-th slot that frees goes to the RFC that has waited longest, whatever its User
 * holds: with m RFCs that arrived earlier, an RFC is served within `ageingPeriod * (m + 1)` freed
 * slots.
 */
export const ageingPeriod = 4;

/** Whether `a` is before `b`: more MOR first, then who came first. */
export function isBefore(a: Waiting, b: Waiting): boolean {
  return a.balance === b.balance ? a.arrival < b.arrival : a.balance > b.balance;
}

/** Where `waiting` belongs in a line that is in order; found by halving. */
export function placeInLine(line: readonly Waiting[], waiting: Waiting): number {
  let low = 0;
  let high = line.length;
  // Each turn halves the range.
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(line[middle] as Waiting, waiting)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of who is served next: the first in line, or in every fourth turn the oldest. */
export function nextInLine(line: readonly Waiting[], served: number): number {
  if (line.length === 0) return -1;
  if (served % ageingPeriod !== ageingPeriod - 1) return 0;
  return line.reduce(
    (oldest, waiting, index) =>
      waiting.arrival < (line[oldest] as Waiting).arrival ? index : oldest,
    0,
  );
}
