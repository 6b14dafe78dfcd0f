import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Address } from "./hex.ts";
import type { Payee } from "./messages.ts";
import { formatMor, parseMor } from "./mor.ts";
import {
  allowanceDown,
  fundCharge,
  pricePerSecond,
  roundDownToTwoDigits,
  splitCharge,
} from "./prices.ts";

const account = (digit: string): Address => `0x${digit.repeat(40)}`;
const router = account("9");
const payee = (digit: string, kind: number, weiPerSecond: bigint): Payee => ({
  account: account(digit),
  kind,
  weiPerSecond,
});

const wei = fc.bigInt({ min: 0n, max: 10n ** 24n });

describe("prices", () => {
  it("conserves every wei whatever the charge", () => {
    fc.assert(
      fc.property(wei, wei, wei, wei, fc.boolean(), (allowance, deposit, a, b, agent) => {
        const payees = [
          payee("1", 0, a + 1n),
          payee("2", 1, b),
          ...(agent ? [payee("3", 2, b)] : []),
        ];
        const funding = { fromAllowance: allowance, fromDeposit: deposit };
        const split = splitCharge({ funding, payees, router });
        const credited = split.credits.reduce((sum, credit) => sum + credit.wei, 0n);
        const sources =
          split.allowanceCredits + split.paidCredits + split.modelEmission + split.agentEmission;
        assert.equal(credited, sources);
        assert.ok(split.allowanceCredits <= allowance);
        assert.ok(split.paidCredits <= split.debit);
        assert.equal(split.debit, deposit);
        assert.ok(split.modelEmission * 10n <= allowance);
        assert.ok(split.credits.every((credit) => credit.wei >= 0n));
      }),
    );
  });

  it("gives 99% to the payees, a half percent to the Router, a tenth on top to the Builder", () => {
    const payees = [payee("1", 0, 300n), payee("2", 1, 100n)];
    const funding = { fromAllowance: 4000n, fromDeposit: 0n };
    const { credits, allowanceCredits, modelEmission } = splitCharge({ funding, payees, router });
    assert.deepEqual(credits, [
      { account: account("1"), wei: 2970n },
      { account: account("2"), wei: 990n },
      { account: router, wei: 20n },
      { account: account("2"), wei: 400n },
    ]);
    assert.equal(allowanceCredits, 3980n);
    assert.equal(modelEmission, 400n);
  });

  it("emits nothing on paid time", () => {
    const payees = [payee("1", 0, 300n), payee("2", 1, 100n)];
    const split = splitCharge({
      funding: { fromAllowance: 0n, fromDeposit: 4000n },
      payees,
      router,
    });
    assert.equal(split.modelEmission, 0n);
    assert.equal(split.paidCredits, 3980n);
  });

  it("lets the allowance pay first", () => {
    assert.deepEqual(fundCharge({ charge: 10n, reservedAllowance: 4n }), {
      fromAllowance: 4n,
      fromDeposit: 6n,
    });
    assert.equal(pricePerSecond([payee("1", 0, 2n), payee("2", 1, 3n)]), 5n);
  });

  it("rounds balances to two digits and never up", () => {
    const check = (from: bigint, to: bigint): void => assert.equal(roundDownToTwoDigits(from), to);
    check(0n, 0n);
    check(9n, 9n);
    check(99n, 99n);
    check(129n, 120n);
    check(98_765n, 98_000n);
    assert.equal(allowanceDown({ budget: 100n, balance: 129n, supply: 1000n }), 12n);
    assert.equal(allowanceDown({ budget: 100n, balance: 5n, supply: 0n }), 0n);
  });

  it("never allows a coalition more than its share of the budget", () => {
    fc.assert(
      fc.property(fc.array(wei, { minLength: 1, maxLength: 20 }), wei, (balances, budget) => {
        const supply = balances.reduce((sum, balance) => sum + balance, 0n);
        const total = balances
          .map((balance) => allowanceDown({ budget, balance, supply }))
          .reduce((sum, allowance) => sum + allowance, 0n);
        assert.ok(total <= budget);
      }),
    );
  });

  it("writes and reads MOR", () => {
    fc.assert(fc.property(wei, (amount) => assert.equal(parseMor(formatMor(amount)), amount)));
    for (const bad of [
      "",
      "-1",
      "1e3",
      "1.",
      ".5",
      "0x1",
      "1".repeat(10),
      "1.0000000000000000001",
    ]) {
      assert.throws(() => parseMor(bad), /not an amount of MOR/);
    }
  });
});
