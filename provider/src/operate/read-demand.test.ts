import assert from "node:assert/strict";
import { test } from "node:test";
import { type ListedOffer, zeroBytes32 } from "@lake-travis/protocol";
import { randomHex } from "../test-support/simulated-router.ts";
import { addLine, demandsOf, emptySums } from "./read-demand.ts";
import { marketOf } from "./read-market.ts";

const account = randomHex(20);

function offer(model: string, provider: `0x${string}`, changes: { slots?: number; used?: number }) {
  const { slots = 4, used = 0 } = changes;
  const message = {
    provider,
    model,
    manifestDigest: zeroBytes32,
    weiPerSecond: 70n,
    minSeconds: 1,
    slots,
    milliTps: 1,
    engineClass: "x",
    hardwareClass: "y",
    endpoint: "https://127.0.0.1:1",
    tlsFingerprint: zeroBytes32,
    validUntil: 1,
    sequence: 1,
  };
  const listed: ListedOffer = {
    offer: { message, signature: "0x" },
    offerHash: zeroBytes32,
    totalWeiPerSecond: "80",
    freeSlots: slots - used,
  };
  return listed;
}

function record(model: string, seconds: number, weiPerSecond: string): string {
  return JSON.stringify({ sessionId: randomHex(), model, seconds, weiPerSecond });
}

test("Records become seconds a day and a mean price", () => {
  const sums = emptySums();
  const twice = record("lake/a:latest", 30, "100");
  for (const line of [record("lake/a", 10, "60"), twice, twice]) addLine(sums, line);
  addLine(sums, JSON.stringify({ kind: "credit", account, cumulative: "1" }));
  addLine(sums, JSON.stringify({ kind: "demand", model: "lake/b", unserved: 4, asked: 5 }));
  const rival = randomHex(20);
  const offers = [offer("lake/a:latest", rival, {}), offer("lake/a:latest", account, {})];
  const demands = demandsOf(sums, 0.5, offers, account);
  assert.deepEqual(demands, [
    {
      model: "lake/a:latest",
      secondsPerDay: 80,
      unservedSecondsPerDay: 0,
      weiPerSecond: 90n,
      sellers: 1,
    },
    {
      model: "lake/b:latest",
      secondsPerDay: 0,
      unservedSecondsPerDay: 160,
      weiPerSecond: 0n,
      sellers: 0,
    },
  ]);
});

test("a line that lies about its figures adds nothing", () => {
  const sums = emptySums();
  addLine(sums, JSON.stringify({ sessionId: "0x1", model: "a/b", seconds: -5, weiPerSecond: "7" }));
  addLine(
    sums,
    JSON.stringify({ sessionId: "0x2", model: "a/b", seconds: 1e99, weiPerSecond: "7" }),
  );
  for (const line of ["", "null", "7", "{", record("Not A Name", 1, "1"), record("a/b", 1, "-1")]) {
    addLine(sums, line);
  }
  assert.deepEqual(
    [...sums.models.values()].map(({ seconds, wei }) => [seconds, wei]),
    [[0, 0n]],
  );
});

test("a market leaves out what is ours, withdrawn, or another model", () => {
  const rival = randomHex(20);
  const offers = [
    offer("lake/a:latest", rival, { used: 3 }),
    offer("lake/a:latest", account, { used: 2 }),
    offer("lake/a:latest", rival, { slots: 0 }),
    offer("lake/b:latest", rival, {}),
  ];
  assert.deepEqual(marketOf(offers, "lake/a:latest", account), {
    model: "lake/a:latest",
    rivals: [{ weiPerSecond: 70n, slots: 4, usedSlots: 3 }],
    ownUsedSlots: 2,
  });
});
