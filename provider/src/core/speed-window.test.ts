import assert from "node:assert/strict";
import { test } from "node:test";
import { createSpeedWindow } from "./speed-window.ts";

function judged(rates: readonly number[], published: number, measured = 100_000): number {
  const window = createSpeedWindow();
  for (const rate of rates) window.note({ tokens: rate, engineMs: 1_000 });
  return window.judge({ published, measured });
}

test("the published speed follows what answers reach, and not their noise", () => {
  const many = (rate: number): number[] => Array.from({ length: 20 }, () => rate);
  assert.equal(judged([], 100_000), 100_000);
  assert.equal(judged([50, 50], 100_000), 100_000, "two answers are no trend");
  assert.equal(judged(many(50), 100_000), 50_000);
  assert.equal(judged(many(90), 100_000), 100_000, "a tenth is noise");
  assert.equal(judged(many(500), 100_000), 100_000, "never beyond what was measured");
  assert.equal(judged(many(500), 50_000), 100_000, "back again");
  assert.equal(judged([...many(90), 1, 1], 100_000), 100_000, "two hiccups in twenty");
  assert.equal(judged(many(5), 100_000), 100_000, "answers too short to tell");
});
