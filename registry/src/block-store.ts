import { open, type FileHandle } from "node:fs/promises";
import type { BlockPlace, ContentIndex } from "./content-index.ts";
import { limits } from "./limits.ts";

type FilePlace = Extract<BlockPlace, { kind: "file" }>;

interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  readers: number;
  checkedMs: number;
  intact: boolean;
}

/** Where a block's bytes are read from and how many they are. */
export interface OpenBlock {
  readonly length: number;
  /** Reads the block, into `target` if it is large enough; undefined if the file has changed. */
  read(target?: Uint8Array): Promise<Uint8Array | undefined>;
}

/** The reading side of a store. */
export interface BlockReader {
  /** Looks a block up; undefined where it is not held. */
  find(digest: Uint8Array): OpenBlock | undefined;
  /** The bytes of a block; undefined where it is not held any more. */
  get(digest: Uint8Array): Promise<Uint8Array | undefined>;
}

/** The store with one more block, which was fetched already and is not fetched again. */
export function withBlock(store: BlockReader, digest: Uint8Array, bytes: Uint8Array): BlockReader {
  const isIt = (other: Uint8Array): boolean => Buffer.compare(other, digest) === 0;
  const block = { length: bytes.length, read: () => Promise.resolve(bytes) };
  return {
    find: (wanted) => (isIt(wanted) ? block : store.find(wanted)),
    get: (wanted) => (isIt(wanted) ? Promise.resolve(bytes) : store.get(wanted)),
  };
}

/**
 * Reads blocks out of the files they lie in. A file that was changed since it was added is not
 * served from: its blocks count as not held.
 */
export class BlockStore implements BlockReader {
  readonly #index: ContentIndex;
  /** Insertion order is order of use: the first is the one to close. */
  readonly #open = new Map<number, OpenFile>();

  constructor(index: ContentIndex) {
    this.#index = index;
  }

  /** Looks a block up; undefined where it is not held. */
  find(digest: Uint8Array): OpenBlock | undefined {
    const places = this.#index.places(digest);
    const [first] = places;
    if (first === undefined) return undefined;
    if (first.kind === "bytes") {
      const { bytes } = first;
      return { length: bytes.length, read: () => Promise.resolve(bytes) };
    }
    return {
      length: first.length,
      read: async (target) => {
        for (const place of places) {
          const bytes = place.kind === "file" ? await this.#read(place, target) : undefined;
          if (bytes !== undefined) return bytes;
        }
        return undefined;
      },
    };
  }

  /** The bytes of a block; undefined where it is not held any more. */
  async get(digest: Uint8Array): Promise<Uint8Array | undefined> {
    return await this.find(digest)?.read();
  }

  /** Closes the files. */
  async close(): Promise<void> {
    const files = [...this.#open.values()];
    this.#open.clear();
    for (const file of files) await file.handle.close();
  }

  async #read(place: FilePlace, target?: Uint8Array): Promise<Uint8Array | undefined> {
    const file = await this.#fileOf(place);
    if (file === undefined) return undefined;
    file.readers += 1;
    try {
      if (!(await isIntact(file, place))) {
        // A removed file frees its space only when nobody has it open any more.
        if (this.#open.delete(place.file)) await file.handle.close();
        return undefined;
      }
      const bytes =
        target !== undefined && target.length >= place.length
          ? target.subarray(0, place.length)
          : Buffer.allocUnsafe(place.length);
      const { bytesRead } = await file.handle.read(bytes, 0, place.length, place.offset);
      return bytesRead === place.length ? bytes : undefined;
    } finally {
      file.readers -= 1;
    }
  }

  async #fileOf(place: FilePlace): Promise<OpenFile | undefined> {
    const known = this.#open.get(place.file);
    if (known?.path === place.path) {
      this.#open.delete(place.file);
      this.#open.set(place.file, known);
      return known;
    }
    let handle: FileHandle;
    try {
      handle = await open(place.path, "r");
    } catch {
      // The user moved or deleted the file; that is their right, and the block is not held.
      return undefined;
    }
    const other = this.#open.get(place.file);
    if (other?.path === place.path) {
      await handle.close();
      return other;
    }
    const file = { handle, path: place.path, readers: 0, checkedMs: 0, intact: false };
    this.#open.set(place.file, file);
    await this.#closeSpare();
    return file;
  }

  async #closeSpare(): Promise<void> {
    for (const [id, file] of this.#open) {
      if (this.#open.size <= limits.openFilesMax) return;
      if (file.readers > 0) continue;
      this.#open.delete(id);
      await file.handle.close();
    }
  }
}

async function isIntact(file: OpenFile, place: FilePlace): Promise<boolean> {
  const now = Date.now();
  if (now - file.checkedMs < limits.fileCheckMs) return file.intact;
  const { size, mtimeMs, nlink } = await file.handle.stat();
  file.checkedMs = now;
  // A file that is still being pulled changes all the time, by us: its entry has time 0.
  const isSame = size === place.fileBytes && mtimeMs === place.changedMs;
  file.intact = nlink > 0 && (place.changedMs === 0 || isSame);
  return file.intact;
}
