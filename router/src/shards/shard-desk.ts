/* Shard 0's side of what passes between shards: it takes reports and tells what came of them. */
import { type Address, type DemandLine, type Hex, LakeError } from "@lake-travis/protocol";
import { errorResponse, readJson } from "@lake-travis/platform";
import { shardOf } from "../core/shard-of.ts";
import type { Conduct, RouterState } from "../core/state.ts";
import type { DurableMachine } from "../durable-machine.ts";
import { endedFromText } from "../ended-text.ts";
import type { RouterApp } from "../http/router-app.ts";
import { routerLimits } from "../limits.ts";
import type { ShardPlace } from "./shard-place.ts";

/** Where shards talk to shard 0. */
export const shardPaths = { reports: "/internal/v1/reports", news: "/internal/v1/news" } as const;

/** A part of one epoch's Records on its way to shard 0. */
export interface ShardReport {
  readonly shard: number;
  readonly epoch: number;
  readonly from: number;
  /** `endedToText` of each. */
  readonly ended: readonly string[];
  readonly demand: readonly DemandLine[];
  readonly isLast: boolean;
}

/** What shard 0 tells one of the others; wei in decimals. */
export interface ShardNews {
  readonly judgedEpoch: number;
  /** Hardware class, wei per second, and epochs since one was charged. */
  readonly priceCaps: readonly (readonly [string, string, number])[];
  readonly refunded: readonly (readonly [number, string])[];
  readonly held: readonly Hex[];
  readonly upheld: readonly Hex[];
  readonly conducts: readonly (readonly [Address, Conduct])[];
}

/** Puts the paths between shards before the app's own. */
export function withShardPaths(
  app: RouterApp,
  machine: DurableMachine,
  place: ShardPlace,
): RouterApp {
  return async (request, origin) => {
    const { pathname, searchParams } = new URL(request.url);
    try {
      if (pathname === shardPaths.reports && request.method === "POST") {
        place.requireShard(request);
        const json = await readJson(request, routerLimits.shardReportBytesMax);
        await machine.require(eventOf(json as ShardReport));
        return Response.json({});
      }
      if (pathname === shardPaths.news && request.method === "GET") {
        place.requireShard(request);
        return Response.json(newsFor(machine.state, Number(searchParams.get("shard"))));
      }
    } catch (error) {
      return errorResponse(error);
    }
    return await app(request, origin);
  };
}

function eventOf({ shard, epoch, from, ended, demand, isLast }: ShardReport) {
  // Only a process that knows this Router's own secret comes so far.
  if (!Number.isSafeInteger(shard) || !Number.isSafeInteger(epoch) || !Array.isArray(ended)) {
    throw new LakeError("message-invalid", "This is no report of a shard.");
  }
  const records = ended.map((text: unknown) => endedFromText(String(text)));
  const said = { shard, epoch, from, ended: records, demand, isLast };
  return { type: "shard-reported", ...said } as const;
}

function newsFor(state: RouterState, shard: number): ShardNews {
  const isTheirs = (user: Address | undefined): boolean =>
    user !== undefined && shardOf(user, state.shard.count) === shard;
  const outcomes = [...state.ledgers.values()].flatMap((ledger) => ledger.outcomes);
  const isParty = (account: Address): boolean =>
    state.nodes.get(account)?.kind === "provider" || isTheirs(account);
  return {
    judgedEpoch: state.judgedEpoch,
    priceCaps: [...state.priceCaps].map(([name, { weiPerSecond, quietEpochs }]) => {
      return [name, weiPerSecond.toString(), quietEpochs] as const;
    }),
    refunded: [...state.refunded]
      .filter(([number]) => isTheirs(state.deposits[number]?.owner))
      .map(([number, wei]) => [number, wei.toString()]),
    held: [...state.held].filter(([, { money }]) => isTheirs(money.user)).map(([id]) => id),
    upheld: outcomes.filter(({ outcome }) => outcome === "upheld").map((each) => each.sessionId),
    conducts: [...state.conducts].filter(([account]) => isParty(account)),
  };
}
