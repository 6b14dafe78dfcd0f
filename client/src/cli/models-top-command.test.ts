import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { leaderboardOf, RollupBuilder, routerPaths } from "@lake-travis/protocol";
import { serveHttp } from "@lake-travis/platform";
import { anyRecord } from "../test-support/any-record.ts";
import { runLake } from "../test-support/lake-process.ts";
import { exitCodes } from "./exit-code.ts";

const home = mkdtempSync(join(tmpdir(), "lake-top-"));
after(() => rmSync(home, { recursive: true }));

const rollup = new RollupBuilder(7);
for (let number = 0; number < 12; number += 1) {
  const user = `0x${(number % 4).toString(16).repeat(64)}` as const;
  rollup.add(anyRecord(number, { user }));
  const weiPerSecond = "90000";
  rollup.add(anyRecord(100 + number, { user, model: "bob/coder:latest", weiPerSecond }));
}
const board = leaderboardOf([rollup.close()]);

async function topOf(answer: unknown, ...flags: string[]): ReturnType<typeof runLake> {
  const fetch = (request: Request): Response =>
    new URL(request.url).pathname === routerPaths.leaderboard
      ? Response.json(answer)
      : new Response(null, { status: 404 });
  const server = await serveHttp({ fetch, host: "127.0.0.1", port: 0 });
  const router = `http://127.0.0.1:${server.port}`;
  try {
    return await runLake(home, ["models", "top", "--router", router, ...flags]);
  } finally {
    await server.close(0);
  }
}

describe("lake models top", () => {
  it("shows the model first that pays one more Provider best", async () => {
    const { code, stdout } = await topOf(board, "--json");
    assert.equal(code, exitCodes.ok);
    const { fromEpoch, models } = JSON.parse(stdout) as {
      fromEpoch: number;
      models: { model: string; expectedWei: string }[];
    };
    assert.equal(fromEpoch, 7);
    assert.deepEqual(
      models.map(({ model, expectedWei }) => [model, expectedWei]),
      [
        // 12 Sessions of 100 s; one Provider serves it, so half of it would be a second one's.
        ["bob/coder", String((12 * 100 * 90_000) / 2)],
        ["alice/llama", String((12 * 100 * 900) / 2)],
      ],
    );
    const table = await topOf(board, "--limit", "1");
    assert.match(table.stdout, /bob\/coder/);
    assert.doesNotMatch(table.stdout, /alice/);
  });

  it("says in one sentence that a Router answers with something else", async () => {
    for (const answer of [{}, [], { models: [{}], unmet: [] }, { ...board, models: "none" }]) {
      const { code, stderr, stdout } = await topOf(answer);
      assert.equal(code, exitCodes.away, stderr);
      assert.equal(stdout, "");
      assert.match(stderr, /does not answer with a leaderboard/);
    }
  });

  it("refuses a limit that is none", async () => {
    assert.equal((await topOf(board, "--limit", "0")).code, exitCodes.usage);
  });
});
