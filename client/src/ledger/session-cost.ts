import type { LedgerSession, SessionUse } from "./ledger-store.ts";

/** What a Session costs in wei: the Router's charge, or until that is known all that was signed. */
export function costOf(session: LedgerSession): bigint {
  const seconds = session.chargedSeconds ?? session.signedSeconds;
  return BigInt(seconds) * session.weiPerSecond;
}

/**
 * Divides a Session's cost among the keys that used it, by the milliseconds of their requests. The
 * shares add up to the cost exactly: what cannot be divided goes to the first key by name. Nobody
 * used it: all of it belongs to null.
 */
export function shareByKey(
  wei: bigint,
  uses: readonly SessionUse[],
): ReadonlyMap<string | null, bigint> {
  const weights = new Map<string | null, bigint>();
  for (const { key, startedAt, endedAt } of uses) {
    // A request that was over within a millisecond has used the Session nonetheless.
    const ms = BigInt(Math.max(1, endedAt - startedAt));
    weights.set(key, (weights.get(key) ?? 0n) + ms);
  }
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0n);
  if (total === 0n) return new Map([[null, wei]]);
  const keys = [...weights.keys()].sort((a, b) => ((a ?? "") < (b ?? "") ? -1 : 1));
  const shares = new Map(keys.map((key) => [key, (wei * (weights.get(key) ?? 0n)) / total]));
  const divided = [...shares.values()].reduce((sum, share) => sum + share, 0n);
  const [first = null] = keys;
  return shares.set(first, (shares.get(first) ?? 0n) + wei - divided);
}

/** Milliseconds during which at least one request was under way. */
export function busyMsOf(uses: readonly SessionUse[]): number {
  const spans = [...uses].sort((a, b) => a.startedAt - b.startedAt);
  let busyMs = 0;
  let until = 0;
  for (const { startedAt, endedAt } of spans) {
    busyMs += Math.max(0, endedAt - Math.max(startedAt, until));
    until = Math.max(until, endedAt);
  }
  return busyMs;
}
