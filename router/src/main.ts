/* The Router's process; with --shards the front of several, each of which is started from here. */
import { fork } from "node:child_process";
import { join } from "node:path";
import { LakeError } from "@lake-travis/protocol";
import {
  createLogger,
  loadOrCreateKey,
  openDataFolder,
  readKey,
  reportFailure,
  runUntilStopped,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import {
  connectChain,
  createRouterChain,
  readDeployment,
  requireContracts,
} from "@lake-travis/platform/chain";
import { IpfsNode } from "@lake-travis/registry";
import { readRouterFlags, type RouterFlags } from "./router-flags.ts";
import { RouterNode } from "./router-node.ts";
import { ShardFront } from "./shards/shard-front.ts";
import type { ShardOptions } from "./shards/shard-place.ts";

const args = process.argv.slice(2);
const mapFileName = "shards.json";
const shardKeyName = "shard.key";

await runUntilStopped(async () => {
  const flags = readRouterFlags(args);
  const isFront = flags.shards > 1 && flags.shard === undefined;
  return isFront ? await startFront(flags) : await startRouter(flags);
});

async function startRouter(flags: RouterFlags) {
  const deployment = readDeployment(flags.deployment);
  const { dataDir, logFile } = flags;
  const own = flags.shard === undefined ? dataDir : join(dataDir, `shard-${flags.shard}`);
  const folder = await openDataFolder(own);
  const logger = createLogger({
    name: "router",
    ...(logFile === undefined ? {} : { file: logFile }),
  });
  const chain = connectChain(deployment);
  await requireContracts(chain);
  const signingKey = loadOrCreateKey(join(dataDir, "signing.key"));
  // Whoever pays the gas of a settlement need not be the signer, and should not be the staker.
  const posterKey =
    flags.posterKeyFile === undefined
      ? loadOrCreateKey(join(dataDir, "poster.key"))
      : readKey(flags.posterKeyFile);
  const ipfs = new IpfsNode({ dataDir: folder.path, host: flags.host });
  await ipfs.start();
  const node = new RouterNode({
    ...{ deployment, signingKey, ipfs, logger },
    ...shardOf(flags),
    dataDir: folder.path,
    account: flags.account,
    host: flags.host,
    port: flags.port,
    requestsPerSecondMax: flags.requestsPerSecondMax,
    databaseUrl: flags.databaseUrl ?? `sqlite:${join(folder.path, "projection.db")}`,
    rebuildsProjection: flags.rebuildsProjection,
    chain: createRouterChain(chain, chain.as(posterKey)),
    clock: systemClock,
    random: systemRandom,
  });
  await node.start();
  node.failed.catch((error: unknown) => {
    // Without a journal no promise can be kept; what was promised is on the disk.
    reportFailure(error);
    process.exit(1);
  });
  return {
    ready: { ...node.facts, gatewayUrl: ipfs.gatewayUrl },
    stop: async () => {
      await node.stop();
      await ipfs.stop();
      chain.close();
      folder.close();
    },
  };
}

function shardOf({ shard, shards, dataDir }: RouterFlags): { readonly shard?: ShardOptions } {
  if (shard === undefined) return {};
  const secret = readKey(join(dataDir, shardKeyName));
  const mapFile = join(dataDir, mapFileName);
  return { shard: { index: shard, count: shards, secret, mapFile } };
}

async function startFront(flags: RouterFlags) {
  const { dataDir, shards: count, host, port, logFile } = flags;
  const folder = await openDataFolder(dataDir);
  // Made before the shards start, so that all of them find the same.
  for (const name of ["signing.key", "poster.key"]) loadOrCreateKey(join(folder.path, name));
  const logger = createLogger({
    name: "front",
    ...(logFile === undefined ? {} : { file: logFile }),
  });
  const [entry] = process.argv.slice(1);
  if (entry === undefined) throw new LakeError("internal", "This process has no entry file.");
  const front = new ShardFront({
    ...{ count, host, port, logger },
    clock: systemClock,
    mapFile: join(folder.path, mapFileName),
    secret: loadOrCreateKey(join(folder.path, shardKeyName)),
    launch: (index, shardPort) => {
      const log = logFile === undefined ? [] : ["--log-file", `${logFile}.${index}`];
      const own = ["--shard", String(index), "--port", String(shardPort), ...log];
      // Where a flag comes twice the last one counts.
      return fork(entry, [...args, ...own], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    },
  });
  await front.start();
  return {
    ready: { ...front.supervisor.facts, url: front.url },
    stop: async () => {
      await front.stop();
      folder.close();
    },
  };
}
