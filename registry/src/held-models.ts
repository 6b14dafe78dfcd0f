import { open, readdir, rm } from "node:fs/promises";
import { join, sep } from "node:path";
import { LakeError, type Hex } from "@lake-travis/protocol";
import { isProcessAlive } from "@lake-travis/platform";
import { contentIdFromHex } from "./content-id.ts";
import type { HeldModel, IndexedFile } from "./content-index.ts";
import { hashFile } from "./hash-file.ts";
import { modelBytes, parseManifest, type Manifest } from "./manifest.ts";
import type { ModelStore } from "./model-store.ts";

/** A model as `lake models ls` shows it. */
export interface ListedModel {
  readonly name: string;
  readonly tag: string;
  readonly manifestDigest: Hex;
  readonly bytes: number;
  readonly origin: "published" | "pulled";
  readonly pinned: boolean;
  /** False while its pull has not ended. */
  readonly whole: boolean;
  /** Whether a running process of this machine serves it. */
  readonly served: boolean;
  /** Unix milliseconds. */
  readonly addedAtMs: number;
}

/** What checking a file of a model found. */
export interface CheckedFile {
  readonly path: string;
  readonly state: "right" | "missing" | "wrong";
}

/** What a collection freed. */
export interface Collected {
  readonly files: number;
  readonly bytes: number;
}

/** Every model of this node, by name and tag. */
export async function listModels(store: ModelStore): Promise<ListedModel[]> {
  const served = servedDigests(store);
  const listed: ListedModel[] = [];
  for (const model of store.index.models()) {
    const manifestDigest = toHexDigest(model);
    const manifest = await readManifest(store, manifestDigest);
    const { name, tag, origin, pinned, whole, addedAtMs } = model;
    listed.push({
      name,
      tag,
      manifestDigest,
      bytes: manifest === undefined ? 0 : modelBytes(manifest),
      origin,
      pinned,
      whole,
      served: served.has(manifestDigest),
      addedAtMs,
    });
  }
  return listed;
}

/** The manifest of a version, if this node holds it. */
export async function readManifest(
  store: ModelStore,
  manifestDigest: Hex,
): Promise<Manifest | undefined> {
  const cid = contentIdFromHex("raw", manifestDigest);
  const bytes = await store.blocks.get(cid.multihash.digest);
  return bytes === undefined ? undefined : parseManifest(bytes);
}

/**
 * Forgets a model and frees what no other model needs. Files that the user published stay where
 * they are.
 *
 * Throws `model-unknown`, and `session-busy` where the model is pinned or being served.
 */
export async function removeModel(
  store: ModelStore,
  wanted: { readonly name: string; readonly tag: string },
): Promise<Collected> {
  const { name, tag } = wanted;
  const model = store.index.models().find((each) => each.name === name && each.tag === tag);
  if (model === undefined) throw unknown(name, tag);
  if (model.pinned) {
    throw new LakeError("session-busy", `${name}:${tag} is pinned.`, {
      advice: `Unpin it first: lake models pin --remove ${name}:${tag}.`,
    });
  }
  if (servedDigests(store).has(toHexDigest(model))) {
    throw new LakeError("session-busy", `${name}:${tag} is being served.`, {
      advice: "Stop the Provider that serves it, then remove it.",
    });
  }
  store.index.dropModel(name, tag);
  return await collectGarbage(store);
}

/**
 * Deletes pulled files, unfinished pulls and manifests that belong to no model any more, and
 * forgets published files that do not. What a running process serves is kept.
 */
export async function collectGarbage(store: ModelStore): Promise<Collected> {
  const { index } = store;
  const keptManifests = new Set<Hex>(servedDigests(store));
  for (const model of index.models()) keptManifests.add(toHexDigest(model));
  const keptFiles = new Set<string>();
  for (const digest of keptManifests) {
    const manifest = await readManifest(store, digest);
    for (const layer of manifest?.layers ?? []) keptFiles.add(layer.digest);
  }
  let files = 0;
  let bytes = 0;
  for (const file of index.files()) {
    const isKept = keptFiles.has(`0x${Buffer.from(file.digest).toString("hex")}`);
    // Files that a program added by itself, such as an epoch's Records, are not ours to judge.
    if (isKept || file.path.startsWith(join(store.folder, "added") + sep)) continue;
    index.dropFile(file);
    if (!file.owned) continue;
    await rm(file.path, { force: true });
    files += 1;
    bytes += file.bytes;
  }
  for (const digest of index.manifests()) {
    if (!keptManifests.has(digest)) index.dropNodes(`manifest:${digest}`);
  }
  await dropNames(store, keptManifests);
  return { files, bytes };
}

/** Pins a model, so that `rm` refuses it, or takes the pin away; throws `model-unknown`. */
export function pinModel(
  store: ModelStore,
  wanted: { readonly name: string; readonly tag: string; readonly pinned: boolean },
): void {
  const { name, tag, pinned } = wanted;
  if (!store.index.pinModel(name, tag, pinned)) throw unknown(name, tag);
}

/**
 * Reads every file of a model again and compares it with the manifest. A pulled file that is
 * wrong is forgotten, so that the next pull mends it.
 */
export async function verifyModel(
  store: ModelStore,
  manifest: Manifest,
  signal?: AbortSignal,
): Promise<CheckedFile[]> {
  const checked: CheckedFile[] = [];
  for (const layer of manifest.layers) {
    const digest = Buffer.from(layer.digest.slice(2), "hex");
    const file = store.index.filesWith(digest).find((each) => each.whole);
    const state = file === undefined ? "missing" : await checkFile(file, layer.digest, signal);
    if (state === "wrong" && file !== undefined) {
      store.index.dropFile(file);
      if (file.owned) {
        // Kept on the disk: the next pull keeps its right blocks and fetches the wrong ones.
        for (const model of store.index.models()) {
          if (toHexDigest(model) === manifest.digest)
            store.index.addModel({ ...model, whole: false });
        }
      }
    }
    checked.push({ path: layer.path, state });
  }
  return checked;
}

async function checkFile(
  file: IndexedFile,
  digest: Hex,
  signal: AbortSignal | undefined,
): Promise<CheckedFile["state"]> {
  const handle = await open(file.path, "r").catch(() => undefined);
  if (handle === undefined) return "missing";
  try {
    const hashed = await hashFile(handle, signal === undefined ? {} : { signal });
    return `0x${Buffer.from(hashed.digest).toString("hex")}` === digest ? "right" : "wrong";
  } finally {
    await handle.close();
  }
}

/** Manifests that a living process holds; a dead one's holds are forgotten. */
function servedDigests(store: ModelStore): Set<Hex> {
  const served = new Set<Hex>();
  for (const hold of store.index.holds()) {
    if (isProcessAlive(hold.process)) served.add(toHexDigest(hold));
    else store.index.release(hold.process);
  }
  return served;
}

async function dropNames(store: ModelStore, kept: ReadonlySet<Hex>): Promise<void> {
  const folder = join(store.folder, "by-name");
  for (const name of await readdir(folder).catch(() => [])) {
    const digest = `0x${name.slice("sha256-".length)}` as const;
    if (!kept.has(digest)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

function toHexDigest(held: Pick<HeldModel, "manifestDigest">): Hex {
  return `0x${Buffer.from(held.manifestDigest).toString("hex")}`;
}

function unknown(name: string, tag: string): LakeError {
  return new LakeError("model-unknown", `${name}:${tag} is not on this machine.`, {
    advice: "lake models ls lists what is.",
  });
}
