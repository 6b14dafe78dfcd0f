import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { listSources, styleFaultsUnder } from "./style-rules.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

test("every source file follows STYLE", () => {
  assert.ok(listSources(root).length > 60, "the tree's sources were not found");
  const faults = styleFaultsUnder(root);
  assert.equal(
    faults.length,
    0,
    faults.map(({ rule, message }) => `${rule}: ${message}`).join("\n"),
  );
});
