/*
 * Which Offer an RFC gets. A pure function of what the Router knows, with an explanation that
 * anyone can replay: the Router committed to its epoch secret beforehand and reveals it afterwards,
 * so that it cannot have picked the lot that suited it.
 *
 * Method (DESIGN.md section 2, step 4): what fails the wish is out. The rest is ranked by the
 * criteria below, the first that differs deciding. One RFC in twenty goes to a Provider with hardly
 * any Sessions yet if it is not much dearer, so that newcomers get a record and nobody is starved
 * for ever.
 */
import canonicalize from "canonicalize";
import type { SelectionExplanation } from "./api.ts";
import { type Address, fromHex, type Hex, toHex } from "./hex.ts";
import { keccak256, keccak256Hex } from "./keccak.ts";
import type { RoutingWish } from "./routing-wish.ts";
import { isJudged, type Standing } from "./standing.ts";

/** What a User wishes of an Offer; zero speed or latency is no wish. */
export interface Wish {
  /** Cap on the whole price: Provider and all Builders, in wei per second. */
  readonly maxWeiPerSecond: bigint;
  readonly minMilliTps: number;
  readonly maxLatencyMs: number;
  /** What else the User wishes of the Providers themselves. */
  readonly routing?: RoutingWish;
  /** Providers that failed this User in this epoch: to ignore these has a reason of its own. */
  readonly failedBy?: readonly Address[];
}

/** One live Offer with what its Provider's Sessions showed so far. */
export interface Candidate {
  readonly offerHash: Hex;
  readonly provider: Address;
  /** Provider and all Builders, in wei per second. */
  readonly totalWeiPerSecond: bigint;
  readonly offeredMilliTps: number;
  readonly freeSlots: number;
  readonly standing: Standing;
  /** A reason why it cannot be asked at all, known before any wish is looked at. */
  readonly barred?: string;
}

/** The Offers that fit, best first, and why each of the others does not. */
export interface Ranking {
  readonly ranked: readonly Candidate[];
  readonly refused: readonly { readonly candidate: Candidate; readonly reason: string }[];
  /** Whether the first one stands there because it is new. */
  readonly explored: boolean;
  readonly allowance: AllowanceRule;
}

/**
 * Whether the free allowance may pay a Session of this RFC, or why not: one's own Provider must not
 * be fed on demand (DESIGN.md section 4), neither by its name nor by the names of all others.
 */
export type AllowanceRule =
  "may-pay" | "providers-named" | "too-many-ignored" | "price-above-median";

/** One RFC in this many goes to a Provider that has no record yet. */
export const explorationPeriod = 20;

/** A new Provider is preferred only up to this many percent of the cheapest price. */
const explorationPricePercent = 125n;

/**
 * A wish that ignores Providers which did the User nothing is paid by the allowance only where at
 * least so many others fit, and no fewer than it ignores: else `ignore` would be `only` by another
 * name.
 */
export const ignoreLeavesMin = 3;

/** The seed of an RFC's lot: the hash of the RFC and the Router's secret of the epoch. */
export function selectionSeed(rfcHash: Hex, epochSecret: Hex): Hex {
  return hashPair(rfcHash, epochSecret);
}

/** Ranks the Offers for one RFC; see the head of this file. */
export function rankOffers(options: {
  readonly wish: Wish;
  readonly candidates: readonly Candidate[];
  readonly seed: Hex;
}): Ranking {
  const { wish, candidates, seed } = options;
  const fit: Candidate[] = [];
  const refused: { candidate: Candidate; reason: string }[] = [];
  for (const candidate of candidates) {
    const reason = reasonAgainst(candidate, wish);
    if (reason === undefined) fit.push(candidate);
    else refused.push({ candidate, reason });
  }
  const lots = new Map(fit.map(({ offerHash }) => [offerHash, hashPair(seed, offerHash)]));
  fit.sort((a, b) => compareCandidates(a, b, wish) || compareLots(lots, a, b));
  const explores = drawsExploration(seed) && allowsExploration(wish);
  const newcomer = explores ? pickNewcomer(fit, lots) : undefined;
  const allowance = allowanceRuleOf(wish, candidates);
  if (newcomer === undefined) return { ranked: fit, refused, explored: false, allowance };
  const others = fit.filter((candidate) => candidate !== newcomer);
  return { ranked: [newcomer, ...others], refused, explored: true, allowance };
}

