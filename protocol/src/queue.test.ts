import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Hex } from "./hex.ts";
import { ageingPeriod, isBefore, nextInLine, placeInLine, type Waiting } from "./queue.ts";

const zero: Hex = "0x00";

function waiting(balance: bigint, arrival: number): Waiting {
  return { rfcHash: zero, user: zero, balance, arrival };
}

function lineUp(balances: readonly bigint[]): Waiting[] {
  const line: Waiting[] = [];
  balances.forEach((balance, arrival) => {
    const each = waiting(balance, arrival);
    line.splice(placeInLine(line, each), 0, each);
  });
  return line;
}

describe("the queue", () => {
  it("stands in order of balance, then of arrival", () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: 9n })), (balances) => {
        const line = lineUp(balances);
        line.slice(1).forEach((each, index) => {
          assert.ok(isBefore(line[index] as Waiting, each));
        });
      }),
    );
  });

  it("serves everyone within the stated number of freed slots, whoever comes later", () => {
    fc.assert(
      fc.property(fc.nat({ max: 12 }), fc.nat({ max: 3 }), (ahead, phase) => {
        const line = lineUp(Array.from({ length: ahead }, () => 5n));
        const poor = waiting(0n, ahead);
        line.splice(placeInLine(line, poor), 0, poor);
        let freed = 0;
        // Somebody richer arrives for each slot that frees.
        for (let arrival = ahead + 1; line.includes(poor); arrival += 1) {
          line.splice(nextInLine(line, phase + freed), 1);
          freed += 1;
          const rich = waiting(9n, arrival);
          line.splice(placeInLine(line, rich), 0, rich);
        }
        assert.ok(freed <= ageingPeriod * (ahead + 1), `${freed} slots`);
      }),
    );
  });
});
