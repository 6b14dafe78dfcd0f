/*
 * Keeps the projection up with what the Router has published: whenever a settlement's file is out,
 * reads it into SQL. The projection therefore holds exactly what everybody may know, and all of it
 * can be made anew from the files. It never holds the Router up and never fails it: while the
 * database is down it is tried again, and nothing is lost, since the files stay.
 */
import {
  type Clock,
  type DemandLine,
  LakeError,
  readRecord,
  RollupBuilder,
  type Verdict,
} from "@lake-travis/protocol";
import type { Logger } from "@lake-travis/platform";
import { projectionLimits } from "../limits.ts";
import type { RecordArchive } from "../record-archive.ts";
import type { ProjectionThread } from "./projection-thread.ts";
import type { RecordRow } from "./tables.ts";

/** What a {@link Projector} works with. */
export interface ProjectorParts {
  readonly projection: Pick<ProjectionThread, "put" | "clear" | "filedEpochs">;
  readonly archive: Pick<RecordArchive, "published" | "lines">;
  readonly shard: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** See the head of this file. */
export class Projector {
  readonly #parts: ProjectorParts;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #isUp = true;

  constructor(parts: ProjectorParts) {
    this.#parts = parts;
  }

  /** Whether the database took the last attempt. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Begins; `anew` forgets first what the database holds. */
  start(anew: boolean): void {
    this.#running ??= this.#run(anew);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(anew: boolean): Promise<void> {
    const { clock, projection } = this.#parts;
    const { signal } = this.#stopping;
    let cleared = !anew;
    while (!signal.aborted) {
      const done = await this.#attempt(async () => {
        if (!cleared) await projection.clear();
        cleared = true;
        await this.#readNewFiles();
      });
      const pause = done ? projectionLimits.lookMs : projectionLimits.retryMs;
      // An aborted sleep is the end of the loop.
      await clock.sleep(pause, signal).catch(() => undefined);
    }
  }

  async #attempt(action: () => Promise<void>): Promise<boolean> {
    const { logger } = this.#parts;
    const wasUp = this.#isUp;
    try {
      await action();
      this.#isUp = true;
      if (!wasUp) logger.info("ProjectionUpAgain");
    } catch (error) {
      this.#isUp = false;
      const code = error instanceof LakeError ? error.code : "internal";
      const message = error instanceof Error ? error.message : String(error);
      if (wasUp) logger.warn({ code, message }, "ProjectionDown");
    }
    return this.#isUp;
  }

  async #readNewFiles(): Promise<void> {
    const { archive, projection } = this.#parts;
    const seen = await projection.filedEpochs();
    for (const epoch of await archive.published()) {
      if (this.#stopping.signal.aborted) return;
      if (!seen.has(epoch)) await this.#readFile(epoch);
    }
  }

  async #readFile(epoch: number): Promise<void> {
    const { archive, projection, shard } = this.#parts;
    const verdicts = await readVerdicts(archive.lines(epoch));
    const rollups = new Map<number, RollupBuilder>();
    let rows: RecordRow[] = [];
    for await (const line of archive.lines(epoch)) {
      const row = countLine(line, rollups, verdicts);
      if (row !== undefined) rows.push({ ...row, shard });
      if (rows.length < projectionLimits.rowsPerBatch) continue;
      await projection.put({ records: rows, rollups: [], filed: [] });
      rows = [];
    }
    const closed = [...rollups.values()].map((rollup) => rollup.close());
    await projection.put({ records: rows, rollups: closed, filed: [epoch] });
  }
}

/** The verdicts of a file; they stand behind its Records and are few. */
async function readVerdicts(lines: AsyncIterable<string>): Promise<ReadonlyMap<string, Verdict>> {
  const verdicts = new Map<string, Verdict>();
  for await (const line of lines) {
    // Most lines are Records, and parsing them all twice would be the dearest part.
    if (!line.includes('"kind":"verdict"')) continue;
    const verdict = JSON.parse(line) as Verdict & { readonly kind?: string };
    if (verdict.kind === "verdict") verdicts.set(verdict.sessionId, verdict);
  }
  return verdicts;
}

/** Adds a line to its epoch's sums; the row of a Record, undefined for the lines behind them. */
function countLine(
  line: string,
  rollups: Map<number, RollupBuilder>,
  verdicts: ReadonlyMap<string, Verdict>,
): Omit<RecordRow, "shard"> | undefined {
  const value = JSON.parse(line) as { readonly kind?: string };
  if (value.kind === "demand") {
    const demand = value as DemandLine;
    rollupOf(rollups, demand.epoch).addDemand(demand);
  }
  if (value.kind !== undefined) return undefined;
  const record = readRecord(value);
  const { sessionId, epoch, model, provider, openedAt } = record;
  rollupOf(rollups, epoch).add(record, verdicts.get(sessionId));
  return { session_id: sessionId, epoch, model, provider, opened_at: openedAt, line };
}

function rollupOf(rollups: Map<number, RollupBuilder>, epoch: number): RollupBuilder {
  const known = rollups.get(epoch) ?? new RollupBuilder(epoch);
  rollups.set(epoch, known);
  return known;
}
