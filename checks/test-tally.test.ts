import assert from "node:assert/strict";
import { test } from "node:test";
import { addTallies, readTally } from "./test-tally.ts";

const check = (output: string, expected: readonly [number, number, number]) => {
  const { passed, failed, skipped } = readTally(output);
  assert.deepEqual([passed, failed, skipped], expected);
};

test("the summaries of node:test and forge are added up", () => {
  check("", [0, 0, 0]);
  check("ℹ tests 6\nℹ pass 3\nℹ fail 1\nℹ cancelled 1\nℹ skipped 1\nℹ todo 0\n", [3, 2, 1]);
  check("# tests 2\n# pass 2\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n", [2, 0, 0]);
  check("\u001b[34mℹ pass 4\u001b[39m\n", [4, 0, 0]);
  const forge =
    "Ran 2 test suites in 1.21s (2.1s CPU time): " +
    "33 tests passed, 1 failed, 2 skipped (36 total tests)";
  check(`${forge}\nℹ pass 4\nℹ fail 0\n`, [37, 1, 2]);
  check("I pass 4 of them", [0, 0, 0]);
});

test("each skipped test says why", () => {
  const output = [
    "﹣ draws the page (0.08ms) # Chromium is not installed",
    "  ﹣ nested (0.1ms)",
    "ok 3 - stores rows # SKIP PostgreSQL is not installed",
    "[SKIP: no z3] testProved() (gas: 0)",
  ].join("\n");
  assert.deepEqual(readTally(output).skips, [
    "draws the page: Chromium is not installed",
    "nested: no reason given",
    "stores rows: PostgreSQL is not installed",
    "testProved(): no z3",
  ]);
});

test("tallies add up", () => {
  const one = { passed: 1, failed: 2, skipped: 3, faults: ["a"], skips: ["b"] };
  assert.deepEqual(addTallies([one, one]), {
    passed: 2,
    failed: 4,
    skipped: 6,
    faults: ["a", "a"],
    skips: ["b", "b"],
  });
});
