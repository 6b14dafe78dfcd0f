import type { DemandRow, EpochRollup, Histogram, RollupRow } from "./leaderboard-rollup.ts";
import { rollupSubBits } from "./leaderboard-rollup.ts";
import { bucketMiddle } from "./verdicts/log-bucket.ts";

/** The tenth, the middle and the ninetieth of a hundred. */
export interface Quantiles {
  readonly p10: number;
  readonly p50: number;
  readonly p90: number;
}

/** One place of a leaderboard. Amounts are decimal wei, shares per mille. */
export interface LeaderboardRow {
  readonly name: string;
  readonly sessions: number;
  readonly requests: number;
  readonly seconds: number;
  readonly tokens: number;
  readonly wei: string;
  readonly providerWei: string;
  readonly providers: number;
  /** Of all seconds. */
  readonly sharePerMille: number;
  /** Seconds of the newer half of the epochs against the older half; null where one has none. */
  readonly growthPerMille: number | null;
  readonly passPerMille: number;
  /** Sessions that were not left by their Provider. */
  readonly uptimePerMille: number;
  /** Wei per second, weighted by seconds. */
  readonly price: Quantiles;
  readonly milliTps: Quantiles;
  /** Speed against the Offer. */
  readonly keptPerMille: Quantiles;
}

/** What nobody could serve. */
export interface UnmetDemand {
  readonly model: string;
  /** Users and epochs in which they asked, and in which they got nothing. */
  readonly asked: number;
  readonly unserved: number;
  /** The highest price bucket among those that were not served, decimal wei per second. */
  readonly offeredWei: string;
}

/** A leaderboard over some epochs. */
export interface Leaderboard {
  readonly fromEpoch: number;
  readonly toEpoch: number;
  readonly models: readonly LeaderboardRow[];
  readonly providers: readonly LeaderboardRow[];
  readonly builders: readonly LeaderboardRow[];
  readonly unmet: readonly UnmetDemand[];
  /** Rows that fewer than {@link usersShownMin} Users stand behind, and which are left out. */
  readonly suppressed: number;
}

/** Rows of fewer Users are left out, so that a lone User does not show. */
export const usersShownMin = 3;

/** Adds rollups up to a leaderboard, the most used first. Small counts are left out. */
export function leaderboardOf(rollups: readonly EpochRollup[]): Leaderboard {
  const epochs = rollups.map(({ epoch }) => epoch);
  const [fromEpoch, toEpoch] = [Math.min(...epochs), Math.max(...epochs)];
  const middle = (fromEpoch + toEpoch) / 2;
  let suppressed = 0;
  const ranked = (pick: (rollup: EpochRollup) => readonly RollupRow[]): LeaderboardRow[] => {
    const parts = new Map<string, Part[]>();
    for (const rollup of rollups) {
      for (const row of pick(rollup)) {
        // A row is judged epoch by epoch: sums over epochs must not reveal a small one either.
        if (row.users < usersShownMin) suppressed += 1;
        else parts.set(row.name, [...(parts.get(row.name) ?? []), { row, epoch: rollup.epoch }]);
      }
    }
    return rankedRows(parts, middle);
  };
  return {
    ...{ fromEpoch, toEpoch },
    models: ranked(({ models }) => models),
    providers: ranked(({ providers }) => providers),
    builders: ranked(({ builders }) => builders),
    unmet: unmetOf(rollups.flatMap(({ demand }) => demand)),
    suppressed,
  };
}

/** What a model would earn a newcomer, by the last epochs. Amounts are decimal wei per epoch. */
export interface ModelEarnings {
  readonly model: string;
  readonly providers: number;
  /** What its Providers earn together in an epoch. */
  readonly weiPerEpoch: string;
  /** What one more Provider would earn if it got as much as each other one. */
  readonly expectedWei: string;
  /** The median whole price in wei per second. */
  readonly weiPerSecond: number;
  /** Users who asked for it in vain. */
  readonly unserved: number;
}

/** Which models pay a Provider best, the best first: for `lake models top`. */
export function modelEarnings(board: Leaderboard): ModelEarnings[] {
  const epochs = BigInt(board.toEpoch - board.fromEpoch + 1);
  const unmet = new Map(board.unmet.map((each) => [each.model, each]));
  const earnings = board.models.map((row): ModelEarnings => {
    const weiPerEpoch = BigInt(row.providerWei) / epochs;
    const expected = weiPerEpoch / BigInt(row.providers + 1);
    return {
      model: row.name,
      providers: row.providers,
      weiPerEpoch: weiPerEpoch.toString(),
      expectedWei: expected.toString(),
      weiPerSecond: row.price.p50,
      unserved: unmet.get(row.name)?.unserved ?? 0,
    };
  });
  const byWei = (a: ModelEarnings, b: ModelEarnings): number =>
    Number(BigInt(b.expectedWei) - BigInt(a.expectedWei));
  return earnings.sort((a, b) => byWei(a, b) || b.unserved - a.unserved);
}

