/*
 * What an epoch's public lines add up to, for leaderboards and reports: counts and logarithmic
 * buckets (128 to an octave: quantiles are right to 0.4%), never single Sessions. Rollups of
 * several epochs add up, and a page of them costs the same after ten Records or ten million.
 */
import type { DemandLine } from "./demand.ts";
import type { SessionRecord } from "./record.ts";
import { logBucket } from "./verdicts/log-bucket.ts";
import type { Verdict } from "./verdicts/verdict.ts";

/** Buckets and counts, ascending. */
export type Histogram = readonly (readonly [number, number])[];

/** One model, Provider or Builder in an epoch. Amounts are decimal wei. */
export interface RollupRow {
  readonly name: string;
  readonly sessions: number;
  /** Distinct pseudonyms: decides whether the row may be shown. */
  readonly users: number;
  readonly requests: number;
  readonly seconds: number;
  readonly tokens: number;
  /** What its Sessions cost all in all. */
  readonly wei: string;
  /** What Providers got of that, before the fee. */
  readonly providerWei: string;
  readonly providers: number;
  readonly passed: number;
  readonly failed: number;
  /** Sessions that their Provider left. */
  readonly left: number;
  /** Whole price in wei per second; thousandths of a token per second; per mille of the Offer. */
  readonly price: Histogram;
  readonly speed: Histogram;
  readonly kept: Histogram;
}

/** What was asked for and not served, by model. */
export interface DemandRow {
  readonly model: string;
  readonly priceBucketWei: string;
  readonly asked: number;
  readonly unserved: number;
}

/** See the head of this file. */
export interface EpochRollup {
  readonly epoch: number;
  readonly models: readonly RollupRow[];
  readonly providers: readonly RollupRow[];
  readonly builders: readonly RollupRow[];
  readonly demand: readonly DemandRow[];
}

/** Finer than any difference that matters to a reader. */
export const rollupSubBits = 7;

/** Adds up an epoch. Records and demand may come in any order. */
export class RollupBuilder {
  readonly #epoch: number;
  readonly #models = new Map<string, RowSums>();
  readonly #providers = new Map<string, RowSums>();
  readonly #builders = new Map<string, RowSums>();
  readonly #demand: DemandRow[] = [];

  constructor(epoch: number) {
    this.#epoch = epoch;
  }

  /** Counts a Record; without a verdict it passed. */
  add(record: SessionRecord, verdict?: Verdict): void {
    sumsOf(this.#models, nameOf(record.model)).add(record, verdict);
    sumsOf(this.#providers, record.provider).add(record, verdict);
    if (record.builder !== null) sumsOf(this.#builders, record.builder).add(record, verdict);
  }

  addDemand({ model, priceBucketWei, asked, unserved }: DemandLine): void {
    this.#demand.push({ model, priceBucketWei, asked, unserved });
  }

  close(): EpochRollup {
    return {
      epoch: this.#epoch,
      models: rowsOf(this.#models),
      providers: rowsOf(this.#providers),
      builders: rowsOf(this.#builders),
      demand: [...this.#demand].sort((a, b) => order(keyOf(a), keyOf(b))),
    };
  }
}

/** A model's name without its tag: what people ask for. */
function nameOf(model: string): string {
  return model.split(":")[0] ?? model;
}

function keyOf({ model, priceBucketWei }: DemandRow): string {
  return `${model} ${priceBucketWei.padStart(30, "0")}`;
}

function sumsOf(rows: Map<string, RowSums>, name: string): RowSums {
  const known = rows.get(name);
  if (known !== undefined) return known;
  const made = new RowSums();
  rows.set(name, made);
  return made;
}

function rowsOf(rows: ReadonlyMap<string, RowSums>): RollupRow[] {
  return [...rows].sort(([a], [b]) => order(a, b)).map(([name, sums]) => sums.close(name));
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

class RowSums {
  #sessions = 0;
  #requests = 0;
  #seconds = 0;
  #tokens = 0;
  #passed = 0;
  #failed = 0;
  #left = 0;
  #wei = 0n;
  #providerWei = 0n;
  readonly #users = new Set<string>();
  readonly #providers = new Set<string>();
  readonly #price = new Map<number, number>();
  readonly #speed = new Map<number, number>();
  readonly #kept = new Map<number, number>();

  add(record: SessionRecord, verdict: Verdict | undefined): void {
    const price = BigInt(record.weiPerSecond) + BigInt(record.builderWeiPerSecond);
    const seconds = BigInt(record.seconds);
    this.#sessions += 1;
    this.#requests += record.requestsAnswered;
    this.#seconds += record.seconds;
    this.#tokens += record.tokens;
    this.#wei += price * seconds;
    this.#providerWei += BigInt(record.weiPerSecond) * seconds;
    if (verdict === undefined || verdict.verdict === "pass") this.#passed += 1;
    if (verdict?.verdict === "fail" && verdict.fault === "provider") this.#failed += 1;
    const { endReason, endedBy } = record;
    const left = endReason === "provider-gone" || endReason === "engine-failed";
    if (left && endedBy !== "user") this.#left += 1;
    this.#users.add(record.user);
    this.#providers.add(record.provider);
    count(this.#price, bucketOfWei(price), record.seconds);
    if (record.milliTps === 0) return;
    count(this.#speed, logBucket(record.milliTps, rollupSubBits), 1);
    if (record.offeredMilliTps === 0) return;
    const kept = Math.floor((record.milliTps * 1000) / record.offeredMilliTps);
    count(this.#kept, logBucket(kept, rollupSubBits), 1);
  }

  close(name: string): RollupRow {
    return {
      name,
      sessions: this.#sessions,
      users: this.#users.size,
      requests: this.#requests,
      seconds: this.#seconds,
      tokens: this.#tokens,
      wei: this.#wei.toString(),
      providerWei: this.#providerWei.toString(),
      providers: this.#providers.size,
      passed: this.#passed,
      failed: this.#failed,
      left: this.#left,
      price: sparse(this.#price),
      speed: sparse(this.#speed),
      kept: sparse(this.#kept),
    };
  }
}

function count(histogram: Map<number, number>, bucket: number, weight: number): void {
  if (weight > 0) histogram.set(bucket, (histogram.get(bucket) ?? 0) + weight);
}

function sparse(histogram: ReadonlyMap<number, number>): Histogram {
  return [...histogram].sort(([a], [b]) => a - b);
}

/** Prices are large; their upper 53 bits are exact enough for a bucket. */
function bucketOfWei(wei: bigint): number {
  let shift = 0;
  let rest = wei;
  while (rest > BigInt(Number.MAX_SAFE_INTEGER)) {
    rest >>= 1n;
    shift += 1;
  }
  return logBucket(Number(rest), rollupSubBits) + (shift << rollupSubBits);
}
