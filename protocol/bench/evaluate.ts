import { genesisBaseline, judgeEpoch, type Verdict } from "@lake-travis/protocol";
import { attacks, userAttacks } from "./attacks.ts";
import { type Labelled, makeNetwork } from "./honest-network.ts";

/** What one attack at one strength came to. */
export interface Outcome {
  readonly attack: string;
  readonly strength: number;
  readonly auc: number;
  readonly precision: number;
  readonly recall: number;
  /** The same with `review` counted as found. */
  readonly recallOrReview: number;
  readonly rightFault: number;
  /** Scores of its Records. */
  readonly scores: readonly number[];
  readonly honest: HonestOutcome;
}

/** How honest Sessions fared. */
export interface HonestOutcome {
  readonly sessions: number;
  readonly failed: number;
  readonly reviewed: number;
  readonly newSessions: number;
  readonly newFailed: number;
  readonly newReviewed: number;
  readonly scores: readonly number[];
}

/** Judges networks with one attack in each, one per seed, each after an honest day before. */
export function evaluate(options: {
  readonly attack: string;
  readonly strength: number;
  readonly seeds: readonly number[];
  readonly scale: number;
}): Outcome {
  const judged = options.seeds.flatMap((seed) => judgeOne({ ...options, seed }));
  const bad = judged.filter(({ labelled }) => labelled.attack === options.attack);
  const honest = judged.filter(({ labelled }) => labelled.attack === null);
  const fault = userAttacks.has(options.attack) ? "user" : "provider";
  const scores = bad.map(({ verdict }) => verdict.score);
  const outcome = honestOutcome(honest);
  const failed = bad.filter(({ verdict }) => verdict.verdict === "fail").length;
  const found = bad.filter(({ verdict }) => verdict.verdict !== "pass");
  return {
    attack: options.attack,
    strength: options.strength,
    auc: areaUnderCurve(scores, outcome.scores),
    precision: failed === 0 ? 0 : failed / (failed + outcome.failed),
    recall: failed / bad.length,
    recallOrReview: found.length / bad.length,
    rightFault:
      found.filter(({ verdict }) => verdict.fault === fault).length / Math.max(1, found.length),
    scores,
    honest: outcome,
  };
}

interface Judged {
  readonly labelled: Labelled;
  readonly verdict: Verdict;
}

function judgeOne(options: {
  readonly attack: string;
  readonly strength: number;
  readonly seed: number;
  readonly scale: number;
}): Judged[] {
  const network = makeNetwork(options.seed, options.scale);
  const attack = attacks[options.attack];
  if (attack === undefined) throw new Error(`There is no attack ${options.attack}.`);
  const labelled = attack(network, options.strength);
  const records = labelled.map(({ record }) => record);
  const { verdicts } = judgeEpoch({ epoch: 400, records, baseline: genesisBaseline });
  return labelled.map((each, index) => ({ labelled: each, verdict: verdicts[index] as Verdict }));
}

function honestOutcome(honest: readonly Judged[]): HonestOutcome {
  const count = (list: readonly Judged[], word: string): number =>
    list.filter(({ verdict }) => verdict.verdict === word).length;
  const fresh = honest.filter(({ labelled }) => labelled.newProvider);
  return {
    sessions: honest.length,
    failed: count(honest, "fail"),
    reviewed: count(honest, "review"),
    newSessions: fresh.length,
    newFailed: count(fresh, "fail"),
    newReviewed: count(fresh, "review"),
    scores: honest.map(({ verdict }) => verdict.score),
  };
}

/** The chance that a bad Record scores above an honest one, ties counted half. */
export function areaUnderCurve(bad: readonly number[], honest: readonly number[]): number {
  const sorted = Float64Array.from(honest).sort();
  let sum = 0;
  for (const score of bad) sum += (below(sorted, score) + below(sorted, score + 1)) / 2;
  return sum / (bad.length * honest.length);
}

function below(sorted: Float64Array, score: number): number {
  let from = 0;
  let to = sorted.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((sorted[middle] as number) < score) from = middle + 1;
    else to = middle;
  }
  return from;
}
