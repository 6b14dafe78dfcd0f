import { rm } from "node:fs/promises";
import { join } from "node:path";
import {
  LakeError,
  parseHandle,
  type Handle,
  type ModelNames,
  type ModelVersion,
} from "@lake-travis/protocol";
import { isProcessAlive } from "@lake-travis/platform";
import { contentIdFromHex } from "./content-id.ts";
import { BlockFetcher, type HolderReport } from "./fetch-blocks.ts";
import { describeMachine, fitMachine, type Fit } from "./fit-machine.ts";
import type { IpfsNode } from "./ipfs-node.ts";
import { modelBytes, parseManifest, weightsOf, type Layer, type Manifest } from "./manifest.ts";
import { ProgressMeter, type OnProgress } from "./progress.ts";
import { pullFile } from "./pull-file.ts";
import { resolveVersion } from "./resolve-version.ts";

/** A model to pull. */
export interface PullRequest {
  readonly node: IpfsNode;
  readonly names: ModelNames;
  /** `builder/name`, `builder/name:tag` or `builder/name:tag@sha256:...`. */
  readonly handle: string;
  /** Gateways of known holders, such as those in Offers; the node's own peers are asked too. */
  readonly holders?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** Told before the first byte of a file is fetched; throw here to refuse. */
  readonly onPlan?: (plan: PullPlan) => void;
}

/** What a pull is about to do. */
export interface PullPlan {
  readonly manifest: Manifest;
  readonly version: ModelVersion;
  /** Bytes of the model, and of those the ones that are here already as whole files. */
  readonly bytes: number;
  readonly heldBytes: number;
  /** Whether this machine can serve the model. */
  readonly fit: Fit;
}

/** A model on this machine. */
export interface PulledModel {
  readonly handle: Handle;
  readonly version: ModelVersion;
  readonly manifest: Manifest;
  /** Folder with the model's files under their own names. */
  readonly folder: string;
  /** What an engine opens; undefined for an agent. */
  readonly weightsPath: string | undefined;
  readonly holders: readonly HolderReport[];
  /** Bytes that came over the network, nodes and manifest included. */
  readonly fetchedBytes: number;
}

/**
 * Pulls a model: resolves its name on chain, fetches its blocks in parallel from all holders,
 * checks each before it is written in place, checks each file's SHA-256 at the end, and serves
 * every block from the moment it is written. Interrupted, it goes on where it was.
 *
 * Throws `handle-invalid`, `model-unknown`, `manifest-invalid`, `format-refused`, `holder-none`,
 * `content-missing`, `disk-full`, `quota-exceeded`, and the reason of the signal.
 */
export async function pullModel(request: PullRequest): Promise<PulledModel> {
  const { node } = request;
  const signal = request.signal ?? new AbortController().signal;
  const handle = parseHandle(request.handle);
  const version = await resolveVersion(request.names, handle);
  const cid = contentIdFromHex("raw", version.manifestCid);
  const fetcher = new BlockFetcher(await node.sources(cid, request.holders), signal);
  const meter = new ProgressMeter(request.onProgress);
  meter.peers = () => fetcher.delivering();
  meter.enter("finding");
  try {
    const manifest = await fetchManifest(node, fetcher, version);
    await announcePlan(request, manifest, version);
    meter.totalBytes = modelBytes(manifest);
    await node.store.refuseOverQuota(manifest, node.options.quotaBytes);
    node.store.keepManifest(manifest);
    noteModel(node, handle, manifest, false);
    for (const layer of manifest.layers) await pullLayer(node, layer, { fetcher, meter, signal });
    noteModel(node, handle, manifest, true);
    const folder = await node.store.nameFiles(manifest);
    await node.announce([manifest.cid, ...manifest.layers.map((layer) => layer.root)]);
    meter.enter("done");
    const weights = weightsOf(manifest);
    const holders = fetcher.report();
    return {
      handle,
      version,
      manifest,
      folder,
      weightsPath: weights === undefined ? undefined : join(folder, weights.path),
      holders,
      fetchedBytes: holders.reduce((sum, holder) => sum + holder.bytes, 0),
    };
  } finally {
    await fetcher.close();
  }
}

async function fetchManifest(
  node: IpfsNode,
  fetcher: BlockFetcher,
  version: ModelVersion,
): Promise<Manifest> {
  const cid = contentIdFromHex("raw", version.manifestCid);
  const held = await node.store.blocks.get(cid.multihash.digest);
  const manifest = parseManifest(held ?? (await fetcher.fetchOne(cid)));
  if (manifest.digest === version.manifestDigest && manifest.facts.kind === version.kind) {
    return manifest;
  }
  throw new LakeError("manifest-invalid", "The manifest is not the one on chain.", {
    advice: "The Builder registered a wrong digest or kind; nothing was kept.",
  });
}

async function announcePlan(
  request: PullRequest,
  manifest: Manifest,
  version: ModelVersion,
): Promise<void> {
  if (request.onPlan === undefined) return;
  let heldBytes = 0;
  for (const layer of manifest.layers) {
    if ((await request.node.store.wholeFile(layer.digest)) !== undefined) heldBytes += layer.bytes;
  }
  const fit = fitMachine(manifest.facts.needs, await describeMachine());
  request.onPlan({ manifest, version, bytes: modelBytes(manifest), heldBytes, fit });
}

async function pullLayer(
  node: IpfsNode,
  layer: Layer,
  means: { fetcher: BlockFetcher; meter: ProgressMeter; signal: AbortSignal },
): Promise<void> {
  const { store } = node;
  await store.alone(layer.digest, async () => {
    if ((await store.wholeFile(layer.digest)) !== undefined) {
      means.meter.found(layer.bytes);
      return;
    }
    const path = await store.layerPath(layer.digest);
    const digest = Buffer.from(layer.digest.slice(2), "hex");
    const wanted = { root: layer.root, bytes: layer.bytes, digest, path };
    const other = store.index.beginPull(path, process.pid, isProcessAlive);
    if (other !== undefined) {
      throw new LakeError("folder-locked", `Process ${other} pulls this model already.`, {
        advice: "Wait for it, or stop it and pull again: what is there is kept.",
      });
    }
    try {
      await pullFile(wanted, { ...means, index: store.index, store: store.blocks });
    } catch (error) {
      if (error instanceof LakeError && error.code === "manifest-invalid") {
        // All blocks are right and the whole is wrong: keeping it would end every retry the same.
        const file = store.index.fileAt(path);
        if (file !== undefined) store.index.dropFile(file);
        await rm(path, { force: true });
      }
      throw error;
    } finally {
      store.index.endPull(path);
    }
  });
}

function noteModel(node: IpfsNode, handle: Handle, manifest: Manifest, whole: boolean): void {
  node.store.index.addModel({
    name: `${handle.builder}/${handle.name}`,
    tag: handle.tag,
    manifestDigest: Buffer.from(manifest.digest.slice(2), "hex"),
    origin: "pulled",
    addedAtMs: Date.now(),
    whole,
  });
}
