/*
 * What the public asks about the past, in SQL. The published files of Records are the truth; all of
 * this can be thrown away and made again, and each row may be put twice. Several shards of one
 * Router write into the same tables.
 */
import type { Kysely, Transaction } from "kysely";
import type { EpochRollup } from "@lake-travis/protocol";
import { projectionLimits } from "../limits.ts";
import { openDatabase } from "./open-database.ts";
import { dropTables, prepareTables, type ProjectionTables, type RecordRow } from "./tables.ts";

/** A part of a settlement's file. */
export interface ProjectionBatch {
  readonly records: readonly RecordRow[];
  /** Of the epochs that the file settles, with its last part. */
  readonly rollups: readonly EpochRollup[];
  /** Epochs whose Records files have been put whole. */
  readonly filed: readonly number[];
}

/** Which Records to list; newest epoch first, within it by Session. */
export interface RecordQuery {
  readonly epoch?: number;
  readonly model?: string;
  readonly provider?: string;
  /** The `next` of the page before. */
  readonly after?: string;
  readonly max: number;
}

/** Which epochs' rollups to read. */
export interface RollupQuery {
  readonly fromEpoch: number;
  readonly toEpoch: number;
  readonly max: number;
}

/** One page of Records as lines of the public file. */
export interface RecordPage {
  readonly lines: readonly string[];
  /** Where the next page begins; null where this is the last one. */
  readonly next: string | null;
}

/** See the head of this file. */
export class Projection {
  readonly #database: Kysely<ProjectionTables>;
  readonly #shard: number;

  private constructor(database: Kysely<ProjectionTables>, shard: number) {
    this.#database = database;
    this.#shard = shard;
  }

  /** Opens a database and makes what tables are missing; `url` as `openDatabase` takes it. */
  static async open(url: string, shard = 0): Promise<Projection> {
    const database = openDatabase(url);
    try {
      await prepareTables(database);
    } catch (error) {
      await database.destroy();
      throw error;
    }
    return new Projection(database, shard);
  }

  async close(): Promise<void> {
    await this.#database.destroy();
  }

  /** Forgets everything, so that it can be made anew. */
  async clear(): Promise<void> {
    await dropTables(this.#database);
    await prepareTables(this.#database);
  }

  /** Puts a batch whole or not at all; what is there already stays. */
  async put({ records, rollups, filed }: ProjectionBatch): Promise<void> {
    const shard = this.#shard;
    await this.#database.transaction().execute(async (transaction) => {
      for (let at = 0; at < records.length; at += projectionLimits.rowsPerInsert) {
        await insertRecords(transaction, records.slice(at, at + projectionLimits.rowsPerInsert));
      }
      for (const { epoch, ...sums } of rollups) {
        const rollup = JSON.stringify({ epoch, ...sums });
        await transaction
          .insertInto("rollups")
          .values({ epoch, shard, rollup })
          .onConflict((conflict) => conflict.columns(["epoch", "shard"]).doUpdateSet({ rollup }))
          .execute();
      }
      for (const epoch of filed) {
        await transaction
          .insertInto("filings")
          .values({ epoch, shard })
          .onConflict((conflict) => conflict.doNothing())
          .execute();
      }
    });
  }

  /** Epochs of this shard whose Records files have been put whole. */
  async filedEpochs(): Promise<ReadonlySet<number>> {
    const rows = await this.#database
      .selectFrom("filings")
      .select("epoch")
      .where("shard", "=", this.#shard)
      .execute();
    return new Set(rows.map(({ epoch }) => epoch));
  }

  /** The rollups of the newest epochs in a span, the oldest first. */
  async rollups(query: RollupQuery): Promise<readonly EpochRollup[]> {
    const rows = await this.#database
      .selectFrom("rollups")
      .select("rollup")
      .where("epoch", ">=", query.fromEpoch)
      .where("epoch", "<=", query.toEpoch)
      .orderBy("epoch", "desc")
      .orderBy("shard")
      .limit(query.max)
      .execute();
    return rows.map(({ rollup }) => JSON.parse(rollup) as EpochRollup).reverse();
  }

  /** See {@link RecordQuery}; a cursor that is none of ours begins at the first page. */
  async records(query: RecordQuery): Promise<RecordPage> {
    let select = this.#database.selectFrom("records").select(["session_id", "epoch", "line"]);
    const { epoch, model, provider } = query;
    if (epoch !== undefined) select = select.where("epoch", "=", epoch);
    if (model !== undefined) select = select.where("model", "=", model);
    if (provider !== undefined) select = select.where("provider", "=", provider);
    const from = cursorFromText(query.after);
    if (from !== undefined) {
      select = select.where((where) =>
        where.or([
          where("epoch", "<", from.epoch),
          where.and([where("epoch", "=", from.epoch), where("session_id", ">", from.sessionId)]),
        ]),
      );
    }
    const rows = await select
      .orderBy("epoch", "desc")
      .orderBy("session_id")
      .limit(query.max + 1)
      .execute();
    const shown = rows.slice(0, query.max);
    const last = shown.at(-1);
    const hasMore = rows.length > query.max && last !== undefined;
    return {
      lines: shown.map(({ line }) => line),
      next: hasMore ? `${last.epoch}.${last.session_id}` : null,
    };
  }
}

async function insertRecords(
  transaction: Transaction<ProjectionTables>,
  rows: readonly RecordRow[],
): Promise<void> {
  await transaction
    .insertInto("records")
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

function cursorFromText(
  text: string | undefined,
): { readonly epoch: number; readonly sessionId: string } | undefined {
  const match = /^([0-9]{1,15})\.(0x[0-9a-f]{64})$/.exec(text ?? "");
  if (match === null) return undefined;
  return { epoch: Number(match[1]), sessionId: match[2] as string };
}
