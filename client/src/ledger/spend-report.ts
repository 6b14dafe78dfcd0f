import type { LedgerSession, SessionUse } from "./ledger-store.ts";
import { busyMsOf, costOf, shareByKey } from "./session-cost.ts";

/** What spending can be sorted by. */
export const spendGroups = ["day", "model", "key", "provider"] as const;
/** See {@link spendGroups}. */
export type SpendGroup = (typeof spendGroups)[number];

/** One line of a report; amounts are wei. */
export interface SpendLine {
  readonly name: string;
  readonly wei: bigint;
  readonly sessions: number;
  readonly requests: number;
  readonly tokens: number;
}

/** A report whose lines add up to its sums exactly. */
export interface SpendReport {
  readonly lines: readonly SpendLine[];
  readonly wei: bigint;
  readonly sessions: number;
  /** Sessions whose charge is not final: before it is known, all that was signed counts. */
  readonly unsettled: number;
  /** Percent of the paid seconds in which no request was under way. */
  readonly idlePercent: number;
}

/** A Session with what used it. */
export interface UsedSession {
  readonly session: LedgerSession;
  readonly uses: readonly SessionUse[];
}

/** Spending without a bearer key. */
const noKey = "(no key)";

/** Adds Sessions up by day, model, key or Provider; the dearest first, days in their order. */
export function spendReport(used: readonly UsedSession[], by: SpendGroup): SpendReport {
  const lines = new Map<string, SpendLine>();
  for (const each of used) {
    for (const part of partsOf(each, by)) {
      const before = lines.get(part.name);
      lines.set(part.name, before === undefined ? part : sumOf(before, part));
    }
  }
  const sorted = [...lines.values()].sort((a, b) => {
    if (by === "day" || a.wei === b.wei) return a.name < b.name ? -1 : 1;
    return a.wei > b.wei ? -1 : 1;
  });
  return {
    lines: sorted,
    wei: used.reduce((sum, { session }) => sum + costOf(session), 0n),
    sessions: used.length,
    unsettled: used.filter(({ session }) => !session.isFinal).length,
    idlePercent: idlePercentOf(used),
  };
}

function partsOf({ session, uses }: UsedSession, by: SpendGroup): readonly SpendLine[] {
  const cost = costOf(session);
  if (by !== "key") return [lineOf(session[by], cost, uses)];
  return [...shareByKey(cost, uses)].map(([key, wei]) =>
    lineOf(
      key ?? noKey,
      wei,
      uses.filter((use) => use.key === key),
    ),
  );
}

function lineOf(name: string, wei: bigint, uses: readonly SessionUse[]): SpendLine {
  const tokens = uses.reduce((sum, use) => sum + use.tokens, 0);
  return { name, wei, sessions: 1, requests: uses.length, tokens };
}

function sumOf(a: SpendLine, b: SpendLine): SpendLine {
  return {
    name: a.name,
    wei: a.wei + b.wei,
    sessions: a.sessions + b.sessions,
    requests: a.requests + b.requests,
    tokens: a.tokens + b.tokens,
  };
}

function idlePercentOf(used: readonly UsedSession[]): number {
  let paidMs = 0;
  let busyMs = 0;
  for (const { session, uses } of used) {
    const ownMs = (session.chargedSeconds ?? session.signedSeconds) * 1000;
    paidMs += ownMs;
    busyMs += Math.min(ownMs, busyMsOf(uses));
  }
  return paidMs === 0 ? 0 : Math.round(((paidMs - busyMs) * 1000) / paidMs) / 10;
}
