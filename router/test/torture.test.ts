import assert from "node:assert/strict";
import { it } from "node:test";
import { torture } from "./torture.ts";

it("knows every Ticket after kill -9 under load, and counts nothing twice", async () => {
  const report = await torture(3);
  assert.deepEqual(report.broken, []);
  assert.equal(report.lost, 0);
  assert.equal(report.stuck, 0);
  assert.ok(report.tickets > 0);
});
