import {
  type Address,
  demandLineOf,
  type DemandLine,
  type ErrorCode,
  priceBucketWei,
} from "@lake-travis/protocol";
import { coreLimits } from "./core-limits.ts";
import { nameIn } from "./models.ts";
import type { DemandBucket, PendingRfc, RouterState } from "./state.ts";

/** Counts a User among those who ask for a model at a price; tells whether that was news. */
export function noteAsked(state: RouterState, pending: PendingRfc): boolean {
  const bucket = bucketOf(state, pending);
  return bucket !== undefined && addUser(state, bucket.asked, pending.user);
}

/** Counts a User among those who got nothing, and why; tells whether that was news. */
export function noteUnserved(state: RouterState, pending: PendingRfc, code: ErrorCode): boolean {
  const bucket = bucketOf(state, pending);
  // What a User does to itself is no demand that a Provider could serve.
  if (bucket === undefined || code === "shutting-down") return false;
  const users = bucket.unserved.get(code) ?? new Set<Address>();
  const isNews = addUser(state, users, pending.user);
  if (isNews) bucket.unserved.set(code, users);
  return isNews;
}

/** Ends the epoch's count: its lines, without small counts, in a fixed order. */
export function takeDemand(state: RouterState, epoch: number): DemandLine[] {
  const lines: DemandLine[] = [];
  for (const [, bucket] of [...state.demand].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const reasons = [...bucket.unserved].map(([code, users]) => [code, users.size] as const);
    const unserved = new Set([...bucket.unserved.values()].flatMap((users) => [...users]));
    const line = demandLineOf({
      epoch,
      model: bucket.model,
      priceBucketWei: bucket.priceBucketWei.toString(),
      asked: bucket.asked.size,
      unserved: unserved.size,
      reasons: Object.fromEntries(reasons),
    });
    if (line !== undefined) lines.push(line);
  }
  state.demand = new Map();
  state.demandEntries = 0;
  return lines;
}

function bucketOf(state: RouterState, pending: PendingRfc): DemandBucket | undefined {
  const { model, maxWeiPerSecond } = pending.rfc.message;
  const name = nameIn(model);
  const price = priceBucketWei(maxWeiPerSecond);
  const key = `${name} ${price}`;
  if (state.demandEntries >= coreLimits.demandEntriesMax) return undefined;
  const known = state.demand.get(key);
  if (known !== undefined || state.demand.size >= coreLimits.demandBucketsMax) return known;
  const made: DemandBucket = {
    model: name,
    priceBucketWei: price,
    asked: new Set(),
    unserved: new Map(),
  };
  state.demand.set(key, made);
  return made;
}

function addUser(state: RouterState, users: Set<Address>, user: Address): boolean {
  if (users.has(user)) return false;
  users.add(user);
  state.demandEntries += 1;
  return true;
}
