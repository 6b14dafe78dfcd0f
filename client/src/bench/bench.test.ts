import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

test("the bench runs and prints its figures", async () => {
  const args = ["--disable-warning=ExperimentalWarning", main, "--json", "--quick"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 });
  const last = stdout.trim().split("\n").at(-1) ?? "";
  const { figures } = JSON.parse(last) as { figures: { name: string; value: number }[] };
  const names = figures.map(({ name }) => name);
  for (const name of ["tps_ratio_1", "tps_ratio_16", "added_ttft_ms", "cold_open_ms"]) {
    assert.ok(names.includes(name), name);
  }
  assert.ok(figures.every(({ value }) => Number.isFinite(value)));
});
