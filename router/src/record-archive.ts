/*
 * Ended Sessions on their way to the public: spilled out of the memory while their epoch lasts,
 * read again for verdicts and settlement, and published in one file a settlement. A spill file
 * also holds whose money it was, so it never leaves this folder and goes once the settlement is
 * final.
 */
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Hex } from "@lake-travis/protocol";
import { folderError } from "@lake-travis/platform";
import { contentIdToHex, type IpfsNode } from "@lake-travis/registry";
import type { EndedRecord } from "./core/state.ts";
import { endedFromText, endedToText } from "./ended-text.ts";
import { writeWhole } from "./journal/journal.ts";

/** A file of Records where everybody can fetch it. */
export interface FiledRecords {
  /** CIDv1 as text, and the SHA-256 inside it as the contract keeps it. */
  readonly cid: string;
  readonly digest: Hex;
}

/** Where ended Sessions lie in a spill file. */
export interface SpilledPlace {
  readonly at: number;
  readonly bytes: number;
}

/** Where Records go that the public may read, and where they wait until then. */
export interface RecordArchive {
  /**
   * Appends to an epoch's spill file behind its first `after` bytes; what a crash left behind
   * them is overwritten. Resolves with its new length once it is on the disk.
   */
  spill(epoch: number, after: number, ended: readonly EndedRecord[]): Promise<number>;
  /**
   * What lies in the first `bytes` of an epoch's spill file, in the order of the Sessions' ends.
   */
  spilled(epoch: number, bytes: number): AsyncIterable<SpilledRecord>;
  /** Opens an epoch's spill file to read single places of it. */
  openSpill(epoch: number): Promise<SpillReader>;
  /** Files lines (without line ends) under the last epoch that they are of; null for none. */
  publish(epoch: number, lines: AsyncIterable<string>): Promise<FiledRecords | null>;
  /** Files an epoch's report, a page of HTML; resolves with its CIDv1 as text. */
  report(epoch: number, page: string): Promise<string>;
  /** The file of an epoch's settlement as a stream; undefined where there is none. */
  read(epoch: number): Promise<ReadableStream<Uint8Array> | undefined>;
  /** The epochs that have such a file, the oldest first. */
  published(): Promise<readonly number[]>;
  /** The lines of an epoch's file, without line ends. */
  lines(epoch: number): AsyncIterable<string>;
  /** Keeps the text of what verdicts rest on under its hash. */
  keepBaseline(hash: Hex, text: string): Promise<void>;
  /** Reads {@link keepBaseline}; undefined where it is not here. */
  baseline(hash: Hex): Promise<string | undefined>;
  /** Removes the spill files of epochs up to `epoch`. */
  forget(epoch: number): Promise<void>;
}

/** Reads single ended Sessions of one epoch. */
export interface SpillReader {
  read(place: SpilledPlace): Promise<EndedRecord>;
  close(): Promise<void>;
}

/** An ended Session and where it lies. */
export interface SpilledRecord extends SpilledPlace {
  readonly ended: EndedRecord;
}

/** Lines written to a public file at once. */
const linesPerWrite = 1_000;

