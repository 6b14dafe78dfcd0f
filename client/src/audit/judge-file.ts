/*
 * Judges a file of Records of any size: a first pass reads and checks every line and counts, a
 * second gives the verdicts. Nothing is said before the whole file has been found right. Held in
 * memory are sums, some 200 bytes a Record where nearly each has a pair of its own; sessionIds wait
 * in a temporary file.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Baseline,
  EpochJudge,
  LakeError,
  readJudgedRecord,
  recordLimits,
  RecordScanner,
  type Verdict,
  verdictLimits,
} from "@lake-travis/protocol";
import { readLines } from "./read-lines.ts";
import { SessionSet } from "./session-set.ts";
import { SessionSpill } from "./session-spill.ts";

/** What {@link judgeFile} found in all. */
export interface JudgedFile {
  readonly records: number;
  readonly epochs: number;
  readonly failed: number;
  readonly reviewed: number;
  /** What the epoch after the file's last one begins with. */
  readonly baseline: Baseline;
}

/**
 * Judges a file and hands on each verdict, by epoch and within it in the file's order. Throws
 * `records-invalid` with the number of the first line that is wrong, before any verdict.
 */
export async function judgeFile(options: {
  readonly path: string;
  readonly baseline: Baseline;
  /** Takes Records in any order of time. */
  readonly anyOrder?: boolean;
  /** May return a promise, to be waited for. */
  readonly onVerdict: (verdict: Verdict) => Promise<void> | undefined;
}): Promise<JudgedFile> {
  const folder = mkdtempSync(join(tmpdir(), "lake-judge-"));
  const reader = new RecordsReader(folder, options.anyOrder ?? false);
  try {
    readLines(options.path, (bytes, from, to, line) => reader.read(bytes, from, to, line));
    let { baseline } = options;
    let failed = 0;
    let reviewed = 0;
    const epochs = [...reader.epochs].sort(([a], [b]) => a - b);
    requireLater(baseline, epochs[0]?.[0]);
    for (const [, { judge, spill }] of epochs) {
      judge.weigh(baseline);
      let record = 0;
      for (const sessionId of spill.read()) {
        const verdict = judge.judge(record, sessionId);
        record += 1;
        if (verdict.verdict === "fail") failed += 1;
        if (verdict.verdict === "review") reviewed += 1;
        const wait = options.onVerdict(verdict);
        if (wait !== undefined) await wait;
      }
      baseline = judge.next();
    }
    return { records: reader.records, epochs: epochs.length, failed, reviewed, baseline };
  } finally {
    for (const { spill } of reader.epochs.values()) spill.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface OpenEpoch {
  readonly judge: EpochJudge;
  readonly spill: SessionSpill;
}

/** The first pass. */
class RecordsReader {
  readonly epochs = new Map<number, OpenEpoch>();
  records = 0;
  readonly #folder: string;
  readonly #anyOrder: boolean;
  readonly #scanner = new RecordScanner();
  readonly #sessions = new SessionSet();
  readonly #names;
  #lastEpoch = -1;
  #lastOpenedAt = -1;
  #neighbours = false;

  constructor(folder: string, anyOrder: boolean) {
    this.#folder = folder;
    this.#anyOrder = anyOrder;
    const { models, providers, hardware } = this.#scanner;
    this.#names = {
      modelOf: (id: number) => models.nameOf(id),
      providerOf: (id: number) => providers.nameOf(id),
      hardwareOf: (id: number) => hardware.nameOf(id),
    };
  }

  read(bytes: Uint8Array, from: number, to: number, line: number): void {
    const scanner = this.#scanner;
    let sessionBytes = bytes;
    if (!scanner.scan(bytes, from, to)) {
      const sessionId = this.#readSlowly(bytes, from, to, line);
      if (sessionId === undefined) return;
      sessionBytes = Buffer.from(sessionId, "latin1");
    }
    if (this.#neighbours) throw wrong(line, "a Record stands behind the file's other lines");
    this.#checkPlace(line);
    const before = this.#sessions.add(scanner.sessionHash, scanner.sessionCheck, line);
    if (before !== 0) throw wrong(line, `its Session is also that of line ${before}`);
    if (this.#sessions.isFull) throw wrong(line, "a file holds no more Records than this");
    const { judge, spill } = this.#epochOf(scanner.epoch, line);
    judge.add(scanner.raw, scanner.ids);
    spill.add(sessionBytes, scanner.sessionFrom, scanner.sessionTo);
    this.records += 1;
  }

  /** The sessionId of a Record; undefined for a line that is none and need not be. */
  #readSlowly(bytes: Uint8Array, from: number, to: number, line: number): string | undefined {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("utf8");
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw wrong(line, "it is no JSON; the file may be cut off there");
    }
    const kind = (value as { kind?: unknown } | null)?.kind;
    if (typeof kind === "string" && neighbourKinds.has(kind)) {
      this.#neighbours = true;
      return undefined;
    }
    try {
      if (to - from > recordLimits.lineBytesMax) throw wrong(line, "it is longer than any Record");
      const record = readJudgedRecord(value);
      this.#scanner.take(record);
      this.#scanner.learn(text);
      return record.sessionId;
    } catch (error) {
      if (!(error instanceof LakeError) || error.code === "records-invalid") throw error;
      throw wrong(line, error.message.replace(/^Not a Record: |\.$/g, ""));
    }
  }

  #checkPlace(line: number): void {
    const { epoch, openedAt } = this.#scanner;
    const last = this.#lastEpoch;
    const back = epoch < last || (epoch === last && openedAt < this.#lastOpenedAt);
    if (back && !this.#anyOrder) {
      throw wrong(line, "it is earlier than the line before; sort by epoch, openedAt, sessionId");
    }
    this.#lastEpoch = epoch;
    this.#lastOpenedAt = openedAt;
  }

  #epochOf(epoch: number, line: number): OpenEpoch {
    const known = this.epochs.get(epoch);
    if (known !== undefined) return known;
    if (this.epochs.size === verdictLimits.epochsMax) {
      throw wrong(line, `a file holds no more than ${verdictLimits.epochsMax} epochs`);
    }
    const made = {
      judge: new EpochJudge(epoch, this.#names),
      spill: new SessionSpill(this.#folder, epoch),
    };
    this.epochs.set(epoch, made);
    return made;
  }
}

/** What may stand behind the Records of a published file. */
const neighbourKinds = new Set([
  ...["demand", "funding", "outcome", "verdict", "report"],
  ...["credit", "settlement", "baseline"],
]);

function requireLater(baseline: Baseline, epoch: number | undefined): void {
  if (epoch === undefined || baseline.epoch < epoch) return;
  throw new LakeError("argument-invalid", `The baseline is of epoch ${baseline.epoch} already.`, {
    advice: `Records of epoch ${epoch} are judged with a baseline of an epoch before it.`,
  });
}

function wrong(line: number, what: string): LakeError {
  return new LakeError("records-invalid", `Line ${line} is not right: ${what}.`, {
    advice: "Nothing was judged. docs/records.md describes the file.",
    data: { line },
  });
}
