/*
 * What this User's Sessions cost, as an SQLite file in WAL mode: several `lake` processes write it
 * at once and a killed one leaves it whole.
 *
 * A Session is written before its first Tick is signed, and each Tick's seconds before that Tick is
 * signed. So whatever was signed is known here, and nobody is charged beyond that; the Router's own
 * figure, which is never higher, replaces it once the Session has ended. Amounts are never added up
 * in SQL, whose integers are too small for wei: seconds are, by price.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { type Address, type Hex, LakeError } from "@lake-travis/protocol";
import type { GrantedSession } from "./spend-guard.ts";

/** A Session in the ledger. Times are unix milliseconds. */
export interface LedgerSession extends GrantedSession {
  /** The UTC day that it counts for: the one it was opened in. */
  readonly day: string;
  /** Highest second that a Tick was signed for. */
  readonly signedSeconds: number;
  /** When this client stopped signing; null while it runs, or where the process was killed. */
  readonly closedAt: number | null;
  /** What the Router charged; null until that is known. */
  readonly chargedSeconds: number | null;
  /** Whether the verdict is known too, after which no charge changes any more. */
  readonly isFinal: boolean;
}

/** One request's use of one Session. */
export interface SessionUse {
  readonly sessionId: Hex;
  /** Name of the endpoint's bearer key; null where none was needed. */
  readonly key: string | null;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly tokens: number;
  readonly ok: boolean;
}

/** Seconds of a day at one price. */
export interface PricedSeconds {
  readonly weiPerSecond: bigint;
  readonly seconds: number;
}

const schema = `
  CREATE TABLE IF NOT EXISTS sessions (
    sessionId TEXT PRIMARY KEY, previous TEXT, model TEXT NOT NULL, provider TEXT NOT NULL,
    weiPerSecond TEXT NOT NULL, minSeconds INTEGER NOT NULL, epoch INTEGER NOT NULL,
    openedAt INTEGER NOT NULL, day TEXT NOT NULL, signedSeconds INTEGER NOT NULL,
    closedAt INTEGER, chargedSeconds INTEGER, isFinal INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS sessionsByDay ON sessions (day);
  CREATE INDEX IF NOT EXISTS sessionsUnsettled ON sessions (openedAt) WHERE isFinal = 0;
  CREATE TABLE IF NOT EXISTS uses (
    sessionId TEXT NOT NULL, key TEXT, startedAt INTEGER NOT NULL, endedAt INTEGER NOT NULL,
    tokens INTEGER NOT NULL, ok INTEGER NOT NULL) STRICT;
  CREATE INDEX IF NOT EXISTS usesBySession ON uses (sessionId);
  CREATE TABLE IF NOT EXISTS warnings (
    day TEXT NOT NULL, what TEXT NOT NULL, PRIMARY KEY (day, what)) STRICT, WITHOUT ROWID;
  PRAGMA user_version = 2;
`;

/** Files of version 1 knew no verdicts. */
const fromVersion1 = "ALTER TABLE sessions ADD COLUMN isFinal INTEGER NOT NULL DEFAULT 0;";

