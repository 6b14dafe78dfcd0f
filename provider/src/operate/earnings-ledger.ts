/*
 * What this Provider has earned, by its own count: one durable line for each ended Session. The
 * Router's settlement decides what is paid; this says where it came from.
 */
import { readFile } from "node:fs/promises";
import { feeHalfDivisor, isHex, LakeError } from "@lake-travis/protocol";
import { folderError } from "@lake-travis/platform";
import { type AppendFile, openAppendFile } from "../journal/append-file.ts";
import type { EndedSession } from "../provider-node.ts";
import { operateLimits } from "./limits.ts";

/** Sums of one model on one UTC day. */
export interface EarningsRow {
  /** `2026-01-31`. */
  readonly day: string;
  readonly model: string;
  readonly sessions: number;
  readonly seconds: number;
  readonly tokens: number;
  readonly requestsAnswered: number;
  readonly requestsFailed: number;
  /** The Provider's own part, fee taken off. */
  readonly wei: bigint;
}

/** Keeps account of ended Sessions. */
export interface EarningsLedger {
  /** Notes an ended Session; one that is known already changes nothing. */
  note(ended: EndedSession): Promise<void>;
  /** Every day and model, oldest day first. */
  readonly rows: readonly EarningsRow[];
  close(): Promise<void>;
}

type Line =
  | ({ readonly type: "session"; readonly sessionId: string; readonly wei: string } & Omit<
      EarningsRow,
      "wei" | "sessions"
    >)
  | ({ readonly type: "sum"; readonly wei: string } & Omit<EarningsRow, "wei">)
  | { readonly type: "known"; readonly sessionIds: readonly string[] };

/** Opens the ledger in `path`; throws `journal-corrupt`, `folder-unusable`, `disk-full`. */
export async function openEarningsLedger(path: string): Promise<EarningsLedger> {
  const { file, entries } = await openAppendFile(path);
  const rows = new Map<string, EarningsRow>();
  const known = new Set<string>();
  for (const entry of entries) readLine(entry as Line, rows, known);
  return {
    get rows() {
      return sorted(rows);
    },
    async note(ended) {
      if (known.has(ended.sessionId)) return;
      const line = lineOf(ended);
      readLine(line, rows, known);
      await file.append(line);
      if (file.bytes > operateLimits.ledgerBytesMax) await compact(file, rows, known);
    },
    close: () => file.close(),
  };
}

/** The sums in a ledger that nobody has open; a torn last line is left out. */
export async function readEarnings(path: string): Promise<readonly EarningsRow[]> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if ((error as { code?: string }).code === "ENOENT") return "";
    throw folderError(path, error);
  });
  const rows = new Map<string, EarningsRow>();
  const known = new Set<string>();
  for (const line of text.split("\n").slice(0, -1)) {
    readLine(JSON.parse(line) as Line, rows, known);
  }
  return sorted(rows);
}

/** What a Provider gets of its own price for so many seconds: both halves of the fee come off. */
export function earnedWei(weiPerSecond: bigint, seconds: number): bigint {
  const charge = weiPerSecond * BigInt(seconds);
  return charge - (charge * 2n + feeHalfDivisor - 1n) / feeHalfDivisor;
}

function lineOf(ended: EndedSession): Line {
  const { sessionId, model, endedAt, tokens, requestsAnswered, requestsFailed } = ended;
  return {
    type: "session",
    sessionId,
    day: new Date(endedAt).toISOString().slice(0, 10),
    model,
    seconds: ended.chargedSeconds,
    tokens,
    requestsAnswered,
    requestsFailed,
    wei: earnedWei(ended.weiPerSecond, ended.chargedSeconds).toString(),
  };
}

function readLine(line: Line, rows: Map<string, EarningsRow>, known: Set<string>): void {
  if (line.type === "known") {
    for (const sessionId of line.sessionIds) known.add(sessionId);
    return;
  }
  if (line.type === "session") {
    if (!isHex(line.sessionId, 32)) {
      throw new LakeError("journal-corrupt", "The earnings ledger has a line without a Session.");
    }
    known.add(line.sessionId);
    // Only Sessions of the last minutes can come twice, after a crash.
    if (known.size > operateLimits.knownSessionsMax) {
      known.delete(known.values().next().value ?? "");
    }
  }
  const key = keyOf(line);
  const before = rows.get(key);
  rows.set(key, {
    day: line.day,
    model: line.model,
    sessions: (before?.sessions ?? 0) + (line.type === "sum" ? line.sessions : 1),
    seconds: (before?.seconds ?? 0) + line.seconds,
    tokens: (before?.tokens ?? 0) + line.tokens,
    requestsAnswered: (before?.requestsAnswered ?? 0) + line.requestsAnswered,
    requestsFailed: (before?.requestsFailed ?? 0) + line.requestsFailed,
    wei: (before?.wei ?? 0n) + BigInt(line.wei),
  });
}

async function compact(
  file: AppendFile,
  rows: ReadonlyMap<string, EarningsRow>,
  known: ReadonlySet<string>,
): Promise<void> {
  const sums = [...rows.values()].map((row) => ({ ...row, type: "sum", wei: row.wei.toString() }));
  await file.rewrite([...sums, { type: "known", sessionIds: [...known] }]);
}

function keyOf(row: { readonly day: string; readonly model: string }): string {
  return `${row.day} ${row.model}`;
}

function sorted(rows: ReadonlyMap<string, EarningsRow>): readonly EarningsRow[] {
  return [...rows.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}
