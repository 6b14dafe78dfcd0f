/*
 * The Provider's process: pulls its models, loads, measures, offers and serves them.
 */
import {
  createLogger,
  openDataFolder,
  runUntilStopped,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import {
  connectChain,
  createModelNames,
  createNodeDirectory,
  readDeployment,
} from "@lake-travis/platform/chain";
import { IpfsNode } from "@lake-travis/registry";
import { type PreparedModel, prepareModel } from "./prepare-model.ts";
import { readFlags } from "./provider-flags.ts";
import { ProviderNode } from "./provider-node.ts";
import { renewOnSignal } from "./renew-on-signal.ts";

await runUntilStopped(async (signal) => {
  const flags = readFlags(process.argv.slice(2));
  const folder = await openDataFolder(flags.dataDir);
  const deployment = readDeployment(flags.deployment);
  const chain = connectChain(deployment);
  const storage = new IpfsNode({ dataDir: folder.path });
  await storage.start();
  const names = createModelNames(chain, systemRandom);
  const { holders } = flags;
  const prepared: PreparedModel[] = [];
  for (const terms of flags.models) {
    const sources = { storage, names, holders, signal };
    prepared.push(await prepareModel({ ...flags, ...terms }, sources));
  }
  const models = prepared.map(({ model }) => model);
  const logger = createLogger({ name: "provider" });
  const node = new ProviderNode({
    deployment,
    dataDir: folder.path,
    account: flags.account,
    routerUrl: flags.router,
    host: flags.host,
    port: flags.port,
    ...(flags.publicUrl === undefined ? {} : { publicUrl: flags.publicUrl }),
    models,
    directory: createNodeDirectory(chain),
    clock: systemClock,
    random: systemRandom,
    logger,
  });
  await node.start();
  renewOnSignal(node, logger);
  // `lake models rm` and `gc` on the same folder leave alone what is being served.
  const releases = models.map(({ manifestDigest }) => storage.hold(manifestDigest));
  return {
    ready: {
      ...node.facts,
      modelBytes: sumOf(prepared, ({ modelBytes }) => modelBytes),
      fetchedBytes: sumOf(prepared, ({ fetchedBytes }) => fetchedBytes),
      holders: Math.max(...prepared.map(({ facts }) => facts.holders)),
      gatewayUrl: storage.gatewayUrl,
      manifestDigest: models[0]?.manifestDigest,
    },
    stop: async () => {
      await node.stop();
      for (const release of releases) release();
      await storage.stop();
      chain.close();
      folder.close();
    },
  };
});

function sumOf(
  prepared: readonly PreparedModel[],
  read: (facts: PreparedModel["facts"]) => number,
): number {
  return prepared.reduce((sum, { facts }) => sum + read(facts), 0);
}
