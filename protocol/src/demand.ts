/*
 * What was asked for and not served (DESIGN.md section 10): one bucket for each model and price, in
 * counts of distinct Users. It stands in the public file behind the Records, so that Providers see
 * what would sell here and at which price.
 */
import type { ErrorCode } from "./errors.ts";

/** One line of demand in the public file. */
export interface DemandLine {
  readonly kind: "demand";
  readonly epoch: number;
  /** `builder/name`; only names of the Model Registry, so that nobody can write here. */
  readonly model: string;
  /** The largest power of two that is no more than the price cap, decimal wei per second. */
  readonly priceBucketWei: string;
  /** Users who asked for it in this epoch. */
  readonly asked: number;
  /** Users of those who got nothing at least once. */
  readonly unserved: number;
  /** The same by why; a User may be in several. */
  readonly reasons: Readonly<Partial<Record<ErrorCode, number>>>;
}

/** Counts of fewer Users than this are left out, so that a lone User does not show. */
export const demandUsersMin = 3;

/** The bucket of a price cap: the largest power of two that is no more; 0 for 0. */
export function priceBucketWei(maxWeiPerSecond: bigint): bigint {
  if (maxWeiPerSecond <= 0n) return 0n;
  return 1n << BigInt(maxWeiPerSecond.toString(2).length - 1);
}

/** A bucket's line without its small counts; undefined where too few asked. */
export function demandLineOf(bucket: Omit<DemandLine, "kind">): DemandLine | undefined {
  if (bucket.asked < demandUsersMin) return undefined;
  const kept = Object.entries(bucket.reasons).filter(([, users]) => users >= demandUsersMin);
  const unserved = bucket.unserved < demandUsersMin ? 0 : bucket.unserved;
  return { kind: "demand", ...bucket, unserved, reasons: Object.fromEntries(kept) };
}
