import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { Kysely, PostgresDialect, type SqliteDatabase, SqliteDialect } from "kysely";
import pg from "pg";
import { LakeError } from "@lake-travis/protocol";
import { folderError } from "@lake-travis/platform";
import { projectionLimits } from "../limits.ts";
import type { ProjectionTables } from "./tables.ts";

/**
 * Opens the database of a URL: `sqlite:<path>`, or `postgres://…` for any server that speaks
 * PostgreSQL's protocol. Throws `argument-invalid`, `folder-unusable`.
 */
export function openDatabase(url: string): Kysely<ProjectionTables> {
  if (url.startsWith("sqlite:")) return openSqlite(url.slice("sqlite:".length));
  if (/^postgres(ql)?:\/\//.test(url)) return openPostgres(url);
  throw new LakeError("argument-invalid", "The database's URL has a scheme that is not known.", {
    advice: "Give sqlite:<path> or postgres://<user>@<host>/<database>.",
  });
}

function openSqlite(path: string): Kysely<ProjectionTables> {
  let database: DatabaseSync;
  try {
    mkdirSync(dirname(path), { recursive: true });
    database = new DatabaseSync(path);
    // The journal is the truth and this can be remade, so a commit need not wait for the disk.
    database.exec("pragma journal_mode = wal; pragma synchronous = normal");
  } catch (cause) {
    throw folderError(path, cause);
  }
  return new Kysely({ dialect: new SqliteDialect({ database: asKyselySqlite(database) }) });
}

/** What Kysely asks of a SQLite driver, by Node's own. */
function asKyselySqlite(database: DatabaseSync): SqliteDatabase {
  return {
    close: () => {
      database.close();
    },
    prepare: (text) => {
      const statement: StatementSync = database.prepare(text);
      const given = (parameters: readonly unknown[]): SQLInputValue[] =>
        parameters as SQLInputValue[];
      return {
        reader: statement.columns().length > 0,
        all: (parameters) => statement.all(...given(parameters)),
        run: (parameters) => statement.run(...given(parameters)),
        iterate: (parameters) => statement.iterate(...given(parameters)),
      };
    },
  };
}

function openPostgres(url: string): Kysely<ProjectionTables> {
  const pool = new pg.Pool({
    connectionString: url,
    max: projectionLimits.connectionsMax,
    connectionTimeoutMillis: projectionLimits.connectMsMax,
    types: { getTypeParser: parserOf },
  });
  // A connection lost while idle is replaced at the next query; unheard it would end the process.
  pool.on("error", () => undefined);
  return new Kysely({ dialect: new PostgresDialect({ pool }) });
}

/** The driver's own readers, but numbers for bigints: each of ours is an epoch or a time < 2^53. */
function parserOf(...asked: Parameters<typeof pg.types.getTypeParser>): (value: string) => unknown {
  if (asked[0] === pg.types.builtins.INT8) return Number;
  return pg.types.getTypeParser(...asked) as (value: string) => unknown;
}