/** Says for each Offer why it was or was not taken; its hash goes into the Ticket. */
export function explainSelection(options: {
  readonly rfcHash: Hex;
  readonly wish: Wish;
  readonly ranking: Ranking;
  readonly chosen: Hex;
  /** Offers that were asked before and did not answer or said no. */
  readonly unanswered: ReadonlyMap<Hex, string>;
  /** What holds for the Offer that was chosen. */
  readonly allowance: AllowanceRule;
}): SelectionExplanation {
  const { rfcHash, wish, ranking, chosen, unanswered, allowance } = options;
  const winner = ranking.ranked.find(({ offerHash }) => offerHash === chosen);
  const outcomes = ranking.ranked.map((candidate) => {
    if (candidate === winner) return entry(candidate, "chosen");
    const silent = unanswered.get(candidate.offerHash);
    if (silent !== undefined) return entry(candidate, silent);
    const first = ranking.explored && winner === ranking.ranked[0];
    return entry(candidate, first ? "newcomer-preferred" : reasonLost(candidate, winner, wish));
  });
  const rest = ranking.refused.map(({ candidate, reason }) => entry(candidate, reason));
  return { rfcHash, allowance, considered: [...outcomes, ...rest] };
}

/** The hash of an explanation's RFC 8785 form. */
export function whyHashOf(why: SelectionExplanation): Hex {
  const text = canonicalize(why) as string;
  // Each RFC comes through here, and `Uint8Array.from` with a function takes ten times as long.
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index);
  return keccak256Hex(bytes);
}

function entry(candidate: Candidate, outcome: string): SelectionExplanation["considered"][number] {
  const { offerHash, provider, totalWeiPerSecond } = candidate;
  return { offerHash, provider, totalWeiPerSecond: totalWeiPerSecond.toString(), outcome };
}

function reasonAgainst(candidate: Candidate, wish: Wish): string | undefined {
  const { only, ignore } = wish.routing ?? {};
  const unfit = candidate.barred ?? reasonUnfit(candidate, wish);
  if (unfit !== undefined) return unfit;
  if (only !== undefined && !only.includes(candidate.provider)) return "not-among-only";
  if (ignore?.includes(candidate.provider) === true) return "ignored";
  return candidate.freeSlots <= 0 ? "slots-full" : undefined;
}

function reasonUnfit(candidate: Candidate, wish: Wish): string | undefined {
  if (candidate.totalWeiPerSecond > wish.maxWeiPerSecond) return "price-above-cap";
  if (candidate.offeredMilliTps < wish.minMilliTps) return "offered-too-slow";
  const measured = measuredOf(candidate);
  return measured > 0 && measured < wish.minMilliTps ? "measured-too-slow" : undefined;
}

function allowanceRuleOf(wish: Wish, candidates: readonly Candidate[]): AllowanceRule {
  const { only = [], order = [], ignore = [] } = wish.routing ?? {};
  if (only.length > 0 || order.length > 0) return "providers-named";
  if (ignore.length === 0) return "may-pay";
  // Full ones count: that slots are taken at this moment singles nobody out.
  const fit = candidates.filter((candidate) => {
    return candidate.barred === undefined && reasonUnfit(candidate, wish) === undefined;
  });
  const ignored = fit.filter(({ provider }) => ignore.includes(provider));
  if (ignored.every(({ provider }) => wish.failedBy?.includes(provider) === true)) return "may-pay";
  const left = fit.length - ignored.length;
  return left >= ignoreLeavesMin && left >= ignored.length ? "may-pay" : "too-many-ignored";
}

/** One way in which an Offer can be behind another, and what is said of it then. */
interface Criterion {
  readonly reason: string;
  /** Negative where `a` is before `b`. */
  readonly compare: (a: Candidate, b: Candidate, wish: Wish) => number;
}

/** In the order of their weight; the lot decides among those that are equal in all. */
const criteria: readonly Criterion[] = [
  { reason: "named-later", compare: (a, b, wish) => placeOf(a, wish) - placeOf(b, wish) },
  { reason: "often-failed", compare: (a, b) => Number(hasFailed(a)) - Number(hasFailed(b)) },
  {
    reason: "far-slower-than-offered",
    compare: (a, b) => Number(isOverstated(a)) - Number(isOverstated(b)),
  },
  {
    reason: "latency-above-wish",
    compare: (a, b, wish) => Number(isLate(a, wish)) - Number(isLate(b, wish)),
  },
  {
    reason: "slower",
    compare: (a, b, wish) => (wish.routing?.sort === "throughput" ? speedOf(b) - speedOf(a) : 0),
  },
  {
    reason: "later",
    compare: (a, b, wish) => (wish.routing?.sort === "latency" ? latencyOf(a) - latencyOf(b) : 0),
  },
  { reason: "dearer", compare: comparePrices },
  { reason: "poorer-record", compare: (a, b) => demerits(a) - demerits(b) },
];