/** See the head of this file. */
export class LedgerStore {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Opens or creates the file; throws `journal-corrupt` or `folder-unusable`. */
  constructor(path: string) {
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      this.#database = new DatabaseSync(path);
      this.#database.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL;");
      const [version] = this.#database.prepare("PRAGMA user_version").all();
      if (version?.["user_version"] === 1) this.#database.exec(fromVersion1);
      this.#database.exec(schema);
    } catch (cause) {
      throw storeError(path, cause);
    }
  }

  close(): void {
    this.#database.close();
  }

  /** Does several things as one: other processes see all of it or nothing. */
  atOnce<Result>(work: () => Result): Result {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Writes a Session through to the disk: what is signed after this must never be forgotten. */
  addSession(session: GrantedSession, day: string): void {
    this.#database.exec("PRAGMA synchronous = FULL");
    this.#run(
      `INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, NULL, 0)
       ON CONFLICT (sessionId) DO NOTHING`,
      session.sessionId,
      session.previous,
      session.model,
      session.provider,
      session.weiPerSecond.toString(),
      session.minSeconds,
      session.epoch,
      session.openedAt,
      day,
    );
    // A power cut may take the last seconds, which the Router knows too; the Session itself stays.
    this.#database.exec("PRAGMA synchronous = NORMAL");
  }

  sign(sessionId: Hex, seconds: number): void {
    this.#run(
      "UPDATE sessions SET signedSeconds = max(signedSeconds, ?) WHERE sessionId = ?",
      seconds,
      sessionId,
    );
  }

  closeSession(sessionId: Hex, at: number): void {
    this.#run("UPDATE sessions SET closedAt = ? WHERE sessionId = ?", at, sessionId);
  }

  settle(sessionId: Hex, chargedSeconds: number, isFinal: boolean): void {
    this.#run(
      "UPDATE sessions SET chargedSeconds = ?, isFinal = ? WHERE sessionId = ?",
      chargedSeconds,
      isFinal ? 1 : 0,
      sessionId,
    );
  }

  addUse(use: SessionUse): void {
    this.#run(
      "INSERT INTO uses VALUES (?, ?, ?, ?, ?, ?)",
      use.sessionId,
      use.key,
      use.startedAt,
      use.endedAt,
      use.tokens,
      use.ok ? 1 : 0,
    );
  }

  /** Notes that somebody was warned; false where that was done on this day already. */
  addWarning(day: string, what: string): boolean {
    const sql = "INSERT INTO warnings VALUES (?, ?) ON CONFLICT DO NOTHING";
    return Number(this.#statement(sql).run(day, what).changes) > 0;
  }

  /** What a day costs by now, at most: charged seconds, or signed ones where no charge is known. */
  secondsOfDay(day: string): readonly PricedSeconds[] {
    const rows = this.#all(
      `SELECT weiPerSecond, sum(coalesce(chargedSeconds, signedSeconds)) AS seconds
       FROM sessions WHERE day = ? GROUP BY weiPerSecond`,
      day,
    );
    return rows.map((row) => ({
      weiPerSecond: BigInt(String(row["weiPerSecond"])),
      seconds: Number(row["seconds"]),
    }));
  }

  /** Sessions opened in a span of days, both included; oldest first. */
  sessionsBetween(from: string, to: string): readonly LedgerSession[] {
    const sql = "SELECT * FROM sessions WHERE day BETWEEN ? AND ? ORDER BY openedAt";
    return this.#all(sql, from, to).map(sessionIn);
  }

  /** Sessions whose charge is not final yet; oldest first, at most `max`. */
  unsettled(max: number): readonly LedgerSession[] {
    const sql = "SELECT * FROM sessions WHERE isFinal = 0 ORDER BY openedAt LIMIT ?";
    return this.#all(sql, max).map(sessionIn);
  }

  has(sessionId: Hex): boolean {
    return this.#all("SELECT 1 FROM sessions WHERE sessionId = ?", sessionId).length > 0;
  }

  usesOf(sessionId: Hex): readonly SessionUse[] {
    const sql = "SELECT * FROM uses WHERE sessionId = ? ORDER BY startedAt";
    return this.#all(sql, sessionId).map((row) => ({
      sessionId,
      key: row["key"] as string | null,
      startedAt: Number(row["startedAt"]),
      endedAt: Number(row["endedAt"]),
      tokens: Number(row["tokens"]),
      ok: row["ok"] === 1,
    }));
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#database.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#statement(sql).run(...values);
  }

  #all(sql: string, ...values: SQLInputValue[]): Record<string, unknown>[] {
    return this.#statement(sql).all(...values);
  }
}

function sessionIn(row: Record<string, unknown>): LedgerSession {
  const numberOrNull = (value: unknown): number | null => (value === null ? null : Number(value));
  return {
    sessionId: row["sessionId"] as Hex,
    previous: row["previous"] as Hex | null,
    model: String(row["model"]),
    provider: row["provider"] as Address,
    weiPerSecond: BigInt(String(row["weiPerSecond"])),
    minSeconds: Number(row["minSeconds"]),
    epoch: Number(row["epoch"]),
    openedAt: Number(row["openedAt"]),
    day: String(row["day"]),
    signedSeconds: Number(row["signedSeconds"]),
    closedAt: numberOrNull(row["closedAt"]),
    chargedSeconds: numberOrNull(row["chargedSeconds"]),
    isFinal: row["isFinal"] === 1,
  };
}

function storeError(path: string, cause: unknown): LakeError {
  if (/not a database|malformed/.test(String(cause))) {
    return new LakeError("journal-corrupt", `The ledger ${path} is damaged; it stays as it is.`, {
      advice: "Move it away to start a new one; what was charged stays in the public Records.",
      cause,
    });
  }
  return new LakeError("folder-unusable", `The ledger ${path} cannot be opened.`, {
    advice: "Check that the folder is writable, or name another one with --data-dir.",
    cause,
  });
}
