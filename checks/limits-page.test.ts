import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { limitsPage } from "./limits-page.ts";

const page = readFileSync(new URL("../LIMITS.md", import.meta.url), "utf8");

it("LIMITS.md says what the code says (npm run limits writes it)", () => {
  assert.equal(page, limitsPage());
});

it("every limit has its reason", () => {
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  assert.ok(rows.length > 20);
  assert.deepEqual(
    rows.filter((row) => row.endsWith("|  |")),
    [],
  );
});
