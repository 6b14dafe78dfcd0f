/*
 * The Provider's process: pulls its model, loads it, measures it, offers it, serves it.
 */
import { formatHandle, LakeError } from "@lake-travis/protocol";
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
import { IpfsNode, pullModel } from "@lake-travis/registry";
import { createLlamaChild } from "./engine/create-llama-child.ts";
import { ProviderNode } from "./provider-node.ts";
import { readFlags } from "./provider-flags.ts";

await runUntilStopped(async (signal) => {
  const flags = readFlags(process.argv.slice(2));
  const folder = await openDataFolder(flags.dataDir);
  const deployment = readDeployment(flags.deployment);
  const logger = createLogger({ name: "provider" });
  const chain = connectChain(deployment);
  const storage = new IpfsNode({ dataDir: folder.path });
  await storage.start();
  const pulled = await pullModel({
    node: storage,
    names: createModelNames(chain, systemRandom),
    handle: flags.model,
    holders: flags.holders,
    signal,
  });
  if (pulled.weightsPath === undefined) {
    throw new LakeError("format-refused", `${flags.model} has no weights to serve.`);
  }
  const { weightsPath: modelPath, version } = pulled;
  const node = new ProviderNode({
    deployment,
    dataDir: folder.path,
    account: flags.account,
    routerUrl: flags.router,
    host: flags.host,
    port: flags.port,
    ...(flags.publicUrl === undefined ? {} : { publicUrl: flags.publicUrl }),
    models: [
      {
        handle: formatHandle(pulled.handle),
        manifestDigest: version.manifestDigest,
        weiPerSecond: flags.weiPerSecond,
        minSeconds: flags.minSeconds,
        engine: createLlamaChild({ modelPath, slots: flags.slots, gpu: flags.gpu }, systemClock),
      },
    ],
    directory: createNodeDirectory(chain),
    clock: systemClock,
    random: systemRandom,
    logger,
  });
  await node.start();
  return {
    ready: {
      ...node.facts,
      gatewayUrl: storage.gatewayUrl,
      manifestDigest: version.manifestDigest,
      modelBytes: pulled.manifest.layers.reduce((sum, layer) => sum + layer.bytes, 0),
      fetchedBytes: pulled.fetchedBytes,
      holders: pulled.holders.length,
    },
    stop: async () => {
      await node.stop();
      await storage.stop();
      chain.close();
      folder.close();
    },
  };
});
