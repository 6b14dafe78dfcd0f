/*
 * A Router in a process of its own, on real sockets and a real journal, with a simulated chain:
 * what the torture kills and the benchmark measures. Its plan is in the JSON file that argv names.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ChainEvent,
  type Deployment,
  domainOf,
  domainSeparatorOf,
  type Hex,
} from "@lake-travis/protocol";
import { createLogger, runUntilStopped, systemClock, systemRandom } from "@lake-travis/platform";
import { IpfsNode } from "@lake-travis/registry";
import { RouterNode } from "../router-node.ts";
import type { ShardOptions } from "../shards/shard-place.ts";
import { SimulatedChain } from "./simulated-chain.ts";

/** What a trial Router is told. */
export interface TrialPlan {
  readonly folder: string;
  readonly deployment: Deployment;
  readonly account: Hex;
  readonly signingKey: Hex;
  readonly port: number;
  /** Decimal wei. */
  readonly budget: string;
  /** Facts for the first block of a new chain, with their bigints as `n:<decimal>`. */
  readonly facts: string;
  /** Where it is one of several shards. */
  readonly shard?: ShardOptions;
}

/** Writes facts for {@link TrialPlan.facts}. */
export function factsToText(facts: readonly ChainEvent[]): string {
  return JSON.stringify(facts, (_, value: unknown) =>
    typeof value === "bigint" ? `n:${value}` : value,
  );
}

function factsFromText(text: string): ChainEvent[] {
  return JSON.parse(text, (_, value: unknown) =>
    typeof value === "string" && value.startsWith("n:") ? BigInt(value.slice(2)) : value,
  ) as ChainEvent[];
}

if (process.argv[1] === import.meta.filename) {
  await runUntilStopped(async () => {
    const plan = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as TrialPlan;
    const { folder, deployment, account, signingKey, port } = plan;
    const { schedule } = deployment;
    const separator = domainSeparatorOf(domainOf(deployment));
    const clock = systemClock;
    const budget = BigInt(plan.budget);
    const chain = new SimulatedChain({ clock, schedule, budget, separator });
    chain.add(...factsFromText(plan.facts));
    const ipfs = new IpfsNode({ dataDir: folder });
    await ipfs.start();
    const node = new RouterNode({
      databaseUrl: `sqlite:${folder}/projection.db`,
      ...{ deployment, account, signingKey, port, chain, ipfs, clock },
      dataDir: folder,
      host: "127.0.0.1",
      random: systemRandom,
      logger: createLogger({ name: "router", level: "warn", file: join(folder, "log") }),
      requestsPerSecondMax: 1_000_000,
      ...(plan.shard === undefined ? {} : { shard: plan.shard }),
    });
    await node.start();
    return {
      ready: node.facts,
      stop: async () => {
        await node.stop();
        await ipfs.stop();
      },
    };
  });
}
