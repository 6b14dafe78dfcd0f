import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Address, Hex } from "./hex.ts";
import type { RoutingWish } from "./routing-wish.ts";
import {
  type Candidate,
  explainSelection,
  explorationPeriod,
  rankOffers,
  selectionSeed,
  whyHashOf,
  type Wish,
} from "./selection.ts";
import type { Standing } from "./standing.ts";

const known: Standing = { sessions: 10, failed: 0, measuredMilliTps: 50_000, ttftMs: 100 };
const wish: Wish = { maxWeiPerSecond: 1_000n, minMilliTps: 10_000, maxLatencyMs: 500 };

function bytes32(number: number): Hex {
  return `0x${number.toString(16).padStart(64, "0")}`;
}

function offer(number: number, changes: Partial<Candidate> = {}): Candidate {
  return {
    offerHash: bytes32(number),
    provider: `0x${number.toString(16).padStart(40, "0")}`,
    totalWeiPerSecond: 100n,
    offeredMilliTps: 50_000,
    freeSlots: 1,
    standing: known,
    ...changes,
  };
}

/** A seed that does, or does not, draw the exploration of a newcomer. */
function seedThat(explores: boolean): Hex {
  for (let number = 0; ; number += 1) {
    const seed = selectionSeed(bytes32(number), bytes32(1));
    if ((Number(`0x${seed.slice(2, 10)}`) % explorationPeriod === 0) === explores) return seed;
  }
}

const plain = seedThat(false);

function check(candidates: readonly Candidate[], expected: readonly number[], seed = plain): void {
  const { ranked } = rankOffers({ wish, candidates, seed });
  assert.deepEqual(
    ranked.map(({ offerHash }) => offerHash),
    expected.map(bytes32),
  );
}

