import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { closeReasons, parties } from "./messages.ts";
import { chargedSeconds, faultOf, type Metered } from "./meter.ts";

const metered = fc.record({
  tickedSeconds: fc.nat({ max: 1_000 }),
  measuredMs: fc.integer({ min: -5_000, max: 1_000_000 }),
  minSeconds: fc.nat({ max: 100 }),
  requestsAnswered: fc.nat({ max: 3 }),
  endedBy: fc.constantFrom(...parties),
  endReason: fc.constantFrom(...closeReasons),
});

describe("the meter", () => {
  it("bills nobody beyond their own signature", () => {
    fc.assert(
      fc.property(metered, (each: Metered) => {
        const seconds = chargedSeconds(each);
        assert.ok(seconds >= 0 && seconds <= each.tickedSeconds);
      }),
    );
  });

  it("is advanced by neither side alone", () => {
    fc.assert(
      fc.property(metered, fc.nat({ max: 1_000 }), (each: Metered, more) => {
        const measured = Math.ceil(Math.max(0, each.measuredMs) / 1000);
        const later = { ...each, tickedSeconds: each.tickedSeconds + more };
        assert.ok(chargedSeconds(later) <= Math.max(each.minSeconds, measured));
      }),
    );
  });

  it("charges nothing for a Provider's fault", () => {
    fc.assert(
      fc.property(metered, (each: Metered) => {
        const fault = faultOf(each.endedBy, each.endReason);
        if (fault === "provider") assert.equal(chargedSeconds(each), 0);
        if (each.endedBy === "user") assert.notEqual(fault, "provider");
      }),
    );
  });

  it("owes the minimum only after an answer, to whom the User left", () => {
    const base = { tickedSeconds: 60, measuredMs: 2_500, minSeconds: 10 };
    const check = (rest: Omit<Metered, keyof typeof base>, expected: number): void => {
      assert.equal(chargedSeconds({ ...base, ...rest }), expected);
    };
    check({ requestsAnswered: 1, endedBy: "user", endReason: "finished" }, 10);
    check({ requestsAnswered: 0, endedBy: "user", endReason: "finished" }, 3);
    check({ requestsAnswered: 1, endedBy: "router", endReason: "ticks-missing" }, 10);
    check({ requestsAnswered: 1, endedBy: "router", endReason: "epoch-ended" }, 3);
    check({ requestsAnswered: 1, endedBy: "provider", endReason: "shutting-down" }, 3);
  });
});
