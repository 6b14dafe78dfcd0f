import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startLocalChain } from "../bench/local-chain.ts";
import type { LocalChain } from "../bench/local-chain.ts";

// In 10^-9 MOR, the last digit in which the schedule is published.
const firstDay = 14_400_000_000_000n;
const dailyFall = 2_468_994_701n;
const weiPerUnit = 10n ** 9n;
const mor = 10n ** 18n;
const capMor = 42_000_000n;

// Literals, so that contract and oracle cannot be wrong together.
const cumulativeWei: readonly (readonly [number, bigint])[] = [
  [1, 14_400_000_000_000_000_000_000n],
  [2, 28_797_531_005_299_000_000_000n],
  [100, 1_427_778_476_230_050_000_000_000n],
  [700, 9_475_960_446_400_350_000_000_000n],
  [5_832, 41_999_999_175_935_604_000_000_000n],
];

// The table of the Morpheus documentation (gitbook.mor.org/tokenomics/mor-emissions): whole MOR at
// the end of each year of 365 days.
const publishedYears: readonly bigint[] = [
  5_091_985n,
  9_855_038n,
  14_289_159n,
  18_394_348n,
  22_170_605n,
  25_617_931n,
  28_736_325n,
  31_525_787n,
  33_986_317n,
  36_117_915n,
  37_920_581n,
  39_394_316n,
  40_539_119n,
  41_354_990n,
  41_841_929n,
  42_000_000n,
];

/** Wei emitted in the first `days` days, added up day by day. */
function emittedWei(days: number): bigint {
  let sum = 0n;
  for (let day = 0; day < days; ++day) {
    const due = firstDay - dailyFall * BigInt(day);
    if (due > 0n) sum += due;
  }
  return sum * weiPerUnit;
}

describe("the emission schedule", () => {
  let chain: LocalChain;
  before(async () => {
    chain = await startLocalChain();
  });
  after(async () => {
    await chain.stop();
  });

  const onChain = async (days: number): Promise<bigint> =>
    (await chain.mor.getFunction("cumulativeEmission")(days)) as bigint;

  it("emits to the wei what the formula says, added up day by day", async () => {
    for (const [days, wei] of cumulativeWei) {
      assert.equal(emittedWei(days), wei, `day ${String(days)}`);
      assert.equal(await onChain(days), wei, `day ${String(days)}`);
    }
  });

  it("equals the published table at the end of each year", async () => {
    for (const [index, published] of publishedYears.entries()) {
      const wei = await onChain((index + 1) * 365);
      assert.equal((wei + mor / 2n) / mor, published, `year ${String(index + 1)}`);
    }
  });

  it("ends with day 5,832 and never passes the cap", async () => {
    const all = await onChain(5_833);
    assert.equal(all, emittedWei(5_833));
    assert.equal(all, emittedWei(10_000));
    assert.equal(all, await onChain(5_834));
    assert.ok((await onChain(5_832)) < all);
    assert.ok(all < capMor * mor);
  });
});
