/*
 * The Provider's process: pulls its model, loads it, measures it, offers it, serves it.
 */
import { readFileSync } from "node:fs";
import { formatHandle, LakeError, type ModelNames, parseHandle } from "@lake-travis/protocol";
import type { Engine } from "@lake-travis/protocol/inference";
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
import { IpfsNode, pullModel, resolveVersion } from "@lake-travis/registry";
import { createLlamaChild } from "./engine/create-llama-child.ts";
import { OpenAiEngine } from "./engine/openai-engine.ts";
import { type EngineFlags, type ProviderFlags, readFlags } from "./provider-flags.ts";
import { type ModelToServe, ProviderNode } from "./provider-node.ts";

await runUntilStopped(async (signal) => {
  const flags = readFlags(process.argv.slice(2));
  const folder = await openDataFolder(flags.dataDir);
  const deployment = readDeployment(flags.deployment);
  const chain = connectChain(deployment);
  const storage = new IpfsNode({ dataDir: folder.path });
  await storage.start();
  const names = createModelNames(chain, systemRandom);
  const { model, facts } = await prepareModel(flags, { storage, names, signal });
  const node = new ProviderNode({
    deployment,
    dataDir: folder.path,
    account: flags.account,
    routerUrl: flags.router,
    host: flags.host,
    port: flags.port,
    ...(flags.publicUrl === undefined ? {} : { publicUrl: flags.publicUrl }),
    models: [model],
    directory: createNodeDirectory(chain),
    clock: systemClock,
    random: systemRandom,
    logger: createLogger({ name: "provider" }),
  });
  await node.start();
  // `lake models rm` and `gc` on the same folder leave alone what is being served.
  const release = storage.hold(model.manifestDigest);
  return {
    ready: {
      ...node.facts,
      ...facts,
      gatewayUrl: storage.gatewayUrl,
      manifestDigest: model.manifestDigest,
    },
    stop: async () => {
      await node.stop();
      release();
      await storage.stop();
      chain.close();
      folder.close();
    },
  };
});

/** What the pull has moved, for whoever started this process. */
interface PullFacts {
  readonly modelBytes: number;
  readonly fetchedBytes: number;
  readonly holders: number;
}

interface Sources {
  readonly storage: IpfsNode;
  readonly names: ModelNames;
  readonly signal: AbortSignal;
}

// A server by URL has its own copy of the weights: only the name on the chain is looked up.
async function prepareModel(
  flags: ProviderFlags,
  sources: Sources,
): Promise<{ readonly model: ModelToServe; readonly facts: PullFacts }> {
  const handle = parseHandle(flags.model);
  const { weiPerSecond, minSeconds } = flags;
  const terms = { handle: formatHandle(handle), weiPerSecond, minSeconds };
  if (flags.engine !== undefined) {
    const { manifestDigest } = await resolveVersion(sources.names, handle);
    const engine = serverEngine(flags.engine, flags.slots);
    const facts = { modelBytes: 0, fetchedBytes: 0, holders: 0 };
    return { model: { ...terms, manifestDigest, engine }, facts };
  }
  const { names, signal, storage: node } = sources;
  const { holders } = flags;
  const pulled = await pullModel({ node, names, handle: flags.model, holders, signal });
  const { weightsPath: modelPath, version, manifest, fetchedBytes } = pulled;
  if (modelPath === undefined) {
    throw new LakeError("format-refused", `${flags.model} has no weights to serve.`);
  }
  const { slots, gpu } = flags;
  const engine = createLlamaChild({ modelPath, slots, gpu }, systemClock);
  const modelBytes = manifest.layers.reduce((sum, layer) => sum + layer.bytes, 0);
  return {
    model: { ...terms, manifestDigest: version.manifestDigest, engine },
    facts: { modelBytes, fetchedBytes, holders: pulled.holders.length },
  };
}

function serverEngine(flags: EngineFlags, slots: number): Engine {
  const { baseUrl, keyFile, model } = flags;
  return new OpenAiEngine(
    {
      baseUrl,
      slots,
      ...(keyFile === undefined ? {} : { apiKey: readKeyText(keyFile) }),
      ...(model === undefined ? {} : { model }),
    },
    systemClock,
  );
}

function readKeyText(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    throw new LakeError("argument-invalid", `The file ${path} cannot be read.`, { cause });
  }
}
