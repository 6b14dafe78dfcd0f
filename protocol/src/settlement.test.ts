import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Address, Hex } from "./hex.ts";
import { zeroBytes32 } from "./hex.ts";
import {
  creditTreeOf,
  debitTreeOf,
  recordRootOf,
  rulesOfSettlement,
  sealOf,
  sealsHashOf,
  settlementOf,
} from "./settlement.ts";

const secret: Hex = `0x${"5".repeat(64)}`;
const totals = {
  allowanceCredits: 1n,
  modelEmission: 0n,
  agentEmission: 0n,
  paidCredits: 2n,
  debits: 3n,
  deposits: 2,
};

describe("a settlement", () => {
  it("has the same credit root in whatever order accounts were credited", () => {
    const entry = fc.tuple(fc.nat({ max: 50 }), fc.bigInt({ min: 1n, max: 10n ** 30n }));
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const credits = new Map(
          entries.map(([number, wei]): [Address, bigint] => {
            return [`0x${number.toString(16).padStart(40, "0")}`, wei];
          }),
        );
        const turned = new Map([...credits].reverse());
        assert.equal(creditTreeOf(credits).tree.root, creditTreeOf(turned).tree.root);
      }),
    );
  });

  it("lists every deposit densely, zeros included, with a salt of its own", () => {
    const debits = new Map([[1, 7n]]);
    const { entries, tree } = debitTreeOf({ debits, deposits: 3, secret });
    assert.deepEqual(
      entries.map(({ cumulative }) => cumulative),
      [0n, 7n, 0n],
    );
    assert.equal(new Set(entries.map(({ salt }) => salt)).size, 3);
    const other = debitTreeOf({ debits, deposits: 3, secret: `0x${"6".repeat(64)}` });
    assert.notEqual(other.tree.root, tree.root);
  });

  it("holds the roots of what it was computed from", () => {
    const credits = new Map<Address, bigint>([[`0x${"a".repeat(40)}`, 3n]]);
    const balances = { credits, debits: new Map([[0, 3n]]), totals };
    const recordRoot = recordRootOf([]);
    const router: Address = `0x${"b".repeat(40)}`;
    const seal = sealOf({ epoch: 4, router, recordsRoot: recordRoot, count: 0 });
    const settlement = settlementOf({
      ...{ epoch: 4, round: 0, previous: zeroBytes32, balances, recordRoot },
      ...{ rules: rulesOfSettlement, baselineHash: secret },
      ...{ recordCid: zeroBytes32, sealsHash: sealsHashOf([secret]), debitSecret: secret },
    });
    assert.equal(settlement.creditRoot, creditTreeOf(credits).tree.root);
    assert.equal(settlement.recordRoot, recordRoot);
    assert.equal(settlement.baselineHash, secret);
    assert.equal(seal.count, 0);
    assert.deepEqual(settlement.totals, totals);
  });
});
