/*
 * How surprising each figure is at each line, compared with everybody else's.
 *
 * Method: the surprise of a bucket is -log2 of the share of peers at or beyond it (mid-p), where
 * the peers are the other lines of the same group, each with a capped weight, and the baseline of
 * epochs before. Groups borrow from the whole network or from a prior by which nothing is
 * surprising, so that little data proves little. A line is never compared with itself, and lines
 * that the first round found suspect are left out in the second. Sources: Gelman et al., 'Bayesian
 * Data Analysis' (partial pooling), Huber, 'Robust Statistics' (bounded influence).
 */
import type { Baseline } from "./baseline.ts";
import type { EpochTally } from "./epoch-tally.ts";
import { countsLength, featureOffsets, featureWidths } from "./features.ts";
import { chanceMean, log2Of, million } from "./fixed-log.ts";
import {
  evenWeight,
  lineWeightMax,
  parentWeight,
  priorWeight,
  surpriseMax,
  type Tail,
  tails,
} from "./rules.ts";

/** The keys of a line's groups, in the order of `levels`. */
export interface LineKeys {
  readonly network: string;
  readonly model: string;
  readonly hardware: string;
  readonly both: string;
}

/** Where each tail's surprises begin in a line's. */
export const tailOffsets: readonly number[] = tails.map((_, index) =>
  tails.slice(0, index).reduce((sum, tail) => sum + (featureWidths[tail.feature] as number), 0),
);

const surprisesLength = tails.reduce((sum, tail) => sum + widthOf(tail), 0);

/** Sixteenths of Records by place in a line's counts. */
export type Counts = Float64Array;

/** Adds up the groups of all lines that have a say. */
export function groupCounts(options: {
  readonly tally: EpochTally;
  readonly keys: readonly LineKeys[];
  readonly excluded: (line: number) => boolean;
  readonly baseline: Baseline;
}): Map<string, Counts> {
  const groups = new Map<string, Counts>();
  for (const { key, counts } of options.baseline.groups) {
    const group = countsOf(groups, key);
    for (const [place, count] of counts) group[place] = count;
  }
  options.keys.forEach((keys, line) => {
    const own = options.excluded(line) ? undefined : ownCounts(options.tally, line);
    for (const key of Object.values(keys) as string[]) {
      const group = countsOf(groups, key);
      if (own === undefined) continue;
      for (let at = 0; at < countsLength; at += 1) {
        group[at] = (group[at] as number) + (own[at] as number);
      }
    }
  });
  return groups;
}

/** A line's counts in sixteenths, its weight capped. */
export function ownCounts(tally: EpochTally, line: number): Counts {
  const records = tally.lineRecords[line] as number;
  const weight = 16 * Math.min(records, lineWeightMax);
  const own = new Float64Array(countsLength);
  (tally.lineCounts[line] as Uint32Array).forEach((count, at) => {
    if (count > 0) own[at] = Math.floor((count * weight) / records);
  });
  return own;
}

/** The surprise of each bucket of each tail at one line, in 1024ths of a bit. */
export function surprisesAt(options: {
  readonly groups: ReadonlyMap<string, Counts>;
  readonly keys: LineKeys;
  /** What the line itself put into its groups; undefined where it had no say. */
  readonly own: Counts | undefined;
}): Uint16Array {
  const { groups, keys, own } = options;
  const surprises = new Uint16Array(surprisesLength);
  tails.forEach((tail, index) => {
    const at = tailOffsets[index] as number;
    const network = groups.get(keys.network) as Counts;
    const parent =
      tail.parent === "none"
        ? evenShares(tail)
        : {
            shares: sharesBeyond({ tail, counts: network, own, parent: flatShares(tail) }),
            weight: parentWeight * 16,
          };
    const counts = groups.get(keys[tail.level]) as Counts;
    const narrow = sharesBeyond({ tail, own, counts, parent });
    const middle = narrow.findIndex((share) => isMiddle(tail, share));
    narrow.forEach((share, bucket) => {
      const surprise = Math.min(surpriseMax, log2Of(million) - log2Of(Math.max(1, share)));
      // A bucket's difference from the peers' median is nothing to anybody, however rare it is.
      const near = Math.abs(bucket - middle) <= 1;
      surprises[at + bucket] = near ? Math.min(surprise, chanceMean) : surprise;
    });
  });
  return surprises;
}

