import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { epochReportPage } from "./epoch-report-page.ts";
import { leaderboardCsv, leaderboardOf, modelEarnings } from "./leaderboard.ts";
import { type EpochRollup, RollupBuilder } from "./leaderboard-rollup.ts";
import type { SessionRecord } from "./record.ts";
import { anyRecord } from "./test-support/any-record.ts";

const [sample] = fc.sample(anyRecord, { numRuns: 1, seed: 3 }) as [SessionRecord];

function rollupOf(epoch: number, records: readonly Partial<SessionRecord>[]): EpochRollup {
  const builder = new RollupBuilder(epoch);
  for (const record of records) builder.add({ ...sample, builder: null, ...record });
  return builder.close();
}

const user = (number: number): `0x${string}` => `0x${String(number).padStart(64, "0")}`;
const busy = (model: string, seconds: number): Partial<SessionRecord>[] =>
  [1, 2, 3].map((number) => ({ model, user: user(number), seconds }));

describe("a leaderboard", () => {
  it("ranks models by the seconds that were used", () => {
    const board = leaderboardOf([rollupOf(1, [...busy("a/x:1", 10), ...busy("b/y:2", 30)])]);
    assert.deepEqual(
      board.models.map(({ name, seconds, sharePerMille }) => [name, seconds, sharePerMille]),
      [
        ["b/y", 90, 750],
        ["a/x", 30, 250],
      ],
    );
  });

  it("shows no row that a lone User stands behind", () => {
    const lone = { model: "secret/one:1", provider: `0x${"9".repeat(40)}` } as const;
    const board = leaderboardOf([rollupOf(1, [lone, lone, ...busy("a/x:1", 10)])]);
    assert.doesNotMatch(JSON.stringify(board) + epochReportPage(board), /secret|0x9{40}/);
    assert.equal(board.suppressed, 2);
  });

  it("has quantiles within 0.6% and growth against the older half", () => {
    const priced = Array.from({ length: 1001 }, (_, at) => ({
      model: "a/x:1",
      user: user(at),
      seconds: 10,
      weiPerSecond: `${1_000_000 + at * 1_000}`,
      builderWeiPerSecond: "0",
    }));
    const board = leaderboardOf([rollupOf(1, busy("a/x:1", 1000)), rollupOf(2, priced)]);
    const [row] = leaderboardOf([rollupOf(2, priced)]).models;
    assert.ok(Math.abs(row!.price.p50 / 1_500_000 - 1) < 0.006);
    assert.ok(Math.abs(row!.price.p90 / 1_900_000 - 1) < 0.006);
    assert.equal(board.models[0]?.growthPerMille, Math.round((10_010 / 3_000) * 1000) - 1000);
  });

  it("tells what nobody could serve and what a model would earn", () => {
    const builder = new RollupBuilder(1);
    for (const each of busy("a/x:1", 10)) {
      builder.add({ ...sample, ...each, weiPerSecond: "500", builderWeiPerSecond: "0" });
    }
    const line = { kind: "demand", epoch: 1, model: "a/x", reasons: {} } as const;
    builder.addDemand({ ...line, priceBucketWei: "512", asked: 9, unserved: 4 });
    const board = leaderboardOf([builder.close()]);
    assert.deepEqual(board.unmet, [{ model: "a/x", asked: 9, unserved: 4, offeredWei: "512" }]);
    const [earning] = modelEarnings(board);
    assert.equal(earning?.weiPerEpoch, "15000");
    assert.equal(earning.expectedWei, "7500");
    assert.equal(earning.unserved, 4);
  });

  it("comes as CSV and as one page that runs and loads nothing", () => {
    const board = leaderboardOf([rollupOf(1, busy("a/x:1", 10))]);
    const [head = "", row = ""] = leaderboardCsv(board.models).split("\r\n");
    assert.equal(head.split(",").length, row.split(",").length);
    const page = epochReportPage(board);
    assert.match(page, /<svg[^>]*>.*<rect/);
    assert.doesNotMatch(page, /<script|https?:|url\(|@import/);
    assert.equal(epochReportPage(board), page);
  });

  it("counts any Record, in any order, alike", () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 30 }), (records) => {
        const turned = rollupOf(1, [...records].reverse());
        assert.deepEqual(rollupOf(1, records), turned);
      }),
    );
  });
});