/** Keeps the files in a folder and serves them by IPFS too. Throws `folder-unusable`. */
export async function openRecordArchive(folder: string, ipfs: IpfsNode): Promise<RecordArchive> {
  const fail = (cause: unknown): never => {
    throw folderError(folder, cause);
  };
  await mkdir(folder, { recursive: true }).catch(fail);
  const pathOf = (epoch: number): string => join(folder, `${epoch}.jsonl`);
  const spillOf = (epoch: number): string => join(folder, `spill-${epoch}.jsonl`);
  const baselineOf = (hash: Hex): string => join(folder, `baseline-${hash.slice(2, 34)}.json`);
  return {
    spill: (epoch, after, ended) => appendAt(spillOf(epoch), after, ended).catch(fail),
    spilled: (epoch, bytes) => readLines(spillOf(epoch), bytes),
    openSpill: (epoch) => openReader(spillOf(epoch)).catch(fail),
    async publish(epoch, lines) {
      const written = await writeLines(pathOf(epoch), lines).catch(fail);
      if (written === 0) return null;
      const { root } = await ipfs.addFile(pathOf(epoch));
      return { cid: root.toString(), digest: contentIdToHex(root) };
    },
    async report(epoch, page) {
      const path = join(folder, `report-${epoch}.html`);
      await writeWhole(path, Buffer.from(page)).catch(fail);
      return (await ipfs.addFile(path)).root.toString();
    },
    async read(epoch) {
      const file = await open(pathOf(epoch)).catch(() => undefined);
      // The stream closes the file when it ends or is given up.
      return file?.readableWebStream({ autoClose: true }) as ReadableStream<Uint8Array> | undefined;
    },
    async published() {
      const names = await readdir(folder).catch(fail);
      const numbers = names.map((name) => /^([0-9]+)\.jsonl$/.exec(name)?.[1]);
      return numbers
        .flatMap((text) => (text === undefined ? [] : [Number(text)]))
        .toSorted(byNumber);
    },
    async *lines(epoch) {
      const file = await open(pathOf(epoch)).catch(fail);
      yield* file.readLines();
    },
    keepBaseline: (hash, text) => writeWhole(baselineOf(hash), Buffer.from(text)).catch(fail),
    async baseline(hash) {
      const file = await open(baselineOf(hash)).catch(() => undefined);
      if (file === undefined) return undefined;
      return await file.readFile("utf8").finally(() => file.close());
    },
    async forget(epoch) {
      for (const name of await readdir(folder)) {
        const number = /^spill-([0-9]+)\.jsonl$/.exec(name)?.[1];
        if (number !== undefined && Number(number) <= epoch) await rm(join(folder, name));
      }
    },
  };
}

function byNumber(a: number, b: number): number {
  return a - b;
}

async function appendAt(
  path: string,
  after: number,
  ended: readonly EndedRecord[],
): Promise<number> {
  // "a" would write behind what a crash left; "r+" needs the file to be there.
  const file = await open(path, "r+").catch(() => open(path, "wx+", 0o600));
  try {
    const bytes = Buffer.from(ended.map((each) => `${endedToText(each)}\n`).join(""));
    await file.truncate(after);
    await file.write(bytes, 0, bytes.length, after);
    await file.datasync();
    return after + bytes.length;
  } finally {
    await file.close();
  }
}

async function* readLines(path: string, bytes: number): AsyncGenerator<SpilledRecord> {
  if (bytes === 0) return;
  const file = await open(path, "r");
  try {
    let at = 0;
    for await (const line of file.readLines({ end: bytes - 1, autoClose: false })) {
      const length = Buffer.byteLength(line);
      yield { at, bytes: length, ended: endedFromText(line) };
      at += length + 1;
    }
  } finally {
    await file.close();
  }
}

async function openReader(path: string): Promise<SpillReader> {
  const file = await open(path, "r");
  return {
    async read({ at, bytes }) {
      const buffer = Buffer.allocUnsafe(bytes);
      await file.read(buffer, 0, bytes, at);
      return endedFromText(buffer.toString());
    },
    close: () => file.close(),
  };
}

async function writeLines(path: string, lines: AsyncIterable<string>): Promise<number> {
  const draft = `${path}.draft`;
  const file = await open(draft, "w", 0o600);
  let written = 0;
  let waiting: string[] = [];
  const flush = async (): Promise<void> => {
    await file.appendFile(waiting.join(""));
    written += waiting.length;
    waiting = [];
  };
  try {
    for await (const line of lines) {
      waiting.push(`${line}\n`);
      if (waiting.length >= linesPerWrite) await flush();
    }
    await flush();
    await file.sync();
  } finally {
    await file.close();
  }
  if (written === 0) await rm(draft);
  else await rename(draft, path);
  return written;
}
