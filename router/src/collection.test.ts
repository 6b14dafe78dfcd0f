import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { debitTreeOf } from "@lake-travis/protocol";
import { dueCollections } from "./collection.ts";
import { createState, type RouterState } from "./core/state.ts";

function spent(
  budget: bigint,
  debits: readonly bigint[],
  collected: readonly bigint[] = [],
): RouterState {
  const state = createState();
  state.budget = budget;
  const owner = state.router;
  debits.forEach((debited, number) => {
    const own = { owner, balance: 10n ** 9n, debited, collected: collected[number] ?? 0n };
    state.deposits.push({ ...own, withdrawing: 0n, withdrawingFrom: 0, paidByHatch: 0n });
    state.settled.debits.set(number, debited);
  });
  const totals = { ...state.settled.totals, deposits: debits.length };
  state.settled = { ...state.settled, totals };
  return state;
}

describe("collections", () => {
  function check(state: RouterState, expected: readonly number[]): void {
    assert.deepEqual(
      dueCollections(state).map(({ number }) => number),
      expected,
    );
  }

  it("wait until half of the float is taken, and then book those that spent most", () => {
    check(spent(1_000n, [200n, 300n]), []);
    check(spent(1_000n, [200n, 301n]), [1]);
    check(spent(1_000n, [200n, 301n, 0n, 900n]), [3, 1]);
    check(spent(0n, [1n, 2n]), [1, 0]);
  });

  it("do not book again what the contract has", () => {
    check(spent(100n, [200n, 300n], [200n, 300n]), []);
    check(spent(100n, [200n, 300n], [200n, 100n]), [1]);
  });

  it("show each leaf as it stands in the final tree", () => {
    const state = spent(0n, [5n, 7n, 9n]);
    const { debits, totals } = state.settled;
    const { secret } = state;
    const { entries, tree } = debitTreeOf({ debits, deposits: totals.deposits, secret });
    for (const { number, leaf } of dueCollections(state)) {
      const entry = entries[number];
      assert.deepEqual(leaf.proof, tree.proofOf(number));
      assert.deepEqual([leaf.cumulativeDebit, leaf.salt], [entry?.cumulative, entry?.salt]);
    }
  });
});
