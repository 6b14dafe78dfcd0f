import assert from "node:assert/strict";
import { it } from "node:test";
import { prove, z3Version } from "./prove.ts";

const skip = z3Version() === undefined ? "there is no z3 here" : false;

// The planted bugs are left to `npm run prove`: each takes as long as this.
it("deposits and bonds are always covered", { skip }, () => {
  const { proved, refuted, open } = prove();
  assert.deepEqual({ refuted, open }, { refuted: [], open: [] });
  assert.ok(proved.some((line) => line.includes("balance >= first + rest + bonds")));
});
