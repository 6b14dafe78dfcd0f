import { type Kysely, sql } from "kysely";

/** Every table of the projection. */
export interface ProjectionTables {
  readonly records: RecordRow;
  readonly rollups: RollupRow;
  readonly filings: FilingRow;
  readonly facts: FactRow;
}

/** One ended Session. `line` is its public Record; the other columns are what is searched by. */
export interface RecordRow {
  readonly session_id: string;
  readonly shard: number;
  readonly epoch: number;
  readonly model: string;
  readonly provider: string;
  readonly opened_at: number;
  readonly line: string;
}

/** What the Records of an epoch add up to, as the JSON of the protocol's `EpochRollup`. */
export interface RollupRow {
  readonly epoch: number;
  readonly shard: number;
  readonly rollup: string;
}

/** A Records file of the archive that has been read whole. */
export interface FilingRow {
  readonly epoch: number;
  readonly shard: number;
}

/** Facts about the projection itself. */
export interface FactRow {
  readonly name: string;
  readonly value: string;
}

/** Raised when a table changes: an older projection is thrown away and made anew. */
const projectionFormat = "1";

const names = ["records", "rollups", "filings", "facts"] as const;

/** Makes the tables; those of another format are dropped first, since all of it can be remade. */
export async function prepareTables(database: Kysely<ProjectionTables>): Promise<void> {
  await createFacts(database);
  const known = await database
    .selectFrom("facts")
    .select("value")
    .where("name", "=", "format")
    .executeTakeFirst();
  if (known !== undefined && known.value !== projectionFormat) await dropTables(database);
  await createFacts(database);
  await createRecords(database);
  await database.schema
    .createTable("rollups")
    .ifNotExists()
    .addColumn("epoch", "bigint", (column) => column.notNull())
    .addColumn("shard", "integer", (column) => column.notNull())
    .addColumn("rollup", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("rollups_key", ["epoch", "shard"])
    .execute();
  await database.schema
    .createTable("filings")
    .ifNotExists()
    .addColumn("epoch", "bigint", (column) => column.notNull())
    .addColumn("shard", "integer", (column) => column.notNull())
    .addPrimaryKeyConstraint("filings_key", ["epoch", "shard"])
    .execute();
  await database
    .insertInto("facts")
    .values({ name: "format", value: projectionFormat })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Removes every table of ours. */
export async function dropTables(database: Kysely<ProjectionTables>): Promise<void> {
  for (const name of names) await database.schema.dropTable(name).ifExists().execute();
}

async function createFacts(database: Kysely<ProjectionTables>): Promise<void> {
  await database.schema
    .createTable("facts")
    .ifNotExists()
    .addColumn("name", "text", (column) => column.primaryKey())
    .addColumn("value", "text", (column) => column.notNull())
    .execute();
}

async function createRecords(database: Kysely<ProjectionTables>): Promise<void> {
  await database.schema
    .createTable("records")
    .ifNotExists()
    .addColumn("session_id", "text", (column) => column.primaryKey())
    .addColumn("shard", "integer", (column) => column.notNull())
    .addColumn("epoch", "bigint", (column) => column.notNull())
    .addColumn("model", "text", (column) => column.notNull())
    .addColumn("provider", "text", (column) => column.notNull())
    .addColumn("opened_at", "bigint", (column) => column.notNull())
    .addColumn("line", "text", (column) => column.notNull())
    .execute();
  for (const column of ["epoch", "model", "provider"] as const) {
    // Each list is paged by epoch and Session within what it is filtered by.
    await sql`create index if not exists ${sql.id(`records_${column}`)} on records
      (${sql.join(indexed(column).map((name) => sql.id(name)))})`.execute(database);
  }
}

function indexed(column: "epoch" | "model" | "provider"): readonly string[] {
  const order = ["epoch", "session_id"];
  return column === "epoch" ? order : [column, ...order];
}
