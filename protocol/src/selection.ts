/*
 * Which Offer an RFC gets. A pure function of what the Router knows, with an explanation that
 * anyone can replay: the Router committed to its epoch secret beforehand and reveals it afterwards,
 * so that it cannot have picked the lot that suited it.
 *
 * Method (DESIGN.md section 2, step 4): what fails the wish is out. The rest is ranked by: known to
 * fail more often than not (last), meets the latency wish, cheapest whole price, better record,
 * lot. One RFC in twenty goes to a Provider with hardly any Sessions yet if it is not much dearer,
 * so that newcomers get a record and nobody is starved for ever.
 */
import canonicalize from "canonicalize";
import type { SelectionExplanation } from "./api.ts";
import { type Address, fromHex, type Hex, toHex } from "./hex.ts";
import { keccak256, keccak256Hex } from "./keccak.ts";

/** What a User wishes of an Offer; zero speed or latency is no wish. */
export interface Wish {
  /** Cap on the whole price: Provider and all Builders, in wei per second. */
  readonly maxWeiPerSecond: bigint;
  readonly minMilliTps: number;
  readonly maxLatencyMs: number;
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

/** A Provider's recent Sessions of one model, halved at each epoch so that the past fades. */
export interface Standing {
  readonly sessions: number;
  readonly failed: number;
  /** Thousandths of a token per second as signed in Ticks; 0: not known. */
  readonly measuredMilliTps: number;
  /** Time to first token as signed in Ticks; 0: not known. */
  readonly ttftMs: number;
}

/** The Offers that fit, best first, and why each of the others does not. */
export interface Ranking {
  readonly ranked: readonly Candidate[];
  readonly refused: readonly { readonly candidate: Candidate; readonly reason: string }[];
  /** Whether the first one stands there because it is new. */
  readonly explored: boolean;
}

/** One RFC in this many goes to a Provider that has no record yet. */
export const explorationPeriod = 20;

/** Below so many recent Sessions a Provider is new, and its failures and speed are not judged. */
export const standingSessionsMin = 4;

/** A new Provider is preferred only up to this many percent of the cheapest price. */
const explorationPricePercent = 125n;

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
  const newcomer = drawsExploration(seed) ? pickNewcomer(fit, lots) : undefined;
  if (newcomer === undefined) return { ranked: fit, refused, explored: false };
  const others = fit.filter((candidate) => candidate !== newcomer);
  return { ranked: [newcomer, ...others], refused, explored: true };
}

/** Says for each Offer why it was or was not taken; its hash goes into the Ticket. */
export function explainSelection(options: {
  readonly rfcHash: Hex;
  readonly wish: Wish;
  readonly ranking: Ranking;
  readonly chosen: Hex;
  /** Offers that were asked before and did not answer or said no. */
  readonly unanswered: ReadonlyMap<Hex, string>;
}): SelectionExplanation {
  const { rfcHash, wish, ranking, chosen, unanswered } = options;
  const winner = ranking.ranked.find(({ offerHash }) => offerHash === chosen);
  const outcomes = ranking.ranked.map((candidate) => {
    if (candidate === winner) return entry(candidate, "chosen");
    const silent = unanswered.get(candidate.offerHash);
    if (silent !== undefined) return entry(candidate, silent);
    const first = ranking.explored && winner === ranking.ranked[0];
    return entry(candidate, first ? "newcomer-preferred" : reasonLost(candidate, winner, wish));
  });
  const rest = ranking.refused.map(({ candidate, reason }) => entry(candidate, reason));
  return { rfcHash, considered: [...outcomes, ...rest] };
}

/** The hash of an explanation's RFC 8785 form. */
export function whyHashOf(why: SelectionExplanation): Hex {
  const text = canonicalize(why) as string;
  return keccak256Hex(Uint8Array.from(text, (char) => char.charCodeAt(0)));
}

function entry(candidate: Candidate, outcome: string): SelectionExplanation["considered"][number] {
  const { offerHash, provider, totalWeiPerSecond } = candidate;
  return { offerHash, provider, totalWeiPerSecond: totalWeiPerSecond.toString(), outcome };
}

function reasonAgainst(candidate: Candidate, wish: Wish): string | undefined {
  if (candidate.barred !== undefined) return candidate.barred;
  if (candidate.totalWeiPerSecond > wish.maxWeiPerSecond) return "price-above-cap";
  if (candidate.offeredMilliTps < wish.minMilliTps) return "offered-too-slow";
  const { measuredMilliTps, sessions } = candidate.standing;
  const measured = sessions >= standingSessionsMin && measuredMilliTps > 0;
  if (measured && measuredMilliTps < wish.minMilliTps) return "measured-too-slow";
  if (candidate.freeSlots <= 0) return "slots-full";
  return undefined;
}

function compareCandidates(a: Candidate, b: Candidate, wish: Wish): number {
  const broken = Number(isBroken(a)) - Number(isBroken(b));
  if (broken !== 0) return broken;
  const late = Number(isLate(a, wish)) - Number(isLate(b, wish));
  if (late !== 0) return late;
  if (a.totalWeiPerSecond !== b.totalWeiPerSecond) {
    return a.totalWeiPerSecond < b.totalWeiPerSecond ? -1 : 1;
  }
  return demerits(a) - demerits(b);
}

function reasonLost(loser: Candidate, winner: Candidate | undefined, wish: Wish): string {
  if (winner === undefined) return "not-asked";
  if (isBroken(loser) !== isBroken(winner)) return "often-failed";
  if (isLate(loser, wish) !== isLate(winner, wish)) return "latency-above-wish";
  if (loser.totalWeiPerSecond !== winner.totalWeiPerSecond) return "dearer";
  return demerits(loser) === demerits(winner) ? "lot" : "poorer-record";
}

function isBroken({ standing }: Candidate): boolean {
  return standing.sessions >= standingSessionsMin && standing.failed * 2 > standing.sessions;
}

function isLate({ standing }: Candidate, wish: Wish): boolean {
  return wish.maxLatencyMs > 0 && standing.ttftMs > wish.maxLatencyMs;
}

/** Tenths of failed Sessions, and of the speed that was offered but not measured. */
function demerits({ standing, offeredMilliTps }: Candidate): number {
  if (standing.sessions < standingSessionsMin) return 0;
  const failed = Math.floor((standing.failed * 10) / standing.sessions);
  if (standing.measuredMilliTps === 0 || offeredMilliTps === 0) return failed;
  const reached = Math.floor((standing.measuredMilliTps * 10) / offeredMilliTps);
  // One tenth is noise: a Provider is not ranked down for a busy moment.
  return failed + Math.max(0, 9 - reached);
}

function drawsExploration(seed: Hex): boolean {
  return Number(`0x${seed.slice(2, 10)}`) % explorationPeriod === 0;
}

function pickNewcomer(
  fit: readonly Candidate[],
  lots: ReadonlyMap<Hex, Hex>,
): Candidate | undefined {
  const prices = fit.map(({ totalWeiPerSecond }) => totalWeiPerSecond);
  const cheapest = prices.reduce((low, price) => (price < low ? price : low), prices[0] ?? 0n);
  return fit
    .filter(({ standing }) => standing.sessions < standingSessionsMin)
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
