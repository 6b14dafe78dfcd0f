/*
 * What one epoch hands to the next: how the network's honest service looks, by model and hardware,
 * and what is held against Providers. Whole numbers only; its hash is in the settlement.
 */
import canonicalize from "canonicalize";
import { LakeError } from "../errors.ts";
import type { Hex } from "../hex.ts";
import { keccak256Hex } from "../keccak.ts";
import { lenientName } from "../read-record.ts";
import { counted } from "./epoch-tally.ts";
import { countsLength } from "./features.ts";
import { verdictLimits } from "./limits.ts";

/** The version of the formula that `docs/verdicts.md` writes down. */
export const verdictRules = 1;

/** Counts of one group of lines: [place in a line's counts, count in sixteenths], ascending. */
export interface BaselineGroup {
  /** `network`, `model:…`, `hardware:…` or `both:…|…`. */
  readonly key: string;
  readonly counts: readonly (readonly [number, number])[];
}

/** What is held against a Provider from epochs before. */
export interface ProviderHistory {
  readonly provider: string;
  /** Hundredths of a bit; halves with each epoch. */
  readonly suspicion: number;
}

/** See the head of this file. */
export interface Baseline {
  readonly rules: number;
  /** The last epoch in it; -1 for none. */
  readonly epoch: number;
  readonly groups: readonly BaselineGroup[];
  /** [happened, of] in sixteenths of Sessions, in the order of `counted`. */
  readonly rates: readonly (readonly [number, number])[];
  readonly providers: readonly ProviderHistory[];
}

/** Where there is no epoch before: nothing but the published prior in `rules.ts`. */
export const genesisBaseline: Baseline = {
  rules: verdictRules,
  epoch: -1,
  groups: [],
  rates: counted.map(() => [0, 0] as const),
  providers: [],
};

/** The hash of a baseline's RFC 8785 bytes. */
export function baselineHash(baseline: Baseline): Hex {
  const text = canonicalize(baseline) as string;
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  return keccak256Hex(bytes);
}

/** Reads a baseline; throws `message-invalid`. */
export function baselineFromJson(value: unknown): Baseline {
  const read = value as Partial<Baseline> | null;
  const right =
    typeof read === "object" &&
    read !== null &&
    Object.keys(read).sort().join() === "epoch,groups,providers,rates,rules" &&
    read.rules === verdictRules &&
    Number.isInteger(read.epoch) &&
    isList(read.groups, verdictLimits.baselineGroupsMax, isGroup) &&
    isList(read.rates, counted.length, isPairOfCounts) &&
    read.rates.length === counted.length &&
    isList(read.providers, verdictLimits.baselineProvidersMax, isHistory);
  if (right) return read as Baseline;
  throw new LakeError("message-invalid", "This is no baseline of these rules.", {
    advice: "Take the one that lake judge or a settlement's file wrote, or leave it out.",
  });
}

function isList<T>(
  value: readonly T[] | undefined,
  most: number,
  check: (each: T) => boolean,
): value is readonly T[] {
  return Array.isArray(value) && value.length <= most && value.every((each: T) => check(each));
}

function isGroup(group: BaselineGroup): boolean {
  if (typeof group?.key !== "string" || group.key.length > 420) return false;
  let last = -1;
  return isList(group.counts, countsLength, (entry) => {
    const above = isPairOfCounts(entry) && entry[0] > last && entry[0] < countsLength;
    last = entry[0];
    return above;
  });
}

function isPairOfCounts(entry: readonly [number, number]): boolean {
  return Array.isArray(entry) && entry.length === 2 && isCount(entry[0]) && isCount(entry[1]);
}

function isHistory(history: ProviderHistory): boolean {
  return (
    typeof history?.provider === "string" &&
    lenientName.test(history.provider) &&
    isCount(history.suspicion)
  );
}

function isCount(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}
