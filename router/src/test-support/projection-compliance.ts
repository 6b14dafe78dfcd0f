import assert from "node:assert/strict";
import { test } from "node:test";
import type { EpochRollup } from "@lake-travis/protocol";
import type { Projection } from "../projection/projection.ts";
import type { RecordRow } from "../projection/tables.ts";

const models = ["founders/tiny", "founders/large"] as const;

/** What every database must do behind a `Projection`; `open` gives an empty one, closed after. */
export function complyAsProjection(name: string, open: OpenProjection): void {
  const run = runner(name, open);
  listsRecords(run);
  keepsWhatItIsGiven(run);
  void test(`${name}: shards share the Records and keep their own filings`, async () => {
    const [one, two] = [await open(0), await open(1)];
    try {
      await one.clear();
      await one.put({ records: [rowOf(1)], rollups: [], filed: [1] });
      await two.put({ records: [{ ...rowOf(2), shard: 1 }], rollups: [], filed: [2] });
      assert.equal((await one.records({ max: 10 })).lines.length, 2);
      assert.deepEqual([...(await two.filedEpochs())], [2]);
    } finally {
      await one.close();
      await two.close();
    }
  });
}

type OpenProjection = (shard?: number) => Promise<Projection>;
type Run = (does: string, body: (projection: Projection) => Promise<void>) => void;

/** Runs a test on an empty projection of its own. */
function runner(name: string, open: OpenProjection): Run {
  return (does, body) => {
    void test(`${name}: ${does}`, async () => {
      const projection = await open();
      try {
        await projection.clear();
        await body(projection);
      } finally {
        await projection.close();
      }
    });
  };
}

function listsRecords(run: Run): void {
  run("pages through all Records, newest epoch first, each once", async (projection) => {
    const rows = Array.from({ length: 1_234 }, (_, index) => rowOf(index));
    await projection.put({ records: rows, rollups: [], filed: [] });
    const seen: string[] = [];
    let after: string | null | undefined;
    while (after !== null) {
      const page = await projection.records({ max: 100, ...(after && { after }) });
      seen.push(...page.lines);
      after = page.next;
    }
    const order = (a: RecordRow, b: RecordRow): number =>
      b.epoch - a.epoch || (a.session_id < b.session_id ? -1 : 1);
    assert.deepEqual(
      seen,
      rows.toSorted(order).map(({ line }) => line),
    );
  });

  run("filters by epoch, model and Provider", async (projection) => {
    const rows = Array.from({ length: 60 }, (_, index) => rowOf(index));
    await projection.put({ records: rows, rollups: [], filed: [] });
    for (const filter of [{ epoch: 2 }, { model: models[1] }, { provider: rowOf(4).provider }]) {
      const [[key, value]] = Object.entries(filter) as [[keyof RecordRow, unknown]];
      const wanted = rows.filter((row) => row[key] === value).map(({ line }) => line);
      const { lines, next } = await projection.records({ ...filter, max: 60 });
      assert.deepEqual([...lines].sort(), wanted.sort());
      assert.equal(next, null);
    }
  });
}

function keepsWhatItIsGiven(run: Run): void {
  run("takes a row twice as once, and text as text", async (projection) => {
    const row = { ...rowOf(1), line: `{"note":"'; drop table records; --"}` };
    await projection.put({ records: [row], rollups: [], filed: [] });
    await projection.put({ records: [row, rowOf(2)], rollups: [], filed: [] });
    const { lines } = await projection.records({ max: 10 });
    assert.equal(lines.length, 2);
    assert.ok(lines.includes(row.line));
    const none = await projection.records({ max: 10, model: "' or 1=1 --" });
    assert.deepEqual(none.lines, []);
    const same = await projection.records({ max: 10, after: "'; drop table records; --" });
    assert.equal(same.lines.length, 2);
  });

  run("a batch is put whole or not at all", async (projection) => {
    const broken = { ...rowOf(2), line: null as unknown as string };
    await assert.rejects(projection.put({ records: [rowOf(1), broken], rollups: [], filed: [5] }));
    assert.deepEqual((await projection.records({ max: 10 })).lines, []);
    assert.deepEqual([...(await projection.filedEpochs())], []);
  });

  run("keeps the newest rollup of an epoch and reads a span of them", async (projection) => {
    const rollup = (epoch: number, name: string): EpochRollup => {
      return { epoch, models: [], providers: [], builders: [], demand: [demandOf(name)] };
    };
    const old = [rollup(1, "a"), rollup(2, "b"), rollup(3, "c")];
    await projection.put({ records: [], rollups: old, filed: [] });
    await projection.put({ records: [], rollups: [rollup(2, "d")], filed: [] });
    const span = await projection.rollups({ fromEpoch: 2, toEpoch: 9, max: 10 });
    assert.deepEqual(span, [rollup(2, "d"), rollup(3, "c")]);
    const newest = await projection.rollups({ fromEpoch: 0, toEpoch: 9, max: 1 });
    assert.deepEqual(newest, [rollup(3, "c")]);
  });

  run("remembers as numbers which files it has read", async (projection) => {
    await projection.put({ records: [], rollups: [], filed: [1] });
    await projection.put({ records: [], rollups: [], filed: [1, 2] });
    assert.deepEqual([...(await projection.filedEpochs())].sort(), [1, 2]);
  });
}

function demandOf(model: string): EpochRollup["demand"][number] {
  return { model, priceBucketWei: "1", asked: 3, unserved: 3 };
}

function rowOf(index: number): RecordRow {
  const sessionId = `0x${(index * 7_919).toString(16).padStart(64, "0")}`;
  const epoch = index % 5;
  return {
    session_id: sessionId,
    shard: 0,
    epoch,
    model: models[index % 2] as string,
    provider: `0x${(index % 3).toString(16).padStart(40, "0")}`,
    opened_at: 1_800_000_000_000 + index,
    line: JSON.stringify({ epoch, sessionId }),
  };
}