function compareCandidates(a: Candidate, b: Candidate, wish: Wish): number {
  for (const { compare } of criteria) {
    const order = compare(a, b, wish);
    if (order !== 0) return order;
  }
  return 0;
}

function reasonLost(loser: Candidate, winner: Candidate | undefined, wish: Wish): string {
  if (winner === undefined) return "not-asked";
  return criteria.find(({ compare }) => compare(loser, winner, wish) !== 0)?.reason ?? "lot";
}

function placeOf({ provider }: Candidate, wish: Wish): number {
  const order = wish.routing?.order ?? [];
  const place = order.indexOf(provider);
  return place === -1 ? order.length : place;
}

function hasFailed({ standing }: Candidate): boolean {
  return isJudged(standing) && standing.failed * 2 > standing.sessions;
}

function isOverstated(candidate: Candidate): boolean {
  const measured = measuredOf(candidate);
  return measured > 0 && measured * 2 < candidate.offeredMilliTps;
}

function isLate({ standing }: Candidate, wish: Wish): boolean {
  return wish.maxLatencyMs > 0 && standing.ttftMs > wish.maxLatencyMs;
}

/** What Sessions showed, or where that is not known yet, what is offered. */
function speedOf(candidate: Candidate): number {
  const measured = measuredOf(candidate);
  return measured > 0 ? Math.min(measured, candidate.offeredMilliTps) : candidate.offeredMilliTps;
}

function latencyOf({ standing }: Candidate): number {
  return standing.ttftMs > 0 ? standing.ttftMs : Number.MAX_SAFE_INTEGER;
}

/** The measured speed once there are enough Sessions to judge by; 0 before. */
function measuredOf({ standing }: Candidate): number {
  return isJudged(standing) ? standing.measuredMilliTps : 0;
}

function comparePrices(a: Candidate, b: Candidate): number {
  if (a.totalWeiPerSecond === b.totalWeiPerSecond) return 0;
  return a.totalWeiPerSecond < b.totalWeiPerSecond ? -1 : 1;
}

/** Tenths of failed Sessions, and of the speed that was offered but not measured. */
function demerits({ standing, offeredMilliTps }: Candidate): number {
  if (!isJudged(standing)) return 0;
  const failed = Math.floor((standing.failed * 10) / standing.sessions);
  if (standing.measuredMilliTps === 0 || offeredMilliTps === 0) return failed;
  const reached = Math.floor((standing.measuredMilliTps * 10) / offeredMilliTps);
  // One tenth is noise: a Provider is not ranked down for a busy moment.
  return failed + Math.max(0, 9 - reached);
}

function drawsExploration(seed: Hex): boolean {
  return Number(`0x${seed.slice(2, 10)}`) % explorationPeriod === 0;
}

/** Who names an order, or wishes for the fastest, is not sent to somebody unknown instead. */
function allowsExploration({ routing }: Wish): boolean {
  const { order = [], sort = "price" } = routing ?? {};
  return order.length === 0 && sort === "price";
}

function pickNewcomer(
  fit: readonly Candidate[],
  lots: ReadonlyMap<Hex, Hex>,
): Candidate | undefined {
  const prices = fit.map(({ totalWeiPerSecond }) => totalWeiPerSecond);
  const cheapest = prices.reduce((low, price) => (price < low ? price : low), prices[0] ?? 0n);
  return fit
    .filter(({ standing }) => !isJudged(standing))
    .filter(({ totalWeiPerSecond }) => {
      return totalWeiPerSecond * 100n <= cheapest * explorationPricePercent;
    })
    .sort((a, b) => compareLots(lots, a, b))[0];
}

function compareLots(lots: ReadonlyMap<Hex, Hex>, a: Candidate, b: Candidate): number {
  return (lots.get(a.offerHash) as Hex) < (lots.get(b.offerHash) as Hex) ? -1 : 1;
}

function hashPair(first: Hex, second: Hex): Hex {
  const bytes = new Uint8Array(64);
  bytes.set(fromHex(first), 0);
  bytes.set(fromHex(second), 32);
  return toHex(keccak256(bytes));
}
