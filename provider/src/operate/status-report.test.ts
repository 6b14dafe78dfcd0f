import assert from "node:assert/strict";
import { test } from "node:test";
import type { ModelSnapshot, NodeSnapshot } from "../node-snapshot.ts";
import { randomHex } from "../test-support/simulated-router.ts";
import { metricsPage } from "./metrics-page.ts";
import {
  formatStatus,
  problemsOf,
  type StatusReport,
  statusFromJson,
  statusToJson,
} from "./status-report.ts";

const machine = {
  diskFreeBytes: 50e9,
  diskTotalBytes: 100e9,
  memoryFreeBytes: 8e9,
  memoryTotalBytes: 16e9,
  processBytes: 1e8,
};

function model(changes: Partial<ModelSnapshot> = {}): ModelSnapshot {
  return {
    model: "lake/travis-tiny:latest",
    manifestDigest: randomHex(),
    engineClass: "llama.cpp",
    hardwareClass: "cpu-x64-2",
    weiPerSecond: "100000000000000",
    slots: 4,
    openSessions: 1,
    running: 1,
    waiting: 2,
    offeredMilliTps: 211_000,
    milliTpsAlone: 454_000,
    milliTpsFull: 211_000,
    ttftMs: 22,
    loadedAt: 0,
    offerHash: randomHex(),
    isOffered: true,
    isHeldByRouter: true,
    trouble: null,
    ...changes,
  };
}

function node(changes: Partial<NodeSnapshot> = {}): NodeSnapshot {
  return {
    account: randomHex(20),
    signingKey: randomHex(20),
    endpoint: "https://203.0.113.7:8790",
    tlsFingerprint: randomHex(),
    routerUrl: "http://router.test",
    isRouterHeard: true,
    startedAt: 0,
    now: 3_600_000,
    refusal: null,
    models: [model()],
    sessions: [
      {
        sessionId: randomHex(),
        model: "lake/travis-tiny:latest",
        startedAt: 3_000_000,
        seconds: 12,
        requestsAnswered: 3,
        requestsFailed: 0,
        tokens: 70,
        closing: null,
      },
    ],
    ...changes,
  };
}

const earnings = [
  {
    day: "2026-01-31",
    model: "lake/travis-tiny:latest",
    sessions: 2,
    seconds: 20,
    tokens: 100,
    requestsAnswered: 4,
    requestsFailed: 1,
    wei: 1_980_000_000_000_000n,
  },
];

function report(changes: Partial<NodeSnapshot> = {}): StatusReport {
  const snapshot = node(changes);
  return { node: snapshot, earnings, machine, problems: problemsOf(snapshot, machine) };
}

function check(changes: Partial<NodeSnapshot>, expected: RegExp): void {
  const [problem, ...others] = problemsOf(node(changes), machine);
  assert.deepEqual(others, []);
  assert.match(problem?.what ?? "", expected);
  assert.notEqual(problem?.advice, "");
}

test("a healthy Provider has no red line", () => {
  assert.deepEqual(report().problems, []);
  assert.match(formatStatus(report()), /All well\.$/);
});

test("each thing that is wrong is one red line with what to do", () => {
  check({ isRouterHeard: false }, /does not answer/);
  check({ refusal: "This Provider is shutting down." }, /shutting down/);
  check({ models: [model({ trouble: "It crashed.", isOffered: false })] }, /is down: It crashed/);
  check({ models: [model({ isHeldByRouter: false })] }, /does not hold the Offer/);
  const [full] = problemsOf(node(), { ...machine, diskFreeBytes: 5e8 });
  assert.match(full?.what ?? "", /Only 500 MB are left on the disk/);
  const [tight] = problemsOf(node(), { ...machine, memoryFreeBytes: 1e8 });
  assert.match(tight?.what ?? "", /Only 100 MB of memory/);
});

test("an Offer of the last seconds may still be on its way", () => {
  const young = node({ startedAt: 3_599_000, models: [model({ isHeldByRouter: false })] });
  assert.deepEqual(problemsOf(young, machine), []);
});

test("the page shows Sessions, queue, speed and earnings", () => {
  const page = formatStatus(report({ isRouterHeard: false }));
  assert.match(page, /lake\/travis-tiny:latest +0\.36 +1\/4 +1 +2 +211 +22 ms +offered/);
  assert.match(page, /2026-01-31 +lake\/travis-tiny:latest +2 +20 +100 +0\.00198/);
  assert.match(page, /^! The Router at http:\/\/router\.test does not answer\./m);
});

test("the JSON form is read back", () => {
  const whole = report();
  assert.deepEqual(statusFromJson(JSON.parse(JSON.stringify(statusToJson(whole)))), whole);
});

test("Prometheus gets every family once, with escaped labels and no Session", () => {
  const odd = model({ model: 'a/b:"\\' });
  const page = metricsPage(report({ models: [model(), odd] }));
  const helps = page.split("\n").filter((line) => line.startsWith("# HELP"));
  assert.equal(new Set(helps).size, helps.length);
  assert.match(page, /^lake_provider_model_slots\{model="a\/b:\\"\\\\"\} 4$/m);
  assert.match(page, /^lake_provider_tokens_total\{model="lake\/travis-tiny:latest"\} 170$/m);
  assert.match(page, /^lake_provider_requests_answered_total\{.*\} 7$/m);
  assert.doesNotMatch(page, /0x[0-9a-f]{64}/);
  for (const line of page.trim().split("\n")) {
    assert.match(line, /^(# (HELP|TYPE) |[a-z_]+(\{model="([^"\\]|\\.)*"\})? -?[0-9.e+-]+$)/);
  }
});
