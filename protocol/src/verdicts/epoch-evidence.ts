/*
 * Between the two passes: what an epoch's sums say against each line, User and pair. It is done
 * twice. Parties that the first round finds suspect have no say in the second about what is normal,
 * so that a gang cannot make its ways the norm nor one side's faults fall on the other.
 */
import type { Baseline } from "./baseline.ts";
import { counted, type EpochTally } from "./epoch-tally.ts";
import { chanceMean, damped, surpriseEvidence } from "./fixed-log.ts";
import {
  type HappeningRates,
  happeningRates,
  happeningSurprise,
  lineHappeningEvidence,
  peerRate,
} from "./happening-rates.ts";
import {
  type Counts,
  groupCounts,
  type LineKeys,
  meanSurprise,
  ownCounts,
  surprisesAt,
} from "./line-norms.ts";
import { contentEvidence, pairingEvidence } from "./pairing-evidence.ts";
import { evidenceMax, excludedFrom, pairWeightMax, tails } from "./rules.ts";
import { floodEvidence, userColumns, userHappenings } from "./user-evidence.ts";

/** What is known after the first pass; all evidence in 1024ths of a bit. */
export interface EpochEvidence {
  readonly surprises: readonly Uint16Array[];
  /** By line and tail. */
  readonly lineTails: Float64Array;
  /** By line and happening. */
  readonly lineHappenings: Float64Array;
  /** How surprising each happening is at each line. */
  readonly happeningSurprises: Float64Array;
  /** By User and `userColumns`. */
  readonly userHappenings: Float64Array;
  readonly floods: Float64Array;
  readonly pairings: Float64Array;
  /** What a next epoch takes over. */
  readonly groups: ReadonlyMap<string, Counts>;
  readonly rates: HappeningRates;
}

/** What is normal and what is not, from an epoch's sums and the baseline before. */
export function weighEpoch(
  tally: EpochTally,
  keys: readonly LineKeys[],
  baseline: Baseline,
): EpochEvidence {
  const first = weighOnce(tally, keys, baseline, {
    line: () => false,
    user: () => false,
  });
  const lines = keys.map((_, line) => lineTotal(first, line) >= excludedFrom);
  const users = Uint8Array.from({ length: tally.users }, (_, user) =>
    userTotal(first, user) >= excludedFrom ? 1 : 0,
  );
  return weighOnce(tally, keys, baseline, {
    line: (line) => lines[line] === true,
    user: (user) => users[user] === 1,
  });
}

interface Excluded {
  readonly line: (line: number) => boolean;
  readonly user: (user: number) => boolean;
}

function weighOnce(
  tally: EpochTally,
  keys: readonly LineKeys[],
  baseline: Baseline,
  excluded: Excluded,
): EpochEvidence {
  const groups = groupCounts({ tally, keys, baseline, excluded: excluded.line });
  const surprises = keys.map((lineKeys, line) =>
    surprisesAt({
      groups,
      keys: lineKeys,
      own: excluded.line(line) ? undefined : ownCounts(tally, line),
    }),
  );
  const rates = happeningRates({
    tally,
    baseline,
    lineExcluded: excluded.line,
    userExcluded: excluded.user,
  });
  const means = meansOf(tally, surprises);
  const happened = happeningsOfLines(keys.length, rates, excluded.line);
  return {
    surprises,
    groups,
    rates,
    lineTails: shareAmongLines(tally, tailEvidence(tally, means), tailsMost),
    lineHappenings: shareAmongLines(tally, happened.evidence, happeningsMost),
    happeningSurprises: happened.surprises,
    userHappenings: userHappenings(tally, rates),
    floods: floodEvidence(tally, (line) => surprises[line] as Uint16Array),
    pairings: pairingEvidence({
      tally,
      keys,
      contentOf: (line) =>
        contentTails.reduce(
          (sum, tail) => sum + contentEvidence(means.means[line * tails.length + tail] as number),
          0,
        ),
    }),
  };
}

const contentTails = ["padded-time", "long-sessions", "price-above-market", "short-answers"].map(
  (name) => tails.findIndex((tail) => tail.name === name),
);

interface Means {
  readonly means: Float64Array;
  readonly records: Float64Array;
}

function meansOf(tally: EpochTally, surprises: readonly Uint16Array[]): Means {
  const means = new Float64Array(surprises.length * tails.length);
  const records = new Float64Array(surprises.length * tails.length);
  surprises.forEach((table, line) => {
    for (let tail = 0; tail < tails.length; tail += 1) {
      const at = line * tails.length + tail;
      const result = meanSurprise(tally, line, tail, table);
      means[at] = result.mean;
      records[at] = result.records;
    }
  });
  return { means, records };
}

