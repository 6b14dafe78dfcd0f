import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  isJudged,
  newcomerStanding,
  type Standing,
  standingAfter,
  standingBlamed,
  standingFaded,
} from "./standing.ts";

const good = {
  endedBy: "user",
  endReason: "finished",
  seconds: 10,
  requestsAnswered: 2,
  requestsFailed: 0,
  milliTps: 40_000,
  ttftMs: 80,
} as const;

const record = fc.record({
  endedBy: fc.constantFrom("user" as const, "provider" as const, "router" as const),
  endReason: fc.constantFrom(
    "finished" as const,
    "engine-failed" as const,
    "provider-gone" as const,
  ),
  seconds: fc.nat({ max: 100 }),
  requestsAnswered: fc.nat({ max: 4 }),
  requestsFailed: fc.nat({ max: 4 }),
  milliTps: fc.nat({ max: 100_000 }),
  ttftMs: fc.nat({ max: 5_000 }),
});

function after(records: readonly Parameters<typeof standingAfter>[1][]): Standing {
  return records.reduce(standingAfter, newcomerStanding);
}

describe("a standing", () => {
  it("counts failures that the Router found, the Provider said, or both signed", () => {
    const check = (changes: Partial<Parameters<typeof standingAfter>[1]>, failed: number): void => {
      assert.equal(after([{ ...good, ...changes }]).failed, failed, JSON.stringify(changes));
    };
    check({}, 0);
    check({ endedBy: "router", endReason: "provider-gone" }, 1);
    check({ endedBy: "provider", endReason: "engine-failed" }, 1);
    check({ requestsAnswered: 1, requestsFailed: 2 }, 1);
  });

  it("is not lowered by a User's word alone", () => {
    for (const endReason of ["engine-failed", "provider-gone"] as const) {
      assert.equal(after([{ ...good, endedBy: "user", endReason }]).failed, 0);
    }
  });

  it("never counts more failures than Sessions, and stays bounded", () => {
    fc.assert(
      fc.property(fc.array(record), (records) => {
        const standing = standingBlamed(after(records));
        assert.ok(standing.failed <= standing.sessions && standing.sessions <= 1_000);
        assert.ok(standing.measuredMilliTps <= 100_000);
      }),
    );
    const many = after(Array.from({ length: 5_000 }, () => good));
    assert.ok(many.sessions <= 1_000);
  });

  it("fades until its Provider is new again, however bad it was", () => {
    fc.assert(
      fc.property(fc.array(record), (records) => {
        let standing: Standing | undefined = after(records);
        let epochs = 0;
        while (standing !== undefined && isJudged(standing)) {
          standing = standingFaded(standing);
          epochs += 1;
        }
        assert.ok(epochs <= 9, `${epochs} epochs`);
      }),
    );
  });
});
