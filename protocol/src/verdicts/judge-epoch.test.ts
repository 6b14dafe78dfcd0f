import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { SessionRecord } from "../record.ts";
import { anyRecord } from "../test-support/any-record.ts";
import { baselineFromJson, baselineHash, genesisBaseline } from "./baseline.ts";
import { judgeEpoch } from "./judge-epoch.ts";
import { verdictLine } from "./verdict.ts";

const [sample] = fc.sample(anyRecord, { numRuns: 1, seed: 5 }) as [SessionRecord];
const hex = (number: number, bytes: number): `0x${string}` =>
  `0x${number.toString(16).padStart(bytes * 2, "0")}`;

/** A good Session of one of ten Users at one of eight Providers; figures vary by number. */
function session(number: number, changes: Partial<SessionRecord> = {}): SessionRecord {
  const spread = (number * 7919) % 101;
  return {
    ...sample,
    sessionId: hex(number, 32),
    epoch: 3,
    manifestDigest: hex(1, 32),
    provider: hex(1 + (number % 8), 20),
    user: hex(1 + ((number * 31) % 10), 32),
    hardwareClass: "gpu-a",
    openedAt: 60_000 * number,
    seconds: 60 + spread * 3,
    tokens: 1_000 + spread * 20,
    requestsAnswered: 5,
    requestsFailed: 0,
    ttftMs: 100 + spread,
    milliTps: 48_000 + spread * 40,
    offeredMilliTps: 48_000,
    weiPerSecond: "1000",
    builderWeiPerSecond: "100",
    fundedBy: "deposit",
    endedBy: "user",
    endReason: "finished",
    challengesAsked: 1,
    challengesPassed: 1,
    ...changes,
  };
}

const honest = Array.from({ length: 400 }, (_, number) => session(number));
const judge = (records: readonly SessionRecord[]): ReturnType<typeof judgeEpoch> =>
  judgeEpoch({ epoch: 3, records, baseline: genesisBaseline });

function withBad(change: (record: SessionRecord) => Partial<SessionRecord>): SessionRecord[] {
  return honest.map((each) => (each.provider === hex(1, 20) ? { ...each, ...change(each) } : each));
}

function reasonsAgainst(records: readonly SessionRecord[]): {
  readonly failed: number;
  readonly honestFailed: number;
  readonly reasons: Set<string>;
  readonly faults: Set<string>;
} {
  const { verdicts } = judge(records);
  const reasons = new Set<string>();
  const faults = new Set<string>();
  let failed = 0;
  let honestFailed = 0;
  verdicts.forEach((verdict, at) => {
    if (verdict.verdict !== "fail") return;
    if (records[at] === honest[at]) honestFailed += 1;
    else failed += 1;
    faults.add(verdict.fault);
    for (const reason of verdict.reasons) reasons.add(reason);
  });
  return { failed, honestFailed, reasons, faults };
}

describe("verdicts", () => {
  it("pass honest Sessions", () => {
    assert.ok(judge(honest).verdicts.every(({ verdict }) => verdict === "pass"));
  });

  it("do not depend on the order of Records", () => {
    const turned = [...honest].reverse();
    const [there, back] = [judge(honest), judge(turned)];
    assert.deepEqual([...back.verdicts].reverse(), there.verdicts);
    assert.equal(baselineHash(back.baseline), baselineHash(there.baseline));
  });

  const attacks: readonly (readonly [
    string,
    (record: SessionRecord) => Partial<SessionRecord>,
    string,
  ])[] = [
    ["time without work", ({ seconds }) => ({ seconds: seconds * 12 }), "padded-time"],
    ["speed that was not kept", () => ({ milliTps: 15_000 }), "speed-below-offer"],
    ["service without a token", () => ({ tokens: 0, milliTps: 0 }), "empty-service"],
    ["challenges that fail", () => ({ challengesPassed: 0 }), "challenges-failed"],
    [
      "a Provider that vanishes",
      () => ({ endedBy: "router", endReason: "provider-gone" }),
      "provider-gone",
    ],
  ];
  for (const [name, change, reason] of attacks) {
    it(`blame the Provider for ${name}`, () => {
      const { failed, honestFailed, reasons, faults } = reasonsAgainst(withBad(change));
      assert.ok(failed >= 45, `${failed} of 50`);
      assert.equal(honestFailed, 0);
      assert.ok(reasons.has(reason), [...reasons].join());
      assert.deepEqual([...faults], ["provider"]);
    });
  }

  it("blame the User that vanishes everywhere, and none of its Providers", () => {
    const user = hex(99, 32);
    const gone = Array.from({ length: 12 }, (_, at) =>
      session(1_000 + at, { user, endedBy: "router", endReason: "ticks-missing" }),
    );
    const { verdicts } = judge([...honest, ...gone]);
    assert.ok(verdicts.slice(0, 400).every(({ verdict }) => verdict === "pass"));
    for (const verdict of verdicts.slice(400)) {
      assert.deepEqual([verdict.verdict, verdict.fault], ["fail", "user"]);
      assert.ok(verdict.reasons.includes("ticks-stopped"));
    }
  });

  it("fail nobody for what one User says alone", () => {
    const user = hex(99, 32);
    const said = Array.from({ length: 60 }, (_, at) =>
      session(1_000 + at * 8, { user, endedBy: "user", endReason: "provider-gone" }),
    );
    const { verdicts } = judge([...honest, ...said]);
    assert.ok(verdicts.every(({ verdict, fault }) => verdict !== "fail" || fault !== "provider"));
  });

  it("prove little from little data", () => {
    const few = [session(1, { milliTps: 100 }), session(2), session(3, { tokens: 0, milliTps: 0 })];
    assert.ok(judge(few).verdicts.every(({ verdict }) => verdict !== "fail"));
    assert.deepEqual(judge([]).verdicts, []);
  });

  it("judge a held Record again, by what its Provider did since", () => {
    const bad = withBad(() => ({ milliTps: 15_000 }));
    const held = [
      session(5_000, { provider: hex(1, 20) }),
      session(5_001, { provider: hex(2, 20) }),
    ];
    const { heldVerdicts } = judgeEpoch({
      epoch: 3,
      records: bad,
      held,
      baseline: genesisBaseline,
    });
    assert.deepEqual(
      heldVerdicts.map(({ verdict, fault }) => [verdict, fault]),
      [
        ["fail", "provider"],
        ["pass", "none"],
      ],
    );
  });

  it("hand a baseline on that survives JSON and remembers who was suspect", () => {
    const { baseline } = judge(withBad(() => ({ milliTps: 15_000 })));
    const again = baselineFromJson(JSON.parse(JSON.stringify(baseline)));
    assert.equal(baselineHash(again), baselineHash(baseline));
    assert.deepEqual(
      baseline.providers.map(({ provider }) => provider),
      [hex(1, 20)],
    );
    for (const broken of [null, {}, { ...baseline, rules: 9 }, { ...baseline, extra: 1 }]) {
      assert.throws(() => baselineFromJson(broken), /no baseline/);
    }
  });

  it("are whole numbers in a closed form, whatever the Records", () => {
    fc.assert(
      fc.property(fc.array(anyRecord, { maxLength: 60 }), (records) => {
        const { verdicts, baseline } = judge(records);
        assert.equal(verdicts.length, records.length);
        for (const verdict of verdicts) {
          assert.ok(Number.isSafeInteger(verdict.score) && verdict.score >= 0);
          assert.deepEqual(JSON.parse(verdictLine(verdict)), verdict);
        }
        baselineFromJson(JSON.parse(JSON.stringify(baseline)));
      }),
    );
  });
});
