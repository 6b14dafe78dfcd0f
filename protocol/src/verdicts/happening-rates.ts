/*
 * How often things happen in Sessions: at each line, in the whole network without it, and what that
 * says against Providers and Users. A pair of a User and a Provider counts as a few Sessions at
 * most, so that no User sinks a Provider alone, and a User is only blamed for what happens to it
 * more often than to others at the same Providers.
 */
import type { Baseline } from "./baseline.ts";
import { counted, type EpochTally } from "./epoch-tally.ts";
import { damped, excessEvidence, log2Of, million } from "./fixed-log.ts";
import {
  evidenceMax,
  lineWeightMax,
  pairWeightMax,
  priorRates,
  priorSessions,
  surpriseMax,
  tolerance,
} from "./rules.ts";

const columns = counted.length;

/** Counts in sixteenths of Sessions, by line and {@link counted}. */
export interface HappeningRates {
  readonly lineWeight: Float64Array;
  readonly lineCounts: Float64Array;
  /** [happened, of] of the network, this epoch's and the baseline's, by {@link counted}. */
  readonly network: readonly [number, number][];
}

/** Adds up what happened, without the parties that have no say. */
export function happeningRates(options: {
  readonly tally: EpochTally;
  readonly lineExcluded: (line: number) => boolean;
  readonly userExcluded: (user: number) => boolean;
  readonly baseline: Baseline;
}): HappeningRates {
  const { tally, baseline } = options;
  const lines = tally.lineCounts.length;
  const lineWeight = new Float64Array(lines);
  const lineCounts = new Float64Array(lines * columns);
  for (let pair = 0; pair < tally.pairs.size; pair += 1) {
    if (options.userExcluded(tally.pairs.seconds[pair] as number)) continue;
    const line = tally.pairs.firsts[pair] as number;
    const weight = pairWeight(tally, pair);
    lineWeight[line] = (lineWeight[line] as number) + weight;
    for (let column = 0; column < columns; column += 1) {
      const at = line * columns + column;
      lineCounts[at] = (lineCounts[at] as number) + pairCount(tally, pair, column);
    }
  }
  const network = counted.map((_, column): [number, number] => {
    const [happened, of] = baseline.rates[column] as readonly [number, number];
    return [happened, of];
  });
  for (let line = 0; line < lines; line += 1) {
    if (options.lineExcluded(line)) continue;
    network.forEach((sum, column) => {
      const [happened, of] = cappedLine(lineWeight, lineCounts, line, column);
      sum[0] += happened;
      sum[1] += of;
    });
  }
  return { lineWeight, lineCounts, network };
}

/** How often something happens to peers of a line, in millionths; without any, the prior. */
export function peerRate(
  rates: HappeningRates,
  column: number,
  without: number | undefined,
): number {
  const [happened, of] = rates.network[column] as [number, number];
  const own =
    without === undefined
      ? ([0, 0] as const)
      : cappedLine(rates.lineWeight, rates.lineCounts, without, column);
  const prior = priorRates[counted[column] as (typeof counted)[number]];
  const hits = Math.max(0, happened - own[0]) * million + prior * priorSessions * 16;
  const sessions = Math.max(0, of - own[1]) + priorSessions * 16;
  return Math.min(million - 1, Math.max(1, Math.floor(hits / sessions)));
}

/** How surprising it is that something happened, at a rate in millionths. */
export function happeningSurprise(rate: number): number {
  return Math.min(surpriseMax, log2Of(million) - log2Of(rate));
}

/** Evidence against a line: things happen there more often than at its peers. */
export function lineHappeningEvidence(
  rates: HappeningRates,
  line: number,
  column: number,
  excluded: boolean,
): number {
  const sessions = Math.floor((rates.lineWeight[line] as number) / 16);
  const happened = Math.floor((rates.lineCounts[line * columns + column] as number) / 16);
  if (sessions === 0 || happened === 0) return 0;
  const rate = peerRate(rates, column, excluded ? undefined : line);
  const most = lineSessionsMax;
  return dampedExcess({ happened, sessions, rate: tolerated(rate, tolerance.line), most });
}

/** Evidence against a User: things happen to it more often than to others at the same lines. */
export function userHappeningEvidence(options: {
  readonly happened: number;
  readonly sessions: number;
  /** Expected Sessions in which it happens, in millionths. */
  readonly expected: number;
}): number {
  const { happened, sessions, expected } = options;
  const rate = tolerated(Math.floor(expected / sessions), tolerance.user);
  return dampedExcess({ happened, sessions, rate, most: userSessionsMax });
}

/**
 * The rate at a line without one of its pairs, in millionths, never below the network's. Six plain
 * numbers, because it is asked for every pair and kind.
 */
export function lineRateWithout(
  rates: HappeningRates,
  place: number,
  line: number,
  network: number,
  pairWeight: number,
  pairCount: number,
): number {
  const weight = Math.max(0, (rates.lineWeight[line] as number) - pairWeight);
  const count = Math.max(0, (rates.lineCounts[place] as number) - pairCount);
  const own = (count * million + network * borrowedWeight) / (weight + borrowedWeight);
  return Math.max(network, Math.floor(own));
}

/** A pair's weight in its line, in sixteenths of Sessions. */
export function pairWeight(tally: EpochTally, pair: number): number {
  return 16 * Math.min(pairWeightMax, tally.pairRecords[pair] as number);
}

/** What happened to a pair, in the same weight. */
export function pairCount(tally: EpochTally, pair: number, column: number): number {
  const happened = tally.pairHappenings[pair * columns + column] as number;
  const records = tally.pairRecords[pair] as number;
  return happened === 0 ? 0 : Math.floor((happened * pairWeight(tally, pair)) / records);
}

/** Sessions of a line, and of a User, that count at most as independent. */
const lineSessionsMax = 64;
const userSessionsMax = 24;

/** With how many sixteenths of Sessions the network speaks for a line. */
const borrowedWeight = 8 * 16;

function tolerated(rate: number, times: number): number {
  return Math.min(million - 1, Math.max(1, rate * times));
}

function dampedExcess(options: {
  readonly happened: number;
  readonly sessions: number;
  readonly rate: number;
  readonly most: number;
}): number {
  const { happened, sessions, rate, most } = options;
  const whole = excessEvidence(happened, sessions, rate);
  return Math.min(evidenceMax, Math.floor((whole * damped(sessions, most)) / sessions));
}

function cappedLine(
  weights: Float64Array,
  counts: Float64Array,
  line: number,
  column: number,
): readonly [number, number] {
  const weight = weights[line] as number;
  const cap = Math.min(weight, lineWeightMax * 16);
  if (weight === 0) return [0, 0];
  return [Math.floor(((counts[line * columns + column] as number) * cap) / weight), cap];
}
