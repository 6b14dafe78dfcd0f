import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Address } from "./hex.ts";
import {
  allowanceWeiPerSecondMax,
  nextPriceCaps,
  priceCapOf,
  type PricedRecord,
} from "./price-caps.ts";

function record(
  provider: number,
  price: bigint | number,
  seconds: number,
  name = "cpu",
): PricedRecord {
  const account: Address = `0x${provider.toString(16).padStart(40, "0")}`;
  return { hardwareClass: name, provider: account, seconds, weiPerSecond: price.toString() };
}

function capOf(records: readonly PricedRecord[], name = "cpu"): bigint {
  return priceCapOf(nextPriceCaps(new Map(), records), name);
}

const drawn = fc.record({
  provider: fc.nat({ max: 6 }),
  price: fc.bigInt({ min: 1n, max: 10n ** 12n }),
  seconds: fc.nat({ max: 10_000 }),
});

describe("the price cap of allowances", () => {
  it("is a constant until somebody was charged", () => {
    assert.equal(capOf([]), allowanceWeiPerSecondMax);
    assert.equal(capOf([record(1, 5, 0)]), allowanceWeiPerSecondMax);
  });

  it("is the median price of the class, weighted by charged seconds", () => {
    const check = (each: readonly [number, number, number][], expected: bigint): void => {
      assert.equal(
        capOf(each.map(([who, price, seconds]) => record(who, price, seconds))),
        expected,
      );
    };
    check([[1, 70, 10]], 70n);
    check(
      [
        [1, 10, 10],
        [2, 20, 10],
        [3, 30, 10],
        [4, 40, 9],
        [5, 50, 1],
      ],
      20n,
    );
    check(
      [
        [1, 10, 100],
        [1, 90, 101],
      ],
      90n,
    );
  });

  it("counts one Provider for at most a quarter", () => {
    // A thousand washed hours at nearly nothing against three honest Providers.
    const washed = record(1, 1, 3_600_000);
    const honest = [2, 3, 4].map((who) => record(who, 500, 3_600_000));
    assert.equal(capOf([washed, ...honest]), 500n);
    assert.equal(
      capOf([record(1, 1, 36_000_000), ...honest.slice(0, 2), record(4, 500, 10)]),
      500n,
    );
  });

  it("moves by a factor of two an epoch at most, and never beyond the constant", () => {
    let caps = nextPriceCaps(new Map(), [record(1, 1_000, 10)]);
    caps = nextPriceCaps(caps, [record(1, 1, 10)]);
    assert.equal(priceCapOf(caps, "cpu"), 500n);
    caps = nextPriceCaps(caps, [record(1, 10n ** 20n, 10)]);
    assert.equal(priceCapOf(caps, "cpu"), 1_000n);
    assert.equal(capOf([record(1, 10n ** 20n, 10)]), allowanceWeiPerSecondMax);
  });

  it("lends a class without Records the cap of the dearest, and forgets it when long quiet", () => {
    const records = [record(1, 10, 5, "cpu"), record(2, 900, 5, "gpu")];
    let caps = nextPriceCaps(new Map(), records);
    assert.equal(priceCapOf(caps, "invented"), 900n);
    for (let epoch = 0; epoch < 9; epoch += 1) caps = nextPriceCaps(caps, [record(1, 10, 5)]);
    assert.equal(priceCapOf(caps, "gpu"), 10n);
  });

  it("is the same in whatever order the Records come, and a price that was paid", () => {
    fc.assert(
      fc.property(fc.array(drawn, { minLength: 1, maxLength: 30 }), (each) => {
        const records = each.map(({ provider, price, seconds }) =>
          record(provider, price, seconds),
        );
        const caps = nextPriceCaps(new Map(), records);
        assert.deepEqual(nextPriceCaps(new Map(), [...records].reverse()), caps);
        const charged = records.filter(({ seconds }) => seconds > 0);
        const cap = caps.get("cpu")?.weiPerSecond;
        if (charged.length === 0) assert.equal(cap, undefined);
        else assert.ok(charged.some(({ weiPerSecond }) => BigInt(weiPerSecond) === cap));
      }),
    );
  });
});
