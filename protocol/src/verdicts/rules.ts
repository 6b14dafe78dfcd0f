/*
 * The figures of the formula, version 1. They were chosen on the generator's tuning seeds and are
 * reported on others (docs/verdicts.md). Changing one is a new version of the rules.
 */
import { bit } from "./fixed-log.ts";

/** Records of one line that count in a group's histogram, so that no party makes the norm. */
export const lineWeightMax = 64;

/** Records of one pair that count for or against a Provider, so that no User alone sinks one. */
export const pairWeightMax = 4;

/** With how many Records the wider group speaks for a narrower one (shrinkage for little data). */
export const parentWeight = 48;

/** With how many Records the prior speaks by which nothing is surprising. */
export const evenWeight = 12;

/** With how many Records the flat prior speaks for a network without any. */
export const priorWeight = 16;

/** The published prior of how often things happen in honest Sessions, in millionths. */
export const priorRates = {
  empty: 4_000,
  gone: 4_000,
  failed: 15_000,
  lapsed: 6_000,
  abandoned: 8_000,
  unclosed: 20_000,
  unproven: 10_000,
  unused: 12_000,
} as const;

/** Up to how many times its peers' rate a party may have without it being evidence. */
export const tolerance = { line: 2, user: 3 } as const;

/** With how many Sessions that prior speaks. */
export const priorSessions = 400;

/** A surprise counts for at most this much. */
export const surpriseMax = 10 * bit;

/** From how much evidence a Record is held for review, and from how much it is failed. */
export const thresholds = { review: 13 * bit, fail: 24 * bit } as const;

/** A tail of a figure's distribution in which bad faith shows. */
export interface Tail {
  /** The reason that a verdict gives. */
  readonly name: string;
  /** Place in `featureWidths`. */
  readonly feature: number;
  readonly side: "low" | "high";
  /** Whose figures it is compared with. */
  readonly level: "network" | "model" | "hardware" | "both";
  /** What is borrowed where there are few of them. */
  readonly parent: "network" | "none";
  /**
   * How many Records of a line count at most as independent evidence: honest Providers differ in
   * lasting ways (their hardware, their distance, their customers), so more Records of the same
   * line prove less and less. 0: supports other evidence only.
   */
  readonly records: number;
  /** The most evidence that it gives against a party, in 1024ths of a bit. */
  readonly most: number;
}

/** All tails, in the order of a line's surprises. */
export const tails: readonly Tail[] = [
  tail("speed-below-offer", { feature: 0, side: "low", level: "model", records: 40, most: 60 }),
  // Nobody promised less: alone they are a reason to look, not to fail.
  tail("faster-than-the-model", { feature: 1, side: "high", level: "both", records: 20, most: 16 }),
  tail("slow-first-token", { feature: 2, side: "high", level: "model", records: 12, most: 12 }),
  tail("padded-time", { feature: 3, side: "high", level: "model", records: 60, most: 60 }),
  tail("long-sessions", { feature: 4, side: "high", level: "model", records: 16, most: 14 }),
  tail("short-answers", { feature: 5, side: "low", level: "model", records: 80, most: 40 }),
  tail("price-above-market", { feature: 6, side: "high", level: "hardware", records: 0, most: 0 }),
  tail("short-sessions", { feature: 4, side: "low", level: "model", records: 0, most: 0 }),
];

/** Evidence of one kind against one party counts for at most this much. */
export const evidenceMax = 60 * bit;

/** Evidence from which a party has no say any more in what is normal. */
export const excludedFrom = 10 * bit;

function tail(name: string, rest: Omit<Tail, "name" | "parent">): Tail {
  // Only speed against the Offer means the same for all models.
  return { name, parent: rest.feature === 0 ? "network" : "none", ...rest, most: rest.most * bit };
}