/** A leaderboard's rows as CSV (RFC 4180), with a line of names. */
export function leaderboardCsv(rows: readonly LeaderboardRow[]): string {
  const columns = [
    ...["name", "sessions", "requests", "seconds", "tokens", "wei", "providerWei", "providers"],
    ...["sharePerMille", "growthPerMille", "passPerMille", "uptimePerMille"],
  ] as (keyof LeaderboardRow)[];
  const spread = ["price", "milliTps", "keptPerMille"] as const;
  const head = [
    ...columns,
    ...spread.flatMap((name) => [`${name}P10`, `${name}P50`, `${name}P90`]),
  ];
  const lines = rows.map((row) => {
    const plain = columns.map((name) => {
      const value = row[name];
      return typeof value === "string" || typeof value === "number" ? String(value) : "";
    });
    const quantiles = spread.flatMap((name) => [row[name].p10, row[name].p50, row[name].p90]);
    return [...plain, ...quantiles].join(",");
  });
  return `${[head.join(","), ...lines].join("\r\n")}\r\n`;
}

interface Part {
  readonly row: RollupRow;
  readonly epoch: number;
}

function rankedRows(parts: ReadonlyMap<string, readonly Part[]>, middle: number): LeaderboardRow[] {
  const total = [...parts.values()].flat().reduce((sum, { row }) => sum + row.seconds, 0);
  return [...parts]
    .map(([name, list]) => rowOf(name, list, { total, middle }))
    .sort((a, b) => b.seconds - a.seconds || (a.name < b.name ? -1 : 1));
}

function rowOf(
  name: string,
  parts: readonly Part[],
  all: { readonly total: number; readonly middle: number },
): LeaderboardRow {
  const rows = parts.map(({ row }) => row);
  const sum = (pick: (row: RollupRow) => number): number =>
    rows.reduce((total, row) => total + pick(row), 0);
  const wei = (pick: (row: RollupRow) => string): string =>
    rows.reduce((total, row) => total + BigInt(pick(row)), 0n).toString();
  const secondsOf = (isNew: boolean): number =>
    parts
      .filter(({ epoch }) => epoch > all.middle === isNew)
      .reduce((total, { row }) => total + row.seconds, 0);
  const [older, newer] = [secondsOf(false), secondsOf(true)];
  const sessions = sum((row) => row.sessions);
  const seconds = sum((row) => row.seconds);
  return {
    ...{ name, sessions, seconds },
    requests: sum((row) => row.requests),
    tokens: sum((row) => row.tokens),
    wei: wei((row) => row.wei),
    providerWei: wei((row) => row.providerWei),
    providers: Math.max(...rows.map((row) => row.providers)),
    sharePerMille: perMille(seconds, all.total),
    growthPerMille: older === 0 || newer === 0 ? null : perMille(newer, older) - 1000,
    passPerMille: perMille(
      sum((row) => row.passed),
      sessions,
    ),
    uptimePerMille:
      1000 -
      perMille(
        sum((row) => row.left),
        sessions,
      ),
    price: quantilesOf(rows.map((row) => row.price)),
    milliTps: quantilesOf(rows.map((row) => row.speed)),
    keptPerMille: quantilesOf(rows.map((row) => row.kept)),
  };
}

function perMille(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part * 1000) / whole);
}

function quantilesOf(histograms: readonly Histogram[]): Quantiles {
  const merged = new Map<number, number>();
  let total = 0;
  for (const [bucket, count] of histograms.flat()) {
    merged.set(bucket, (merged.get(bucket) ?? 0) + count);
    total += count;
  }
  const sorted = [...merged].sort(([a], [b]) => a - b);
  const at = (share: number): number => {
    let left = total * share;
    for (const [bucket, count] of sorted) {
      left -= count;
      if (left <= 0) return bucketMiddle(bucket, rollupSubBits);
    }
    return 0;
  };
  return { p10: at(0.1), p50: at(0.5), p90: at(0.9) };
}

function unmetOf(demand: readonly DemandRow[]): UnmetDemand[] {
  const byModel = new Map<string, UnmetDemand>();
  for (const { model, asked, unserved, priceBucketWei } of demand) {
    const known = byModel.get(model) ?? { model, asked: 0, unserved: 0, offeredWei: "0" };
    const higher = unserved > 0 && BigInt(priceBucketWei) > BigInt(known.offeredWei);
    byModel.set(model, {
      model,
      asked: known.asked + asked,
      unserved: known.unserved + unserved,
      offeredWei: higher ? priceBucketWei : known.offeredWei,
    });
  }
  return [...byModel.values()]
    .filter(({ unserved }) => unserved > 0)
    .sort((a, b) => b.unserved - a.unserved || (a.model < b.model ? -1 : 1));
}
