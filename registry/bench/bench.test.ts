import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

interface Report {
  readonly bench: string;
  readonly workHash: string;
  readonly figures: readonly { readonly name: string; readonly value: number }[];
}

test("the benchmark runs tiny and prints every figure", async () => {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [main, "--quick", "--json"]);
  const report = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Report;
  assert.equal(report.bench, "registry/transfer");
  assert.match(report.workHash, /^[0-9a-f]{64}$/);
  const values = new Map(report.figures.map(({ name, value }) => [name, value]));
  for (const name of [
    "pull_vs_http",
    "pull_three_vs_one",
    "pull_vs_helia_cat",
    "publish_vs_sha256",
    "pull_rss_mb",
    "resume_refetch_share",
  ]) {
    assert.ok(Number.isFinite(values.get(name)), name);
  }
});
