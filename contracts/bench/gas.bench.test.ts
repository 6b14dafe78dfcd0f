import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import type { GasTable } from "./gas.bench.ts";
import { measureGas } from "./gas.bench.ts";

it("gas equals the committed snapshot", async () => {
  const file = new URL("gas-snapshot.json", import.meta.url);
  const snapshot = JSON.parse(readFileSync(file, "utf8")) as GasTable;
  const measured = await measureGas([5]);
  for (const [name, gas] of Object.entries(measured)) {
    const was = snapshot[name] ?? 0;
    // Addresses and signatures vary by a few zero bytes of calldata.
    assert.ok(Math.abs(gas - was) <= 64, `${name}: ${String(gas)} gas, snapshot ${String(was)}`);
  }
});
