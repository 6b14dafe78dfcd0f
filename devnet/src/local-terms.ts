import { parseMor, weiPerSecondDown } from "@lake-travis/protocol";

const morPerHour = (text: string): bigint => weiPerSecondDown(parseMor(text));

/** What the actors of the local network agree to: prices, stakes, times. */
export const localTerms = {
  epochSeconds: 20,
  model: "lake/travis-tiny:latest",
  /** Reads handwritten digits: work of a length known beforehand, sold by the same second. */
  classifier: "lake/digits:latest",
  /** 0.04 MOR an hour to the Builder, whoever serves. */
  builderWeiPerSecond: morPerHour("0.04"),
  /** Two Providers, so that the cheaper one is chosen. */
  providerWeiPerSecond: { "provider-1": morPerHour("0.36"), "provider-2": morPerHour("0.54") },
  /** 0.2 MOR an hour for a classifier, which the second Provider serves beside the model. */
  classifierWeiPerSecond: morPerHour("0.2"),
  minSeconds: 1,
  slots: 4,
  /** The User's client closes an unused Session after so long. */
  idleSeconds: 10,
  /** What a settlement's poster gets back from the pool. */
  posterRepayment: parseMor("0.01"),
  /** What an owner puts down to see its debit leaf. */
  demandBond: parseMor("1"),
  /** Blocks between committing to a name and revealing it. */
  revealDelayBlocks: 1n,
  nameBond: parseMor("10"),
  routerStake: parseMor("1000"),
  providerStake: parseMor("100"),
  /** What the faucet gives the User, of which `deposit` goes into the Compute Contract. */
  userMor: parseMor("500"),
  deposit: parseMor("20"),
  /** For the Builder's name bonds. */
  builderMor: parseMor("50"),
  /** Coin of the chain for gas; anvil's first account has 10,000. */
  gasCoin: parseMor("100"),
} as const;