/** The mean surprise of a line in one tail, and of how many Records. */
export function meanSurprise(
  tally: EpochTally,
  line: number,
  tailIndex: number,
  surprises: Uint16Array,
): { readonly mean: number; readonly records: number } {
  const tail = tails[tailIndex] as Tail;
  const counts = tally.lineCounts[line] as Uint32Array;
  const from = featureOffsets[tail.feature] as number;
  const at = tailOffsets[tailIndex] as number;
  let sum = 0;
  let records = 0;
  for (let bucket = 0; bucket < widthOf(tail); bucket += 1) {
    const count = counts[from + bucket] as number;
    if (count === 0) continue;
    sum += count * (surprises[at + bucket] as number);
    records += count;
  }
  return { mean: records === 0 ? 0 : Math.floor(sum / records), records };
}

interface Parent {
  /** Millionths at or beyond each bucket. */
  readonly shares: Float64Array;
  /** Sixteenths of Records. */
  readonly weight: number;
}

/** Millionths of the peers at or beyond each bucket, half of the bucket itself counted. */
function sharesBeyond(options: {
  readonly tail: Tail;
  readonly counts: Counts;
  readonly own: Counts | undefined;
  readonly parent: Parent;
}): Float64Array {
  const { tail, counts, own, parent } = options;
  const width = widthOf(tail);
  const from = featureOffsets[tail.feature] as number;
  const peers = (bucket: number): number =>
    (counts[from + bucket] as number) - (own?.[from + bucket] ?? 0);
  let total = 0;
  for (let bucket = 0; bucket < width; bucket += 1) total += peers(bucket);
  const shares = new Float64Array(width);
  let beyond = 0;
  for (let step = 0; step < width; step += 1) {
    const bucket = tail.side === "low" ? step : width - 1 - step;
    const here = peers(bucket);
    const share = (beyond * 2 + here) * (million / 2) + parent.weight * at(parent.shares, bucket);
    shares[bucket] = Math.floor(share / (total + parent.weight));
    beyond += here;
  }
  return shares;
}

/**
 * Whether a bucket is the peers' median, coming from the low end. Shares count half of a bucket's
 * own, so where nearly all peers are in one bucket its share is about a half: hence two fifths.
 */
function isMiddle(tail: Tail, share: number): boolean {
  return tail.side === "low" ? share * 5 >= million * 2 : share * 5 <= million * 3;
}

/** A parent that finds nothing surprising: figures of different models cannot be compared. */
function evenShares(tail: Tail): Parent {
  return { shares: new Float64Array(widthOf(tail)).fill(million / 2), weight: evenWeight * 16 };
}

function flatShares(tail: Tail): Parent {
  const width = widthOf(tail);
  const shares = new Float64Array(width);
  for (let bucket = 0; bucket < width; bucket += 1) {
    const beyond = tail.side === "low" ? bucket : width - 1 - bucket;
    shares[bucket] = Math.floor((million * (2 * beyond + 1)) / (2 * width));
  }
  return { shares, weight: priorWeight * 16 };
}

function at(shares: Float64Array, bucket: number): number {
  return shares[bucket] as number;
}

function widthOf(tail: Tail): number {
  return featureWidths[tail.feature] as number;
}

function countsOf(groups: Map<string, Counts>, key: string): Counts {
  const known = groups.get(key);
  if (known !== undefined) return known;
  const made = new Float64Array(countsLength);
  groups.set(key, made);
  return made;
}
