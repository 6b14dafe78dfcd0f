/*
 * The Router's journal: every event that changed its state, in order, in append-only files.
 *
 * Durability by group commit: whatever was appended while the last fdatasync ran goes into the next
 * write together, so that one disk flush serves hundreds of events, and nothing of it runs on the
 * thread that serves requests. An append resolves only when its bytes are on the disk.
 *
 * A write that a crash cut off can only be at the end of the newest file; it was promised to nobody
 * and is cut away (and kept aside, in case it was a failing disk after all).
 */
import { type FileHandle, open, readdir, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LakeError } from "@lake-travis/protocol";
import { folderError } from "@lake-travis/platform";
import { routerLimits } from "../limits.ts";
import { decodeFrames, encodeFrame, frameHeadBytes } from "./frame.ts";

/** Bytes read at once in a recovery. */
const readBytes = 8 * 1024 * 1024;

/** What lies in a journal's folder. */
export interface JournalFiles {
  /** Numbers of the files, ascending. */
  readonly segments: readonly number[];
  /** Numbers of the snapshots; snapshot n is the state before segment n. */
  readonly snapshots: readonly number[];
}

/** The name of segment `number`. */
export function segmentName(number: number): string {
  return `journal-${String(number).padStart(8, "0")}.log`;
}

/** The name of snapshot `number`. */
export function snapshotName(number: number): string {
  return `snapshot-${String(number).padStart(8, "0")}.bin`;
}

/** Lists a journal's folder. */
export async function listJournal(folder: string): Promise<JournalFiles> {
  const names = await readdir(folder);
  const numbersOf = (pattern: RegExp): number[] =>
    names
      .flatMap((name) => pattern.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  return {
    segments: numbersOf(/^journal-([0-9]{8})\.log$/),
    snapshots: numbersOf(/^snapshot-([0-9]{8})\.bin$/),
  };
}

/**
 * Reads a segment's entries in order. In the newest segment a torn end is cut away; anywhere else
 * it throws `journal-corrupt`.
 *
 * @returns how many entries there were and how many bytes they take.
 */
export async function readSegment(
  path: string,
  options: { readonly newest: boolean; readonly onEntry: (payload: Buffer) => void },
): Promise<{ readonly entries: number; readonly bytes: number; readonly torn: number }> {
  const file = await open(path, "r");
  let rest = Buffer.alloc(0);
  let whole = 0;
  let entries = 0;
  try {
    const { size } = await file.stat();
    for (let at = 0; at < size;) {
      const chunk = Buffer.allocUnsafe(Math.min(readBytes, size - at));
      const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) break;
      at += bytesRead;
      rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      const { payloads, end, broken } = decodeFrames(rest);
      for (const payload of payloads) options.onEntry(payload);
      entries += payloads.length;
      whole += end;
      rest = rest.subarray(end);
      if (broken) break;
    }
    const torn = size - whole;
    if (torn > 0 && !options.newest) throw corrupt(path, whole);
    if (torn > 0) await cutTorn(path, whole, torn);
    return { entries, bytes: whole, torn };
  } finally {
    await file.close();
  }
}

/** Appends entries to the newest segment; see the head of this file. */
export class Journal {
  readonly #folder: string;
  readonly #onFull: (sealed: number) => void;
  #number: number;
  #file: FileHandle;
  #entries: number;
  #bytes: number;
  #waiting: Buffer[] = [];
  #committed = Promise.withResolvers<undefined>();
  #running: Promise<void> | undefined;
  #lingering: NodeJS.Timeout | undefined;
  #failure: LakeError | undefined;

  private constructor(
    folder: string,
    opened: { number: number; file: FileHandle; entries: number; bytes: number },
    onFull: (sealed: number) => void,
  ) {
    this.#folder = folder;
    this.#onFull = onFull;
    this.#number = opened.number;
    this.#file = opened.file;
    this.#entries = opened.entries;
    this.#bytes = opened.bytes;
    // Nobody may be waiting for the first batch.
    this.#committed.promise.catch(() => undefined);
  }

