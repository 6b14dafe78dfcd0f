/* The Router's process. */
import { join } from "node:path";
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
import { readRouterFlags } from "./router-flags.ts";
import { RouterNode } from "./router-node.ts";

await runUntilStopped(async () => {
  const flags = readRouterFlags(process.argv.slice(2));
  const deployment = readDeployment(flags.deployment);
  const folder = await openDataFolder(flags.dataDir);
  const { logFile } = flags;
  const logger = createLogger({
    name: "router",
    ...(logFile === undefined ? {} : { file: logFile }),
  });
  const chain = connectChain(deployment);
  await requireContracts(chain);
  const signingKey = loadOrCreateKey(join(folder.path, "signing.key"));
  // Whoever pays the gas of a settlement need not be the signer, and should not be the staker.
  const posterKey =
    flags.posterKeyFile === undefined
      ? loadOrCreateKey(join(folder.path, "poster.key"))
      : readKey(flags.posterKeyFile);
  const ipfs = new IpfsNode({ dataDir: folder.path, host: flags.host });
  await ipfs.start();
  const node = new RouterNode({
    ...{ deployment, signingKey, ipfs, logger },
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
});
