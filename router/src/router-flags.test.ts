import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readRouterFlags } from "./router-flags.ts";

const needed = ["--deployment", "d.json", "--data-dir", "x", "--account", `0x${"a".repeat(40)}`];
const database = ["--database-url", "postgres://127.0.0.1/lake"];

describe("the Router's flags", () => {
  it("runs one process unless told otherwise", () => {
    const { shards, shard } = readRouterFlags(needed);
    assert.deepEqual([shards, shard], [1, undefined]);
  });

  it("takes a number of shards with one database for all of them", () => {
    const { shards } = readRouterFlags([...needed, ...database, "--shards", "3"]);
    assert.equal(shards, 3);
    // As the front starts them: what comes last counts.
    const own = ["--shards", "3", "--port", "1", "--shard", "2", "--port", "0"];
    const started = readRouterFlags([...needed, ...database, ...own]);
    assert.deepEqual([started.shard, started.port], [2, 0]);
  });

  it("refuses shards without it, and numbers that make no sense", () => {
    const invalid = { code: "argument-invalid" };
    const bad = [
      ["--shards", "2"],
      ["--shards", "0"],
      ["--shards", "2.5"],
      ["--shard", "1"],
    ];
    for (const flags of bad) {
      assert.throws(() => readRouterFlags([...needed, ...flags]), invalid, flags.join(" "));
    }
    const sqlite = ["--shards", "2", "--database-url", "sqlite:x.db"];
    assert.throws(() => readRouterFlags([...needed, ...sqlite]), /postgres/);
  });
});