  /**
   * Opens segment `number` for appending behind its `entries` and `bytes`.
   *
   * @param onFull told the number of a segment that is full; nothing is written to it any more.
   * Throws `folder-unusable` or `disk-full`.
   */
  static async open(
    folder: string,
    at: { readonly number: number; readonly entries: number; readonly bytes: number },
    onFull: (sealed: number) => void,
  ): Promise<Journal> {
    const file = await openSegment(folder, at.number);
    return new Journal(folder, { ...at, file }, onFull);
  }

  /** Resolves once the entry is on the disk; rejects with `disk-full` or `folder-unusable`. */
  append(payload: Uint8Array): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#waiting.push(encodeFrame(payload));
    const { promise } = this.#committed;
    this.#running ??= this.#commitAll();
    return promise;
  }

  /**
   * Appends what nobody was promised: it goes to the disk with the next entry that somebody waits
   * for, or after a while by itself. A failure is told by the next {@link append}.
   */
  appendUnpromised(payload: Uint8Array): void {
    if (this.#failure !== undefined) return;
    this.#waiting.push(encodeFrame(payload));
    if (this.#running !== undefined || this.#lingering !== undefined) return;
    this.#lingering = setTimeout(() => {
      this.#lingering = undefined;
      this.#running ??= this.#commitAll();
    }, routerLimits.unpromisedMs);
  }

  /** Waits for what is under way and closes the file. */
  async close(): Promise<void> {
    clearTimeout(this.#lingering);
    if (this.#waiting.length > 0) this.#running ??= this.#commitAll();
    await this.#running;
    this.#failure ??= new LakeError("shutting-down", "The Router is stopping.");
    await this.#file.close();
  }

  async #commitAll(): Promise<void> {
    // Appends of the same turn of the event loop go into the first batch too.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      const committed = this.#committed;
      this.#waiting = [];
      this.#committed = Promise.withResolvers<undefined>();
      // Nobody may be left listening to a batch that nobody appended to.
      this.#committed.promise.catch(() => undefined);
      try {
        await this.#commit(batch);
        committed.resolve(undefined);
      } catch (cause) {
        this.#failure = folderError(this.#folder, cause);
        committed.reject(this.#failure);
        this.#committed.reject(this.#failure);
        this.#waiting = [];
      }
    }
    this.#running = undefined;
  }

  async #commit(batch: readonly Buffer[]): Promise<void> {
    const bytes = batch.length === 1 ? (batch[0] as Buffer) : Buffer.concat(batch);
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, at);
      at += bytesWritten;
    }
    await this.#file.datasync();
    this.#entries += batch.length;
    this.#bytes += bytes.length;
    const full =
      this.#entries >= routerLimits.journalEventsMax || this.#bytes >= routerLimits.journalBytesMax;
    if (full) await this.#rotate();
  }

  async #rotate(): Promise<void> {
    const sealed = this.#number;
    const next = await openSegment(this.#folder, sealed + 1);
    await this.#file.close();
    this.#file = next;
    this.#number = sealed + 1;
    this.#entries = 0;
    this.#bytes = 0;
    this.#onFull(sealed);
  }
}

/** Writes a file so that after a crash it is there whole or not at all. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const draft = `${path}.draft`;
  await writeFile(draft, bytes, { flush: true });
  await rename(draft, path);
  await syncFolder(join(path, ".."));
}

async function openSegment(folder: string, number: number): Promise<FileHandle> {
  try {
    const file = await open(join(folder, segmentName(number)), "a", 0o600);
    await syncFolder(folder);
    return file;
  } catch (cause) {
    throw folderError(folder, cause);
  }
}

async function syncFolder(folder: string): Promise<void> {
  // A new file's name is durable only once its folder is.
  const handle = await open(folder, "r");
  await handle.sync().finally(() => handle.close());
}

async function cutTorn(path: string, whole: number, torn: number): Promise<void> {
  const file = await open(path, "r");
  const bytes = Buffer.alloc(Math.min(torn, routerLimits.entryBytesMax + frameHeadBytes));
  await file.read(bytes, 0, bytes.length, whole).finally(() => file.close());
  await rm(`${path}.torn`, { force: true });
  await writeFile(`${path}.torn`, bytes, { flush: true });
  await truncate(path, whole);
}

function corrupt(path: string, at: number): LakeError {
  return new LakeError("journal-corrupt", `The journal ${path} is damaged at byte ${at}.`, {
    advice: "Restore the data folder from a backup; the disk may be failing.",
    data: { at },
  });
}