describe("selection", () => {
  it("takes the cheapest that fits", () => {
    check([offer(1, { totalWeiPerSecond: 101n }), offer(2)], [2, 1]);
    check([offer(1, { totalWeiPerSecond: 1_001n }), offer(2, { offeredMilliTps: 9_999 })], []);
    check([offer(1, { freeSlots: 0 }), offer(2, { barred: "silent" })], []);
  });

  it("puts those that meet the latency wish before cheaper ones", () => {
    const late = { ...known, ttftMs: 501 };
    check([offer(1, { totalWeiPerSecond: 50n, standing: late }), offer(2)], [2, 1]);
  });

  it("prefers the better record at one price, and puts who mostly fails last", () => {
    const poor = { ...known, failed: 3 };
    const broken = { ...known, failed: 6 };
    check([offer(1, { standing: poor }), offer(2)], [2, 1]);
    check([offer(1, { standing: broken, totalWeiPerSecond: 1n }), offer(2)], [2, 1]);
    const slow = { ...known, measuredMilliTps: 25_000 };
    check([offer(1, { standing: slow }), offer(2)], [2, 1]);
    check([offer(1, { standing: { ...known, measuredMilliTps: 9_000 } })], []);
  });

  it("gives newcomers their chance where they are not much dearer", () => {
    const newcomer = { sessions: 0, failed: 0, measuredMilliTps: 0, ttftMs: 0 };
    const near = offer(2, { standing: newcomer, totalWeiPerSecond: 125n });
    const dear = offer(2, { standing: newcomer, totalWeiPerSecond: 126n });
    check([offer(1), near], [2, 1], seedThat(true));
    check([offer(1), dear], [1, 2], seedThat(true));
    check([offer(1), near], [1, 2]);
  });

  it("puts whoever is far slower than it offers behind those who keep their word", () => {
    const boaster = { ...known, measuredMilliTps: 20_000 };
    check([offer(1, { standing: boaster, totalWeiPerSecond: 1n }), offer(2)], [2, 1]);
    const new4 = { ...boaster, sessions: 3 };
    check([offer(1, { standing: new4, totalWeiPerSecond: 1n }), offer(2)], [1, 2]);
  });

  it("sorts as the User wishes: order, throughput, latency", () => {
    const [a, b, c] = [1, 2, 3].map(
      (number) => `0x${number.toString(16).padStart(40, "0")}` as const,
    );
    const fast = { ...known, measuredMilliTps: 60_000, ttftMs: 400 };
    const quick = { ...known, measuredMilliTps: 40_000, ttftMs: 20 };
    const each = [
      offer(1, { totalWeiPerSecond: 10n }),
      offer(2, { totalWeiPerSecond: 20n, offeredMilliTps: 70_000, standing: fast }),
      offer(3, { totalWeiPerSecond: 30n, standing: quick }),
    ];
    const order = (routing: RoutingWish): number[] => {
      const { ranked } = rankOffers({ wish: { ...wish, routing }, candidates: each, seed: plain });
      return ranked.map(({ provider }) => Number(provider));
    };
    assert.deepEqual(order({}), [1, 2, 3]);
    assert.deepEqual(order({ sort: "throughput" }), [2, 1, 3]);
    assert.deepEqual(order({ sort: "latency" }), [3, 1, 2]);
    assert.deepEqual(order({ order: [c, b] as Address[] }), [3, 2, 1]);
    assert.deepEqual(order({ only: [a, c] as Address[], sort: "latency" }), [3, 1]);
    assert.deepEqual(order({ ignore: [a] as Address[] }), [2, 3]);
  });

  it("explores with the stated share, evenly among newcomers", () => {
    const newcomer = { ...known, sessions: 0 };
    const wins = new Map<string, number>();
    const turns = 6_000;
    for (let number = 0; number < turns; number += 1) {
      const seed = selectionSeed(bytes32(number), bytes32(3));
      const candidates = [
        offer(1, { totalWeiPerSecond: 90n }),
        offer(2, { standing: newcomer }),
        offer(3, { standing: newcomer }),
      ];
      const first = rankOffers({ wish, candidates, seed }).ranked[0]?.offerHash ?? "";
      wins.set(first, (wins.get(first) ?? 0) + 1);
    }
    const expected = turns / explorationPeriod / 2;
    for (const number of [2, 3]) {
      const won = wins.get(bytes32(number)) ?? 0;
      assert.ok(Math.abs(won - expected) < expected / 3, `${won} of ${expected}`);
    }
  });

  it("starves nobody for ever: whoever lost its record gets its chance", () => {
    const standing = fc.record({
      sessions: fc.nat({ max: 3 }),
      failed: fc.nat({ max: 3 }),
      measuredMilliTps: fc.nat({ max: 100_000 }),
      ttftMs: fc.nat({ max: 400 }),
    });
    fc.assert(
      fc.property(standing, fc.bigInt({ min: 90n, max: 112n }), (faded, price) => {
        const candidates = [
          offer(1, { totalWeiPerSecond: 90n }),
          offer(2, { standing: faded, totalWeiPerSecond: price }),
        ];
        let chances = 0;
        for (let number = 0; number < 400; number += 1) {
          const seed = selectionSeed(bytes32(number), bytes32(11));
          const { ranked } = rankOffers({ wish, candidates, seed });
          if (ranked[0]?.offerHash === bytes32(2)) chances += 1;
        }
        assert.ok(chances > 0);
      }),
      { numRuns: 20 },
    );
  });

  it("draws lots among equals, evenly, whatever the order of the Offers", () => {
    const wins = [0, 0];
    for (let number = 0; number < 2_000; number += 1) {
      const seed = selectionSeed(bytes32(number), bytes32(7));
      const candidates = [offer(1), offer(2)];
      const { ranked } = rankOffers({ wish, candidates, seed });
      const turned = rankOffers({ wish, candidates: candidates.reverse(), seed });
      assert.deepEqual(turned.ranked, ranked);
      const winner = ranked[0]?.offerHash === bytes32(1) ? 0 : 1;
      wins[winner] = (wins[winner] ?? 0) + 1;
    }
    assert.ok(Math.min(...wins) > 880, wins.join(" : "));
  });

  it("explains every Offer, with a hash of the explanation", () => {
    const number = fc.nat({ max: 3 });
    const drawn = fc.record({ price: number, speed: number, slots: number, failed: number });
    fc.assert(
      fc.property(fc.array(drawn, { minLength: 1, maxLength: 8 }), (each) => {
        const candidates = each.map(({ price, speed, slots, failed }, index) => {
          return offer(index + 1, {
            totalWeiPerSecond: BigInt(price) * 400n,
            offeredMilliTps: speed * 9_000,
            freeSlots: slots,
            standing: { ...known, failed: failed * 3 },
          });
        });
        const ranking = rankOffers({ wish, candidates, seed: plain });
        const chosen = ranking.ranked[0]?.offerHash ?? bytes32(0);
        const rfcHash = bytes32(1);
        const unanswered = new Map<Hex, string>();
        const { allowance } = ranking;
        const given = { rfcHash, wish, ranking, chosen, unanswered, allowance };
        const why = explainSelection(given);
        assert.equal(why.considered.length, candidates.length);
        const taken = why.considered.filter(({ outcome }) => outcome === "chosen");
        assert.equal(taken.length, ranking.ranked.length > 0 ? 1 : 0);
        assert.match(whyHashOf(why), /^0x[0-9a-f]{64}$/);
      }),
    );
  });
});
