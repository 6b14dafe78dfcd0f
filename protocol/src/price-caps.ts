/*
 * The dearest price that free allowances pay a Provider (DESIGN.md section 4): the median of what
 * its hardware class cost in the last epoch, weighted by charged seconds, computed from Records
 * alone. What keeps it from being steered by those whom it binds is in
 * docs/decisions/router-price-cap.md.
 */
import type { SessionRecord } from "./record.ts";

/** One hardware class' cap in wei per second of the Provider. */
export interface PriceCap {
  readonly weiPerSecond: bigint;
  /** Epochs since a Session of the class was charged. */
  readonly quietEpochs: number;
}

/** What of a Record makes the caps. */
export type PricedRecord = Pick<
  SessionRecord,
  "hardwareClass" | "provider" | "seconds" | "weiPerSecond"
>;

/**
 * The cap until a median is known, and for ever the highest: 10 MOR an hour, far above any honest
 * Offer, far below what drains a budget at once.
 */
export const allowanceWeiPerSecondMax = 2_777_777_777_777_777n;

/** One Provider's seconds count for at most a quarter, so that nobody makes a median alone. */
const providerSharesMin = 4;

/**
 * From one epoch to the next a cap at most halves or doubles: no single epoch overturns a market.
 */
const stepFactor = 2n;

/** A class that nobody was charged for in so many epochs is forgotten. */
const quietEpochsMax = 8;

/** Classes are words of Providers: no more are remembered than these, the most used first. */
const classesMax = 1_000;

/** The caps of the next epoch from this epoch's caps and all Records of it. */
export function nextPriceCaps(
  caps: ReadonlyMap<string, PriceCap>,
  records: Iterable<PricedRecord>,
): Map<string, PriceCap> {
  const next = new Map<string, PriceCap>();
  for (const [name, entries] of busiestClasses(records)) {
    const median = weightedMedian(entries);
    const before = caps.get(name)?.weiPerSecond;
    next.set(name, { weiPerSecond: within(median, before), quietEpochs: 0 });
  }
  for (const [name, cap] of caps) {
    const quietEpochs = cap.quietEpochs + 1;
    const isKept = !next.has(name) && quietEpochs <= quietEpochsMax && next.size < classesMax;
    if (isKept) next.set(name, { ...cap, quietEpochs });
  }
  return next;
}

/**
 * The cap of one class. A class without a median has that of the dearest class: to invent a name
 * for one's hardware earns no more than somebody's hardware does.
 */
export function priceCapOf(caps: ReadonlyMap<string, PriceCap>, hardwareClass: string): bigint {
  const own = caps.get(hardwareClass)?.weiPerSecond;
  if (own !== undefined) return own;
  if (caps.size === 0) return allowanceWeiPerSecondMax;
  return [...caps.values()].reduce(
    (most, { weiPerSecond }) => (weiPerSecond > most ? weiPerSecond : most),
    0n,
  );
}

interface Entry {
  readonly provider: string;
  readonly price: bigint;
  seconds: bigint;
}

function busiestClasses(records: Iterable<PricedRecord>): [string, Entry[]][] {
  const classes = new Map<string, Map<string, Entry>>();
  for (const { hardwareClass, provider, seconds, weiPerSecond } of records) {
    if (seconds === 0) continue;
    const entries = classes.get(hardwareClass) ?? new Map<string, Entry>();
    classes.set(hardwareClass, entries);
    const key = `${provider} ${weiPerSecond}`;
    const entry = entries.get(key) ?? { provider, price: BigInt(weiPerSecond), seconds: 0n };
    entry.seconds += BigInt(seconds);
    entries.set(key, entry);
  }
  const sums = [...classes].map(([name, entries]): [string, Entry[], bigint] => {
    return [name, [...entries.values()], sumOf([...entries.values()])];
  });
  sums.sort(([a, , x], [b, , y]) => (x === y ? (a < b ? -1 : 1) : x > y ? -1 : 1));
  return sums.slice(0, classesMax).map(([name, entries]) => [name, entries]);
}

/** The lowest price at which, or below which, at least half of the weight was charged. */
function weightedMedian(entries: readonly Entry[]): bigint {
  const ofProvider = new Map<string, bigint>();
  for (const { provider, seconds } of entries) {
    ofProvider.set(provider, (ofProvider.get(provider) ?? 0n) + seconds);
  }
  const most = mostOfOne([...ofProvider.values()]);
  const weighed = entries.map(({ provider, price, seconds }) => {
    const own = ofProvider.get(provider) ?? seconds;
    // In millionths of a second, so that the division loses nothing that matters.
    const weight = own > most ? (seconds * most * 1_000_000n) / own : seconds * 1_000_000n;
    return { price, weight };
  });
  weighed.sort((a, b) => (a.price < b.price ? -1 : a.price > b.price ? 1 : 0));
  const total = weighed.reduce((sum, { weight }) => sum + weight, 0n);
  let below = 0n;
  for (const { price, weight } of weighed) {
    below += weight;
    if (below * 2n >= total) return price;
  }
  return 0n;
}

/**
 * How many seconds of one Provider count, so that none has more than its share of what counts. With
 * fewer Providers than shares all count alike.
 */
function mostOfOne(seconds: readonly bigint[]): bigint {
  const sorted = [...seconds].sort((a, b) => (a > b ? -1 : a < b ? 1 : 0));
  if (sorted.length < providerSharesMin) return sorted.at(-1) ?? 0n;
  let rest = sorted.reduce((sum, each) => sum + each, 0n);
  for (let capped = 0; capped < providerSharesMin; capped += 1) {
    const most = rest / BigInt(providerSharesMin - capped);
    const largest = sorted[capped] as bigint;
    if (largest <= most) return most;
    rest -= largest;
  }
  return rest;
}

function sumOf(entries: readonly Entry[]): bigint {
  return entries.reduce((sum, { seconds }) => sum + seconds, 0n);
}

function within(median: bigint, before: bigint | undefined): bigint {
  const low = before === undefined ? 0n : before / stepFactor;
  const high = before === undefined ? allowanceWeiPerSecondMax : before * stepFactor;
  const most = high < allowanceWeiPerSecondMax ? high : allowanceWeiPerSecondMax;
  if (median > most) return most;
  return median < low ? low : median;
}