function tailEvidence(tally: EpochTally, { means, records }: Means): Float64Array {
  const spread = independentRecords(tally);
  const evidence = new Float64Array(means.length);
  for (let tail = 0; tail < tails.length; tail += 1) {
    const usual = usualMean(means, { tail, spread });
    for (let at = tail; at < means.length; at += tails.length) {
      const line = (at - tail) / tails.length;
      const count = Math.min(records[at] as number, spread[line] as number);
      const mean = Math.floor(((means[at] as number) * chanceMean) / usual);
      const { records: most, most: evidenceMost } = tails[tail] as (typeof tails)[number];
      const whole = surpriseEvidence(mean, damped(count, most));
      evidence[at] = Math.min(evidenceMost, Math.floor(whole));
    }
  }
  return evidence;
}

/**
 * How surprising honest lines are on the whole: lasting differences between them (distance,
 * customers, age) make some more surprising than chance would, and only what goes beyond that is
 * evidence. It is the upper fifth of all lines' means, with imagined ones where there are few, so
 * that fewer than a fifth of bad lines cannot hide behind each other.
 */
function usualMean(
  means: Float64Array,
  options: { readonly tail: number; readonly spread: Float64Array },
): number {
  const { tail, spread } = options;
  const known: number[] = imaginedMeans.map((mean) => Math.floor((mean * chanceMean) / 100));
  for (let line = 0; line < spread.length; line += 1) {
    const records = spread[line] as number;
    if (records < usualRecordsMin) continue;
    known.push(means[line * tails.length + tail] as number);
  }
  known.sort((a, b) => a - b);
  return Math.max(chanceMean, known[Math.floor((known.length * 4) / 5)] as number);
}

/** Means of ten imagined lines in hundredths of what chance gives. */
const imaginedMeans = [50, 60, 70, 80, 90, 100, 110, 130, 160, 200] as const;
const usualRecordsMin = 12;

const tailsMost = tails.map(({ most }) => most);
const happeningsMost = counted.map(() => evidenceMax);

/** Half of what is found at one of a Provider's lines counts at its others too. */
function shareAmongLines(
  tally: EpochTally,
  evidence: Float64Array,
  most: readonly number[],
): Float64Array {
  const kinds = most.length;
  const sums = new Map<number, Float64Array>();
  const lines = tally.lineCounts.length;
  const sumsOf = (line: number): Float64Array => {
    const provider = tally.services.seconds[tally.lines.firsts[line] as number] as number;
    const known = sums.get(provider) ?? new Float64Array(kinds);
    sums.set(provider, known);
    return known;
  };
  for (let line = 0; line < lines; line += 1) {
    const sum = sumsOf(line);
    for (let kind = 0; kind < kinds; kind += 1) {
      sum[kind] = (sum[kind] as number) + (evidence[line * kinds + kind] as number);
    }
  }
  return evidence.map((own, at) => {
    const sum = sumsOf(Math.floor(at / kinds))[at % kinds] as number;
    return Math.min(most[at % kinds] as number, Math.floor(own + (sum - own) / 2));
  });
}

/** How many Records of a line count as independent: a few of each User (inverse Simpson index). */
function independentRecords(tally: EpochTally): Float64Array {
  const squares = new Float64Array(tally.lineCounts.length);
  for (let pair = 0; pair < tally.pairs.size; pair += 1) {
    const line = tally.pairs.firsts[pair] as number;
    const records = tally.pairRecords[pair] as number;
    squares[line] = (squares[line] as number) + records * records;
  }
  return squares.map((square, line) => {
    const records = tally.lineRecords[line] as number;
    return Math.min(records, Math.floor((pairWeightMax * records * records) / Math.max(1, square)));
  });
}

function happeningsOfLines(
  lines: number,
  rates: HappeningRates,
  excluded: (line: number) => boolean,
): { readonly evidence: Float64Array; readonly surprises: Float64Array } {
  const evidence = new Float64Array(lines * counted.length);
  const surprises = new Float64Array(lines * counted.length);
  for (let line = 0; line < lines; line += 1) {
    for (let column = 0; column < counted.length; column += 1) {
      const at = line * counted.length + column;
      const out = excluded(line);
      evidence[at] = lineHappeningEvidence(rates, line, column, out);
      surprises[at] = happeningSurprise(peerRate(rates, column, out ? undefined : line));
    }
  }
  return { evidence, surprises };
}

/** The strongest evidence against a line's Provider. */
export function lineTotal(evidence: EpochEvidence, line: number): number {
  let most = 0;
  for (let tail = 0; tail < tails.length; tail += 1) {
    most = Math.max(most, evidence.lineTails[line * tails.length + tail] as number);
  }
  for (let column = 0; column < counted.length; column += 1) {
    most = Math.max(most, evidence.lineHappenings[line * counted.length + column] as number);
  }
  return most;
}

function userTotal(evidence: EpochEvidence, user: number): number {
  let most = evidence.floods[user] as number;
  for (let index = 0; index < userColumns.length; index += 1) {
    most = Math.max(most, evidence.userHappenings[user * userColumns.length + index] as number);
  }
  return most;
}
