import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { it } from "node:test";
import { promisify } from "node:util";
import { areaUnderCurve } from "./evaluate.ts";

it("measures verdicts and pages, so that no benchmark rots", async () => {
  const path = new URL("./main.ts", import.meta.url).pathname;
  const figures: { name: string; value: number }[] = [];
  // The Merkle peer is installed from a registry, so only the benchmark itself runs that part.
  for (const part of ["auc", "audit", "page"]) {
    const { stdout } = await promisify(execFile)(process.execPath, [
      path,
      part,
      "--quick",
      "--json",
    ]);
    const result = JSON.parse(stdout) as { workHash: string; figures: typeof figures };
    assert.match(result.workHash, /^0x[0-9a-f]{64}$/);
    figures.push(...result.figures);
  }
  const value = (name: string): number => figures.find((each) => each.name === name)?.value ?? NaN;
  // Far below what is reported: a small network proves less.
  assert.ok(value("auc_strong") > 0.95);
  assert.ok(value("auc_half") > 0.88);
  assert.ok(value("honest_failed_share") <= 0.003);
  assert.ok(value("leaderboard_page_ms") > 0);
  assert.ok(value("audit_5k_s") > 0);
});

it("computes the area under the curve as defined", () => {
  assert.equal(areaUnderCurve([3, 4], [1, 2]), 1);
  assert.equal(areaUnderCurve([1, 2], [1, 2]), 0.5);
  assert.equal(areaUnderCurve([0], [1, 2]), 0);
});
