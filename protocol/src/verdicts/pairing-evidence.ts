/*
 * Who pairs with whom: Sessions that a Provider may have sold to itself, to draw allowances and
 * emission or to look busy.
 *
 * A pair is looked at where one User, or a set of Users that go nowhere else, makes up much of a
 * line. Three things then add up: how unusual the User's faithfulness is among all pairs (given
 * how much of that model's service the line has anyway), how unusual it is for a line to be so
 * dependent, and how unlike real use the Sessions are (long, idle, dear, few tokens). Favourites
 * are normal; so a network in which everybody is faithful finds nothing unusual in it.
 */
import type { EpochTally } from "./epoch-tally.ts";
import { bit, chanceMean, damped, excessEvidence, million } from "./fixed-log.ts";
import type { LineKeys } from "./line-norms.ts";
import { TailCounts } from "./tail-surprise.ts";

/** What {@link pairingEvidence} reads. */
export interface PairingInputs {
  readonly tally: EpochTally;
  readonly keys: readonly LineKeys[];
  /** How unlike real use a line's Sessions are, in 1024ths of a bit above chance. */
  readonly contentOf: (line: number) => number;
}

/** Evidence by pair that its Provider and its User are one, in 1024ths of a bit. */
export function pairingEvidence(inputs: PairingInputs): Float64Array {
  const { tally } = inputs;
  const faithful = faithfulness(tally);
  const lines = dependence(tally);
  const models = modelSums(tally);
  const evidence = new Float64Array(tally.pairs.size);
  for (let pair = 0; pair < tally.pairs.size; pair += 1) {
    const line = tally.pairs.firsts[pair] as number;
    if (!isExclusive(tally, pair) || !isDependent(tally, lines, pair)) continue;
    const sole = (models.lines[modelOf(tally, line)] as number) === 1;
    const allowance = (tally.lineAllowance[line] as number) * 10;
    const paidFree = allowance >= (tally.lineRecords[line] as number) * 9;
    evidence[pair] =
      faithful.surpriseOf(pair) +
      lines.surpriseOf(line) +
      inputs.contentOf(line) +
      (paidFree ? bit : 0) +
      (sole ? bit : 0);
  }
  return evidence;
}

/** A figure's mean surprise at a line as evidence of a pair: what is above chance, doubled. */
export function contentEvidence(mean: number): number {
  return Math.min(6 * bit, Math.max(0, 2 * (mean - chanceMean)));
}

const recordsMin = 3;
const faithRecordsMax = 12;

/** Whether a User spends nine tenths of its time at one line, in several Sessions. */
function isExclusive(tally: EpochTally, pair: number): boolean {
  const user = tally.pairs.seconds[pair] as number;
  const seconds = tally.pairSeconds[pair] as number;
  const records = tally.pairRecords[pair] as number;
  return records >= recordsMin && seconds * 10 >= (tally.userSeconds[user] as number) * 9;
}

interface Dependence {
  /** 1024ths of each line's seconds that exclusive Users buy. */
  readonly clique: Float64Array;
  surpriseOf(line: number): number;
}

function isDependent(tally: EpochTally, lines: Dependence, pair: number): boolean {
  const line = tally.pairs.firsts[pair] as number;
  const seconds = tally.lineSeconds[line] as number;
  if (seconds === 0 || (tally.lineRecords[line] as number) < 2 * recordsMin) return false;
  const quarter = (tally.pairSeconds[pair] as number) * 4 >= seconds;
  return quarter || (lines.clique[line] as number) >= 512;
}

function dependence(tally: EpochTally): Dependence {
  const count = tally.lineCounts.length;
  const clique = new Float64Array(count);
  for (let pair = 0; pair < tally.pairs.size; pair += 1) {
    if (!isExclusive(tally, pair)) continue;
    const line = tally.pairs.firsts[pair] as number;
    clique[line] = (clique[line] as number) + (tally.pairSeconds[pair] as number);
  }
  const among = new TailCounts();
  for (let line = 0; line < count; line += 1) {
    const seconds = Math.max(1, tally.lineSeconds[line] as number);
    clique[line] = Math.floor(((clique[line] as number) * 1023) / seconds);
    if (isLarge(tally, line)) among.add(clique[line] as number);
  }
  among.close();
  return {
    clique,
    surpriseOf: (line) => (isLarge(tally, line) ? among.surpriseOf(clique[line] as number) : 0),
  };
}

function isLarge(tally: EpochTally, line: number): boolean {
  return (tally.lineRecords[line] as number) >= 2 * recordsMin;
}

interface ModelSums {
  readonly records: Float64Array;
  readonly lines: Float64Array;
}

function modelOf(tally: EpochTally, line: number): number {
  return tally.services.firsts[tally.lines.firsts[line] as number] as number;
}

function modelSums(tally: EpochTally): ModelSums {
  let models = 0;
  for (let each = 0; each < tally.services.size; each += 1) {
    models = Math.max(models, (tally.services.firsts[each] as number) + 1);
  }
  const records = new Float64Array(models);
  const lines = new Float64Array(models);
  for (let line = 0; line < tally.lineCounts.length; line += 1) {
    const model = modelOf(tally, line);
    records[model] = (records[model] as number) + (tally.lineRecords[line] as number);
    lines[model] = (lines[model] as number) + 1;
  }
  return { records, lines };
}

/** How unusual it is, among pairs, to meet so often given how large the line is in its model. */
function faithfulness(tally: EpochTally): { surpriseOf(pair: number): number } {
  const models = modelSums(tally);
  const affinity = new Uint16Array(tally.pairs.size);
  const among = new TailCounts();
  for (let pair = 0; pair < tally.pairs.size; pair += 1) {
    if ((tally.pairRecords[pair] as number) < recordsMin) continue;
    affinity[pair] = affinityOf(tally, models, pair);
    among.add(affinity[pair] as number);
  }
  among.close();
  return { surpriseOf: (pair) => among.surpriseOf(affinity[pair] as number) };
}

/** Eighths of a bit, at most 1,023. */
function affinityOf(tally: EpochTally, models: ModelSums, pair: number): number {
  const line = tally.pairs.firsts[pair] as number;
  const user = tally.pairs.seconds[pair] as number;
  const model = modelOf(tally, line);
  const met = tally.pairRecords[pair] as number;
  const asked = tally.customRecords[tally.customs.idOf(model, user)] as number;
  const others = Math.max(0, (models.records[model] as number) - asked);
  const elsewhere = Math.max(0, (tally.lineRecords[line] as number) - met);
  const even = Math.floor(million / (models.lines[model] as number));
  const share = Math.floor((elsewhere * million + even * 8) / (others + 8));
  const rate = Math.min(million - 1, Math.max(1, share));
  const evidence = excessEvidence(met, asked, rate) * (damped(asked, faithRecordsMax) / asked);
  return Math.min(1023, Math.floor((evidence * 8) / bit));
}
