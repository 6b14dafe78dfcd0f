/*
 * Reads the public file of a settlement: Records in their order, and behind them lines with a
 * `kind` (docs/records.md). Everything is checked; the first line that is wrong is named.
 */
import {
  type Address,
  type Baseline,
  baselineFromJson,
  compareRecords,
  type DemandLine,
  type Hex,
  isHex,
  LakeError,
  readRecord,
  recordLimits,
  recordLine,
  recordLineLeaf,
  type SessionRecord,
} from "@lake-travis/protocol";

/** What a Session that was paid from both sources took from each, in wei. */
export interface FundingLine {
  readonly allowance: bigint;
  readonly deposit: bigint;
}

/** How a Session that was held for its verdict ended. */
export interface OutcomeLine {
  readonly sessionId: Hex;
  readonly outcome: "upheld" | "cleared";
  readonly byEvidence: boolean;
}

/** See the head of this file. */
export interface PublicRecords {
  readonly records: readonly SessionRecord[];
  /** The Records' Merkle leaves. */
  readonly leaves: readonly Uint8Array[];
  readonly fundings: ReadonlyMap<string, FundingLine>;
  readonly outcomes: readonly OutcomeLine[];
  /** What the Router says of Records that did not pass, as JSON text by Session. */
  readonly verdicts: ReadonlyMap<string, string>;
  /** What was asked for and not served. */
  readonly demand: readonly DemandLine[];
  /** The CIDs of the epochs' reports, by epoch. */
  readonly reports: ReadonlyMap<number, string>;
  /** Cumulative wei by account. */
  readonly credits: ReadonlyMap<Address, bigint>;
  readonly baseline: Baseline | undefined;
  /** The epochs that the settlement closes, ascending. */
  readonly epochs: readonly number[];
}

/** Parses a file; throws `records-invalid` with the number of the line that is wrong. */
export function parsePublicFile(bytes: Uint8Array): PublicRecords {
  const reading = new Reading();
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let line = 0;
  // Line by line: a file of a million Records is longer than a string may be.
  for (let from = 0; from < buffer.length;) {
    line += 1;
    const to = buffer.indexOf(10, from);
    if (to < 0) throw wrong(line, "the file is cut off there");
    try {
      reading.take(buffer.toString("utf8", from, to));
    } catch (error) {
      const what = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
      throw wrong(line, what);
    }
    from = to + 1;
  }
  return reading;
}

class Reading implements PublicRecords {
  readonly records: SessionRecord[] = [];
  readonly leaves: Uint8Array[] = [];
  readonly fundings = new Map<string, FundingLine>();
  readonly outcomes: OutcomeLine[] = [];
  readonly verdicts = new Map<string, string>();
  readonly demand: DemandLine[] = [];
  readonly reports = new Map<number, string>();
  readonly credits = new Map<Address, bigint>();
  baseline: Baseline | undefined;
  epochs: readonly number[] = [];
  readonly #sessions = new Set<string>();
  #behind = false;

  take(line: string): void {
    if (line.length > recordLimits.lineBytesMax && !line.startsWith('{"baseline"')) {
      throw new Error("it is longer than any line");
    }
    const value = JSON.parse(line) as Record<string, unknown>;
    const kind = value["kind"];
    if (typeof kind === "string") {
      this.#behind = true;
      this.#takeKind(kind, value);
    } else this.#takeRecord(line, readRecord(value));
  }

  #takeRecord(line: string, record: SessionRecord): void {
    if (this.#behind) throw new Error("a Record stands behind the file's other lines");
    if (recordLine(record) !== line) throw new Error("it is not in the canonical form");
    const last = this.records.at(-1);
    if (last !== undefined && compareRecords(last, record) > 0)
      throw new Error("it is out of order");
    if (this.#sessions.has(record.sessionId)) throw new Error("its Session is there twice");
    if (this.#sessions.size === recordLimits.recordsMax) throw new Error("there are too many");
    this.#sessions.add(record.sessionId);
    this.records.push(record);
    this.leaves.push(recordLineLeaf(line));
  }

  #takeKind(kind: string, value: Record<string, unknown>): void {
    if (kind === "credit") {
      const { account } = value;
      if (!isHex(account, 20) || this.credits.has(account))
        throw new Error("no account of its own");
      this.credits.set(account, wei(value["cumulative"]));
    } else if (kind === "funding") {
      const funding = { allowance: wei(value["allowance"]), deposit: wei(value["deposit"]) };
      this.fundings.set(String(value["sessionId"]), funding);
    } else if (kind === "outcome") {
      const { sessionId, outcome, byEvidence } = value;
      if (!isHex(sessionId, 32) || (outcome !== "upheld" && outcome !== "cleared")) {
        throw new Error("it is no outcome");
      }
      this.outcomes.push({ sessionId, outcome, byEvidence: byEvidence === true });
    } else if (kind === "baseline") this.baseline = baselineFromJson(value["baseline"]);
    else if (kind === "settlement") this.epochs = epochsOf(value["epochs"]);
    else if (kind === "verdict") {
      const { sessionId, verdict, fault, score } = value;
      this.verdicts.set(String(sessionId), verdictText({ verdict, fault, score }));
    } else if (kind === "demand") this.demand.push(demandFrom(value));
    else if (kind === "report") {
      const { epoch, cid } = value;
      if (!Number.isSafeInteger(epoch) || typeof cid !== "string" || cid.length > 100) {
        throw new Error("it names no report");
      }
      this.reports.set(epoch as number, cid);
    } else throw new Error("it is of an unknown kind");
  }
}

/** A verdict as far as it is compared. */
export function verdictText(verdict: {
  readonly verdict: unknown;
  readonly fault: unknown;
  readonly score: unknown;
}): string {
  const { verdict: word, fault, score } = verdict;
  return JSON.stringify({ verdict: word, fault, score });
}

function epochsOf(value: unknown): number[] {
  if (!Array.isArray(value)) throw new Error("the settlement names no epochs");
  return (value as { epoch?: unknown }[]).map(({ epoch }) => {
    if (!Number.isSafeInteger(epoch)) throw new Error("an epoch is no number");
    return epoch as number;
  });
}

function wei(value: unknown): bigint {
  if (typeof value !== "string" || !/^(?:0|[1-9][0-9]{0,30})$/.test(value)) {
    throw new Error("it holds no decimal amount of wei");
  }
  return BigInt(value);
}

function wrong(line: number, what: string): LakeError {
  return new LakeError(
    "records-invalid",
    `Line ${line} of the public file is not right: ${what}.`,
    {
      data: { line },
    },
  );
}

function demandFrom(value: Record<string, unknown>): DemandLine {
  const { epoch, model, priceBucketWei, asked, unserved } = value;
  const counts = [epoch, asked, unserved].every(
    (count) => Number.isSafeInteger(count) && (count as number) >= 0,
  );
  if (!counts || typeof model !== "string") throw new Error("it is no line of demand");
  wei(priceBucketWei);
  return value as unknown as DemandLine;
}
