import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { payeeKinds, splitCharge } from "@lake-travis/protocol";
import type { EndedSession } from "../provider-node.ts";
import { randomHex } from "../test-support/simulated-router.ts";
import { earnedWei, openEarningsLedger, readEarnings } from "./earnings-ledger.ts";

const folder = mkdtempSync(join(tmpdir(), "lake-ledger-"));
after(() => rmSync(folder, { recursive: true }));

function ended(changes: Partial<EndedSession> = {}): EndedSession {
  return {
    sessionId: randomHex(),
    model: "lake/travis-tiny:latest",
    endedAt: Date.UTC(2026, 0, 31, 12),
    chargedSeconds: 10,
    weiPerSecond: 1_000n,
    reason: "finished",
    requestsAnswered: 2,
    requestsFailed: 0,
    tokens: 50,
    ...changes,
  };
}

test("Sessions are summed by day and model, and a repeated one counts once", async () => {
  const ledger = await openEarningsLedger(join(folder, "sums.jsonl"));
  const one = ended();
  await ledger.note(one);
  await ledger.note(one);
  await ledger.note(ended());
  await ledger.note(ended({ model: "a/b:latest", chargedSeconds: 0 }));
  await ledger.note(ended({ endedAt: Date.UTC(2026, 1, 1) }));
  const rows = ledger.rows.map(({ day, model, sessions, wei }) => [day, model, sessions, wei]);
  assert.deepEqual(rows, [
    ["2026-01-31", "a/b:latest", 1, 0n],
    ["2026-01-31", "lake/travis-tiny:latest", 2, 19_800n],
    ["2026-02-01", "lake/travis-tiny:latest", 1, 9_900n],
  ]);
  await ledger.close();
});

test("nothing is lost or counted twice over a crash in the middle of a line", async () => {
  const path = join(folder, "crash.jsonl");
  const one = ended();
  const before = await openEarningsLedger(path);
  await before.note(one);
  appendFileSync(path, '{"type":"session","sessionId":"0x');
  assert.equal((await readEarnings(path))[0]?.sessions, 1, "a reader leaves the torn line out");
  const again = await openEarningsLedger(path);
  await again.note(one);
  await again.note(ended());
  assert.equal(again.rows[0]?.sessions, 2);
  assert.deepEqual(await readEarnings(path), again.rows);
  await again.close();
  await before.close();
});

test("where no ledger is there is nothing to show", async () => {
  assert.deepEqual(await readEarnings(join(folder, "none.jsonl")), []);
});

test("a Session that one source pays earns what the settlement credits, to the wei", () => {
  const account = randomHex(20);
  const router = randomHex(20);
  const wei = fc.bigInt({ min: 0n, max: 10n ** 15n });
  fc.assert(
    fc.property(wei, fc.integer({ min: 0, max: 86_400 }), (weiPerSecond, seconds) => {
      const payees = [{ account, kind: payeeKinds.provider, weiPerSecond }];
      const funding = { fromAllowance: 0n, fromDeposit: weiPerSecond * BigInt(seconds) };
      const { credits } = splitCharge({ funding, payees, router });
      const credited = credits.find((credit) => credit.account === account)?.wei ?? 0n;
      assert.equal(earnedWei(weiPerSecond, seconds), credited);
    }),
  );
});
