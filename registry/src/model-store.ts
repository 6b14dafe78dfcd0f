import { link, mkdir, open, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { LakeError, type Hex } from "@lake-travis/protocol";
import type { CID } from "multiformats/cid";
import { BlockStore } from "./block-store.ts";
import { parseContentId } from "./content-id.ts";
import { ContentIndex, type IndexedFile } from "./content-index.ts";
import { hashFile, type HashedFile } from "./hash-file.ts";
import { limits } from "./limits.ts";
import { checkFilePath, type Manifest } from "./manifest.ts";

/** What adding a file gave. */
export interface AddedFile {
  readonly root: CID;
  /** SHA-256 of the whole file. */
  readonly digest: Uint8Array;
  readonly bytes: number;
}

/**
 * The models of one node on its disk.
 *
 * `models/index.sqlite` says what lies where; `models/layers/sha256-<hex>` holds pulled files,
 * each once; `models/by-name/...` shows them under their own names as links, which is what an
 * engine opens; `models/added/<cid>` holds small files that a program handed over as bytes. A
 * file that the user publishes stays where it is and is never copied.
 */
export class ModelStore {
  readonly folder: string;
  readonly index: ContentIndex;
  readonly blocks: BlockStore;
  readonly #alone = new Map<string, Promise<unknown>>();

  /** Opens the store in `<dataDir>/models`; throws `folder-unusable`. */
  constructor(dataDir: string) {
    this.folder = resolve(dataDir, "models");
    this.index = new ContentIndex(this.folder);
    this.blocks = new BlockStore(this.index);
  }

  /**
   * Adds a file where it lies: hashes it once and indexes its blocks. A file that did not change
   * since it was added is not read again.
   *
   * Throws `folder-unusable` where it cannot be read, `format-refused` where it is no plain file.
   */
  async addFile(
    path: string,
    options: { readonly signal?: AbortSignal; readonly onBytes?: (bytes: number) => void } = {},
  ): Promise<AddedFile> {
    const full = resolve(path);
    const handle = await open(full, "r").catch((cause: unknown) => {
      throw new LakeError("folder-unusable", `${path} cannot be read.`, { cause });
    });
    try {
      const before = await handle.stat();
      if (!before.isFile()) {
        throw new LakeError("format-refused", `${path} is not a plain file.`);
      }
      const known = this.index.fileAt(full);
      if (
        known?.whole === true &&
        known.bytes === before.size &&
        known.changedMs === before.mtimeMs
      ) {
        options.onBytes?.(known.bytes);
        return { root: parseContentId(known.root), digest: known.digest, bytes: known.bytes };
      }
      const hashed = await hashFile(handle, options);
      const after = await handle.stat();
      if (after.mtimeMs !== before.mtimeMs || after.size !== hashed.bytes) {
        throw new LakeError("folder-unusable", `${path} changed while it was read.`, {
          advice: "Publish it when nothing writes to it any more.",
        });
      }
      this.#indexFile(full, hashed, after.mtimeMs);
      return { root: hashed.dag.root, digest: hashed.digest, bytes: hashed.bytes };
    } finally {
      await handle.close();
    }
  }

  /** Writes bytes as a file of this node and adds it; returns its root CID. */
  async addBytes(bytes: Uint8Array): Promise<AddedFile> {
    if (bytes.length > limits.memoryFileBytesMax) {
      throw new LakeError("body-too-large", `${bytes.length} bytes are too many for memory.`, {
        advice: "Write them to a file and add that.",
      });
    }
    const folder = join(this.folder, "added");
    await mkdir(folder, { recursive: true });
    // In the same folder, for only then the rename is atomic.
    const fresh = join(folder, `new-${process.pid}-${performance.now()}`);
    try {
      const handle = await open(fresh, "wx+");
      let path: string;
      try {
        await handle.writeFile(bytes);
        await handle.sync();
        path = join(folder, (await hashFile(handle)).dag.root.toString());
      } finally {
        await handle.close();
      }
      const known = await stat(path).catch(() => undefined);
      if (known === undefined) await rename(fresh, path);
      return await this.addFile(path);
    } finally {
      await rm(fresh, { force: true });
    }
  }

  /** Where a file that is known by its CID alone is written. */
  async addedPath(root: CID): Promise<string> {
    const folder = join(this.folder, "added");
    await mkdir(folder, { recursive: true });
    return join(folder, root.toString());
  }

  /** Where a pulled layer's bytes are written. */
  async layerPath(digest: Hex): Promise<string> {
    const folder = join(this.folder, "layers");
    await mkdir(folder, { recursive: true });
    return join(folder, `sha256-${digest.slice(2)}`);
  }

  /** A whole, unchanged file with this SHA-256; undefined where there is none. */
  async wholeFile(digest: Hex): Promise<IndexedFile | undefined> {
    for (const file of this.index.filesWith(Buffer.from(digest.slice(2), "hex"))) {
      const there = await stat(file.path).catch(() => undefined);
      const isIntact = there?.size === file.bytes && there.mtimeMs === file.changedMs;
      if (file.whole && isIntact) return file;
    }
    return undefined;
  }

  /** Keeps a manifest as a block that is served. */
  keepManifest(manifest: Manifest): void {
    const digest = Buffer.from(manifest.digest.slice(2), "hex");
    this.index.transaction(() => {
      this.index.addNode(`manifest:${manifest.digest}`, { digest, bytes: manifest.bytes });
    });
  }

  /**
   * Makes the folder in which a model's files lie under their own names, and returns it. Links
   * are hard ones where the file system allows, so that no byte is stored twice.
   */
  async nameFiles(manifest: Manifest): Promise<string> {
    const folder = join(this.folder, "by-name", `sha256-${manifest.digest.slice(2)}`);
    for (const layer of manifest.layers) {
      const file = await this.wholeFile(layer.digest);
      if (file === undefined) {
        throw new LakeError("content-missing", `${layer.path} is not on this machine.`, {
          advice: "Pull the model.",
        });
      }
      const path = join(folder, checkFilePath(layer.path));
      await mkdir(dirname(path), { recursive: true });
      await rm(path, { force: true });
      // Another file system or one without hard links: a symbolic link does as well.
      await link(file.path, path).catch(() => symlink(file.path, path));
    }
    return folder;
  }

  /**
   * Throws `quota-exceeded` where a model's missing files would take the pulled files of this
   * store beyond `quotaBytes`.
   */
  async refuseOverQuota(manifest: Manifest, quotaBytes: number | undefined): Promise<void> {
    if (quotaBytes === undefined) return;
    const usedBytes = this.ownedBytes();
    let neededBytes = 0;
    for (const layer of manifest.layers) {
      if ((await this.wholeFile(layer.digest)) === undefined) neededBytes += layer.bytes;
    }
    if (usedBytes + neededBytes <= quotaBytes) return;
    throw new LakeError("quota-exceeded", `The model takes ${neededBytes} bytes more.`, {
      advice: "Remove models (lake models rm, lake models gc) or raise the quota.",
      data: { usedBytes, neededBytes, quotaBytes },
    });
  }

  /** Bytes of the files that this store owns: pulled and added ones. */
  ownedBytes(): number {
    return this.index.files().reduce((sum, file) => sum + (file.owned ? file.bytes : 0), 0);
  }

  /** Runs `work` when no other work with this key runs in this process. */
  async alone<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#alone.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    // Kept only as a gate: its failure is its own caller's.
    const gate = mine.catch(() => undefined);
    this.#alone.set(key, gate);
    try {
      return await mine;
    } finally {
      if (this.#alone.get(key) === gate) this.#alone.delete(key);
    }
  }

  /** Closes the index and all files. */
  async close(): Promise<void> {
    await this.blocks.close();
    this.index.close();
  }

  #indexFile(path: string, hashed: HashedFile, changedMs: number): void {
    const { index } = this;
    index.transaction(() => {
      const old = index.fileAt(path);
      if (old !== undefined) index.dropFile(old);
      const id = index.addFile({
        path,
        bytes: hashed.bytes,
        changedMs,
        digest: hashed.digest,
        root: hashed.dag.root.toString(),
        owned: path.startsWith(this.folder),
        whole: true,
      });
      index.addBlocks(id, hashed.leaves);
      for (const node of hashed.dag.nodes) index.addNode(`file:${id}`, node);
    });
  }
}
