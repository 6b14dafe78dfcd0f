import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { expectedShare, priceToWin, type PriceQuestion } from "./price-to-win.ts";

const alone: PriceQuestion = {
  rivals: [],
  ownSlots: 4,
  ownUsedSlots: 0,
  price: 100n,
  floor: 20n,
  sharePercent: 50,
};
const rival = (weiPerSecond: bigint, slots = 4, usedSlots = 0) => ({
  weiPerSecond,
  slots,
  usedSlots,
});

function check(changes: Partial<PriceQuestion>, expected: readonly [bigint, number]): void {
  const { weiPerSecond, sharePercent } = priceToWin({ ...alone, ...changes });
  assert.deepEqual([weiPerSecond, sharePercent], expected);
}

test("who is alone asks the own price", () => {
  check({}, [100n, 100]);
  check({ price: 10n }, [20n, 100]);
});

test("one wei below the cheapest wins the next Session", () => {
  check({ rivals: [rival(80n), rival(90n)] }, [79n, 100]);
});

test("a rival whose slots are full leaves the rest to the next", () => {
  // Eight Sessions want to be served, the cheap one holds four: half is left for 89.
  check({ rivals: [rival(50n, 4, 4), rival(90n, 4, 4)] }, [89n, 50]);
  check({ rivals: [rival(50n, 4, 4), rival(90n, 4, 4)], sharePercent: 60 }, [89n, 50]);
});

test("rivals below the floor are not followed", () => {
  check({ rivals: [rival(10n)] }, [20n, 0]);
});

test("dearer rivals are followed upwards", () => {
  check({ rivals: [rival(500n)] }, [499n, 100]);
});

test("never below the floor, and never worse than any other allowed price", () => {
  const rivals = fc.array(
    fc.record({
      weiPerSecond: fc.bigInt({ min: 1n, max: 200n }),
      slots: fc.integer({ min: 1, max: 8 }),
      usedSlots: fc.integer({ min: 0, max: 8 }),
    }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(
      rivals,
      fc.bigInt({ min: 0n, max: 200n }),
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 8 }),
      (some, floor, sharePercent, ownSlots) => {
        const question = { ...alone, rivals: some, floor, sharePercent, ownSlots };
        const answer = priceToWin(question);
        assert.ok(answer.weiPerSecond >= floor);
        for (let other = floor; other <= 210n; other += 1n) {
          const share = expectedShare(other, question);
          if (share < sharePercent) continue;
          if (some.length === 0) continue;
          assert.ok(answer.sharePercent >= sharePercent, "a price that wins enough was missed");
        }
      },
    ),
  );
});
