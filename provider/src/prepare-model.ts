import { readFileSync } from "node:fs";
import { formatHandle, LakeError, type ModelNames, parseHandle } from "@lake-travis/protocol";
import type { Engine } from "@lake-travis/protocol/inference";
import { systemClock } from "@lake-travis/platform";
import {
  type IpfsNode,
  modelBytes,
  type OnProgress,
  pullModel,
  type PullPlan,
  resolveVersion,
} from "@lake-travis/registry";
import { createEngineChild, type EnginePackage } from "./engine/create-engine-child.ts";
import { OpenAiEngine } from "./engine/openai-engine.ts";
import type { ModelToServe } from "./model-shelf.ts";
import type { EngineFlags } from "./provider-flags.ts";

/** What the owner says of one model. */
export interface ModelPlan {
  /** `builder/name`, with a tag or a digest where one is meant. */
  readonly model: string;
  readonly weiPerSecond: bigint;
  readonly minSeconds: number;
  readonly slots: number;
  readonly gpu: "auto" | false;
  /** A server that computes instead of an engine of ours. */
  readonly engine: EngineFlags | undefined;
  /** An npm package that computes, where neither llama.cpp nor ONNX Runtime shall. */
  readonly enginePackage?: EnginePackage | undefined;
}

/** Where models come from. */
export interface ModelSources {
  readonly storage: IpfsNode;
  readonly names: ModelNames;
  /** Gateways of known holders. */
  readonly holders: readonly string[];
  readonly signal: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly onPlan?: (plan: PullPlan) => void;
}

/** A model that can be loaded now, and what its pull has moved. */
export interface PreparedModel {
  readonly model: ModelToServe;
  readonly facts: {
    readonly modelBytes: number;
    readonly fetchedBytes: number;
    readonly holders: number;
  };
}

/**
 * Pulls what is missing of a model and chooses its engine. A server by URL has its own copy of the
 * weights, so only the name on the chain is looked up.
 *
 * Throws what {@link pullModel} throws, `format-refused` where there is nothing to serve, and
 * `argument-invalid` where the engine's key cannot be read.
 */
export async function prepareModel(plan: ModelPlan, sources: ModelSources): Promise<PreparedModel> {
  const handle = parseHandle(plan.model);
  const { weiPerSecond, minSeconds } = plan;
  const terms = { handle: formatHandle(handle), weiPerSecond, minSeconds };
  if (plan.engine !== undefined) {
    const { manifestDigest } = await resolveVersion(sources.names, handle);
    const engine = serverEngine(plan.engine, plan.slots);
    const facts = { modelBytes: 0, fetchedBytes: 0, holders: 0 };
    return { model: { ...terms, manifestDigest, engine }, facts };
  }
  const { names, signal, storage: node, holders, onProgress, onPlan } = sources;
  const pulled = await pullModel({
    node,
    names,
    handle: plan.model,
    holders,
    signal,
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(onPlan === undefined ? {} : { onPlan }),
  });
  const { weightsPath: modelPath, version, manifest, fetchedBytes } = pulled;
  if (modelPath === undefined) {
    throw new LakeError("format-refused", `${plan.model} has no weights to serve.`);
  }
  const { slots, gpu, enginePackage } = plan;
  const foreign = enginePackage === undefined ? {} : { package: enginePackage };
  const engine = createEngineChild({ modelPath, slots, gpu, ...foreign }, systemClock);
  return {
    model: { ...terms, manifestDigest: version.manifestDigest, engine },
    facts: { modelBytes: modelBytes(manifest), fetchedBytes, holders: pulled.holders.length },
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
