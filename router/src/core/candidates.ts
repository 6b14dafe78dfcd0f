import {
  type Address,
  type AllowanceRule,
  type Candidate,
  fromHex,
  newcomerStanding,
  type Payee,
  payeeKinds,
  priceCapOf,
  pricePerSecond,
  rankOffers,
  type Ranking,
  selectionSeed,
  type Wish,
} from "@lake-travis/protocol";
import { coreLimits } from "./core-limits.ts";
import { builderPrice, nameIn } from "./models.ts";
import { providerOf } from "./providers.ts";
import type { HeldOffer, PendingRfc, RouterState } from "./state.ts";
import { isSuspended } from "./suspension.ts";

/** Of the places in a ranking a quarter goes by lot, so that dearer Offers are seen too. */
const drawnShareDivisor = 4;

/** Ranks the Offers for an RFC as they are now. */
export function rank(state: RouterState, pending: PendingRfc, at: number): Ranking {
  const { message: rfc } = pending.rfc;
  const name = nameIn(rfc.model);
  const candidates: Candidate[] = [];
  for (const key of state.offersByDigest.get(pending.digest) ?? []) {
    const offer = state.offers.get(key) as HeldOffer;
    if (nameIn(offer.signed.message.model) !== name) continue;
    candidates.push(candidateOf(state, offer, pending, at));
  }
  const seed = selectionSeed(pending.hash, state.epochSecret);
  const wish = wishOf(state, pending);
  pending.ranking = rankOffers({ wish, candidates: shortlist(candidates, seed, wish), seed });
  return pending.ranking;
}

/** What the User wishes, with what happened to it in this epoch. */
export function wishOf(state: RouterState, pending: PendingRfc): Wish {
  const { maxWeiPerSecond, minMilliTps, maxLatencyMs } = pending.rfc.message;
  const figures = { maxWeiPerSecond, minMilliTps, maxLatencyMs };
  if (pending.wish === null) return figures;
  const user = state.users.get(pending.user);
  const failedBy = user?.epoch === state.openEpoch ? user.failedBy : [];
  return { ...figures, routing: pending.wish, failedBy };
}

/** Whether the allowance may pay an Offer of a ranking: its own price counts too. */
export function allowanceRuleFor(
  state: RouterState,
  offer: HeldOffer,
  ranking: Ranking,
): AllowanceRule {
  const { hardwareClass, weiPerSecond } = offer.signed.message;
  if (ranking.allowance !== "may-pay") return ranking.allowance;
  const cap = priceCapOf(state.priceCaps, hardwareClass);
  return weiPerSecond > cap ? "price-above-median" : "may-pay";
}

/**
 * Payees as they were last found for an Offer, so that its Sessions share one list. Not part of the
 * state: whether it is used changes no result.
 */
const lastPayees = new WeakMap<HeldOffer, readonly Payee[]>();

/** Everyone who is paid for a second of an Offer. */
export function payeesOf(state: RouterState, offer: HeldOffer): readonly Payee[] {
  const last = lastPayees.get(offer);
  const now = findPayees(state, offer);
  if (last !== undefined && isSame(last, now)) return last;
  lastPayees.set(offer, now);
  return now;
}

function isSame(a: readonly Payee[], b: readonly Payee[]): boolean {
  const same = (payee: Payee, index: number): boolean => {
    const other = b[index];
    return payee.account === other?.account && payee.weiPerSecond === other.weiPerSecond;
  };
  return a.length === b.length && a.every(same);
}

function findPayees(state: RouterState, offer: HeldOffer): Payee[] {
  const { provider, weiPerSecond, manifestDigest, model } = offer.signed.message;
  const name = nameIn(model);
  const payees: Payee[] = [{ account: provider, kind: payeeKinds.provider, weiPerSecond }];
  const version = state.versions.get(`${name}@${manifestDigest}`);
  const isAgent = version?.kind === "agent";
  payees.push(
    builderPayee(state, name, isAgent ? payeeKinds.agentBuilder : payeeKinds.modelBuilder),
  );
  const baseName = isAgent ? state.firstNames.get(version.baseDigest) : undefined;
  if (baseName !== undefined) payees.push(builderPayee(state, baseName, payeeKinds.modelBuilder));
  return payees;
}

function builderPayee(state: RouterState, name: string, kind: number): Payee {
  const account = state.names.get(name)?.builder as Address;
  return { account, kind, weiPerSecond: builderPrice(state, name, state.openEpoch) };
}

function candidateOf(
  state: RouterState,
  offer: HeldOffer,
  pending: PendingRfc,
  at: number,
): Candidate {
  const { message } = offer.signed;
  const barred = barredBecause(state, offer, pending, at);
  return {
    offerHash: offer.hash,
    provider: message.provider,
    totalWeiPerSecond: pricePerSecond(payeesOf(state, offer)),
    offeredMilliTps: message.milliTps,
    freeSlots: message.slots - offer.used,
    standing: state.standings.get(offer.key) ?? newcomerStanding,
    ...(barred === undefined ? {} : { barred }),
  };
}

function barredBecause(
  state: RouterState,
  offer: HeldOffer,
  pending: PendingRfc,
  at: number,
): string | undefined {
  const { provider, validUntil } = offer.signed.message;
  if (state.nodes.get(provider)?.kind !== "provider") return "not-registered";
  if (validUntil <= at) return "expired";
  if (isSuspended(state, provider)) return "suspended";
  if (providerOf(state, provider).silent) return "silent";
  return pending.unanswered.get(offer.hash);
}

/**
 * As many candidates as are considered for one RFC: those that the wish names, the cheapest that
 * can be asked now, and some of the others by lot, so that nobody is overlooked for ever.
 */
function shortlist(candidates: Candidate[], seed: string, wish: Wish): Candidate[] {
  const most = coreLimits.candidatesMax;
  if (candidates.length <= most) return candidates;
  const { order = [], only = [] } = wish.routing ?? {};
  const weight = ({ provider, barred, freeSlots }: Candidate): number => {
    if (order.includes(provider) || only.includes(provider)) return 0;
    return barred === undefined && freeSlots > 0 ? 1 : 2;
  };
  const weighed = candidates.map((candidate) => ({ candidate, weight: weight(candidate) }));
  weighed.sort((a, b) => a.weight - b.weight || compare(a.candidate, b.candidate));
  const sorted = weighed.map(({ candidate }) => candidate);
  const drawn = Math.floor(most / drawnShareDivisor);
  const first = sorted.slice(0, most - drawn);
  const rest = sorted.slice(most - drawn);
  const start = new DataView(fromHex(seed).buffer).getUint32(0) % rest.length;
  const turned = [...rest.slice(start), ...rest.slice(0, start)];
  return [...first, ...turned.slice(0, drawn)];
}

function compare(a: Candidate, b: Candidate): number {
  if (a.totalWeiPerSecond !== b.totalWeiPerSecond) {
    return a.totalWeiPerSecond < b.totalWeiPerSecond ? -1 : 1;
  }
  return a.offerHash < b.offerHash ? -1 : 1;
}
