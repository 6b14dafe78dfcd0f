import {
  LakeError,
  parseHandle,
  type Handle,
  type Hex,
  type ModelKind,
  type ModelNames,
} from "@lake-travis/protocol";
import { contentIdToHex } from "./content-id.ts";
import { describeModel, type BuilderWords, type ModelFile } from "./describe-model.ts";
import type { IpfsNode } from "./ipfs-node.ts";
import { listFiles, roleOfFile } from "./list-files.ts";
import { buildManifest, type Layer, type Manifest } from "./manifest.ts";
import { ProgressMeter, type OnProgress } from "./progress.ts";
import { resolveVersion } from "./resolve-version.ts";

/** A model or agent to publish. */
export interface PublishRequest extends Partial<BuilderWords> {
  readonly node: IpfsNode;
  readonly names: ModelNames;
  /** A file or a folder; it stays where it is and is served from there. */
  readonly source: string;
  /** `builder/name:tag`. */
  readonly handle: string;
  readonly kind?: ModelKind;
  /** The Builder's price in wei of MOR a second; left as it is if undefined. */
  readonly weiPerSecond?: bigint;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** What a publish did. */
export interface Publication {
  readonly handle: Handle;
  readonly manifest: Manifest;
  /** Hashes of the transactions sent; none where the same version was published already. */
  readonly transactions: readonly Hex[];
  readonly alreadyPublished: boolean;
}

/**
 * Publishes a model: reads its files once, indexes their blocks in place, writes the manifest,
 * and registers name and digest on chain (one transaction once the name is claimed). Done twice,
 * the second time changes nothing.
 *
 * Throws `handle-invalid`, `name-taken`, `format-refused`, `folder-unusable`, `chain-refused`,
 * `chain-unreachable`, and the reason of the signal.
 */
export async function publishModel(request: PublishRequest): Promise<Publication> {
  const handle = parseHandle(request.handle);
  if (handle.digest !== undefined) {
    throw new LakeError("handle-invalid", "A version's digest is known only once it is made.", {
      advice: "Publish to builder/name:tag.",
    });
  }
  const name = `${handle.builder}/${handle.name}`;
  // Before hours of hashing: a name that is somebody else's.
  await refuseTaken(request.names, name);
  const manifest = await addModel(request, handle);
  request.signal?.throwIfAborted();
  const { transactions, alreadyPublished } = await register(request, handle, manifest);
  await request.node.announce([manifest.cid, ...manifest.layers.map((layer) => layer.root)]);
  return { handle, manifest, transactions, alreadyPublished };
}

async function addModel(request: PublishRequest, handle: Handle): Promise<Manifest> {
  const { node, signal } = request;
  const files = await listFiles(request.source);
  const meter = new ProgressMeter(request.onProgress);
  meter.totalBytes = files.reduce((sum, file) => sum + file.bytes, 0);
  meter.enter("reading");
  const facts = await describeModel(files, await resolveBase(request));
  const layers: Layer[] = [];
  for (const file of files) layers.push(await addLayer(node, file, meter, signal));
  const manifest = buildManifest(facts, layers);
  node.store.keepManifest(manifest);
  node.store.index.addModel({
    name: `${handle.builder}/${handle.name}`,
    tag: handle.tag,
    manifestDigest: Buffer.from(manifest.digest.slice(2), "hex"),
    origin: "published",
    addedAtMs: Date.now(),
    whole: true,
  });
  meter.enter("done");
  return manifest;
}

async function addLayer(
  node: IpfsNode,
  file: ModelFile,
  meter: ProgressMeter,
  signal: AbortSignal | undefined,
): Promise<Layer> {
  const added = await node.store.addFile(file.source, {
    ...(signal === undefined ? {} : { signal }),
    onBytes: (bytes) => meter.moved(bytes),
  });
  return {
    role: roleOfFile(file.path),
    path: file.path,
    bytes: added.bytes,
    digest: `0x${Buffer.from(added.digest).toString("hex")}`,
    root: added.root,
  };
}

async function register(
  request: PublishRequest,
  handle: Handle,
  manifest: Manifest,
): Promise<{ transactions: Hex[]; alreadyPublished: boolean }> {
  const { names } = request;
  const name = `${handle.builder}/${handle.name}`;
  const transactions: Hex[] = [];
  await names.claim(name, request.signal);
  const current = await names.resolve({ name, tag: handle.tag });
  const alreadyPublished = current?.manifestDigest === manifest.digest;
  if (!alreadyPublished) {
    const manifestDigest = manifest.digest;
    const known = await names.version({ name, manifestDigest });
    transactions.push(
      known === undefined
        ? await names.publish({
            name,
            tag: handle.tag,
            manifestDigest,
            manifestCid: contentIdToHex(manifest.cid),
            kind: manifest.facts.kind,
            ...baseOf(manifest),
          })
        : await names.moveTag({ name, tag: handle.tag, manifestDigest }),
    );
  }
  const { weiPerSecond } = request;
  if (weiPerSecond !== undefined && weiPerSecond !== (current?.weiPerSecond ?? 0n)) {
    transactions.push(await names.setPrice({ name, weiPerSecond }));
  }
  return { transactions, alreadyPublished };
}

/** What the contract wants to know of an agent's base model. */
function baseOf(manifest: Manifest): { baseName?: string; baseDigest?: Hex } {
  const { kind, baseModel, baseDigest } = manifest.facts;
  if (kind === "model") return {};
  if (baseModel === undefined || baseDigest === undefined) {
    throw new LakeError("argument-invalid", "An agent names the model that it runs on.", {
      advice: "Give its base model as builder/name:tag.",
    });
  }
  const base = parseHandle(baseModel);
  return { baseName: `${base.builder}/${base.name}`, baseDigest };
}

async function refuseTaken(names: ModelNames, name: string): Promise<void> {
  const builder = await names.builderOf(name);
  if (builder === undefined || builder === names.account) return;
  throw new LakeError("name-taken", `The name ${name} belongs to ${builder}.`, {
    advice: "Choose another name.",
    data: { name, builder },
  });
}

/** An agent's base is written as a handle; the manifest binds the version it stands for now. */
async function resolveBase(request: PublishRequest): Promise<BuilderWords> {
  const words = wordsOf(request);
  if (words.baseModel === undefined || words.baseDigest !== undefined) return words;
  const { manifestDigest } = await resolveVersion(request.names, parseHandle(words.baseModel));
  return { ...words, baseDigest: manifestDigest };
}

function wordsOf(request: PublishRequest): BuilderWords {
  const { kind = "model", task, title, description, licence, baseModel, baseDigest } = request;
  return {
    kind,
    ...(task === undefined ? {} : { task }),
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    ...(licence === undefined ? {} : { licence }),
    ...(baseModel === undefined ? {} : { baseModel }),
    ...(baseDigest === undefined ? {} : { baseDigest }),
  };
}
