import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  domainSeparatorOf,
  type Hex,
  LakeError,
  messageHash,
  rulesOfSettlement,
  settlementOf,
  settlementType,
  zeroBytes32,
} from "@lake-travis/protocol";
import { createLogger } from "@lake-travis/platform";
import { DemandAnswerer } from "./demand-answerer.ts";
import { balancesUpTo } from "./core/settling.ts";
import { neededCovers } from "./core/money.ts";
import { CoreWorld } from "./test-support/core-world.ts";
import { SimulatedChain } from "./test-support/simulated-chain.ts";

const charge = 5_500n;
const deposit = 10n ** 6n;

/** A Router's state machine beside a simulated chain, whose facts it is given by hand. */
class Bench {
  readonly world = new CoreWorld({ users: 1, budget: 0n, slots: 100 });
  readonly chain: SimulatedChain;
  readonly lines: string[] = [];
  answerer: DemandAnswerer;

  constructor() {
    const { world } = this;
    const { schedule } = world.state;
    const clock = {
      now: () => world.now,
      sleep: () => Promise.resolve(),
      after: () => () => undefined,
    };
    const separator = domainSeparatorOf(world.domain);
    this.chain = new SimulatedChain({ clock, schedule, budget: 0n, separator });
    this.answerer = this.restarted();
    const owner = world.user(0);
    world.mine({ type: "deposit-changed", number: 0n, owner, balance: deposit });
  }

  restarted(): DemandAnswerer {
    const error = (_: unknown, line: string): void => void this.lines.push(line);
    const logger = { ...createLogger({ name: "t", level: "silent" }), info: error, error };
    const { world, chain } = this;
    this.answerer = new DemandAnswerer({ machine: world, chain, logger: logger as never });
    return this.answerer;
  }

  /** A Session that costs five seconds of the deposit. */
  spend(): void {
    const { world } = this;
    const session = world.open(0, { maxSeconds: 5 });
    assert.equal(session.ticket.reservedDeposit, charge);
    this.close(session);
  }

  close(session: ReturnType<CoreWorld["open"]>): void {
    const { world } = this;
    world.beat(session, { connected: true, tick: { seconds: 5 } });
    world.pass(5_000, 0n);
    world.beat(session, { tick: { seconds: 5 }, close: { party: "user", reason: "finished" } });
    world.pass(3_000, 0n);
  }

  /** Signs and posts what the next epoch's end makes; the result is the settlement's hash. */
  async settle(): Promise<Hex> {
    const { world, chain } = this;
    const { state } = world;
    const epoch = state.openEpoch;
    while (state.openEpoch === epoch) world.pass(1_000, 0n);
    world.pass(3_000, 0n);
    const balances = balancesUpTo(state, epoch);
    const settlement = settlementOf({
      ...{ epoch, round: 0, balances, rules: rulesOfSettlement, debitSecret: state.secret },
      previous: state.finalEpoch < 0 ? zeroBytes32 : state.finalHash,
      ...{ recordRoot: zeroBytes32, baselineHash: zeroBytes32, recordCid: zeroBytes32 },
      sealsHash: zeroBytes32,
    });
    const hash = messageHash(domainSeparatorOf(world.domain), settlementType, settlement);
    const signature: Hex = `0x${"0".repeat(130)}`;
    const signed = { settlement, hash, signature, recordCidText: null };
    world.submit({ type: "settlement-signed", ...signed });
    await chain.settle(settlement, [{ router: state.router, signature }]);
    this.follow();
    return hash;
  }

  /** Lets the settlement become final. */
  mature(hash: Hex): void {
    this.world.pass(20_000, 0n);
    const { epoch } = this.world.state.settling?.settlement ?? { epoch: -1 };
    this.world.mine({ type: "settlement-final", epoch, hash });
  }

  demand(): void {
    this.chain.demand(0);
    this.follow();
  }

  follow(): void {
    this.world.mine(...this.chain.mine().events);
  }
}

describe("an answer to a demand", () => {
  it("shows leaf, proof and Delegation once, and the settlement becomes final", async () => {
    const bench = new Bench();
    bench.spend();
    const hash = await bench.settle();
    bench.demand();
    assert.equal(bench.world.state.demands.get(0), hash);
    await bench.answerer.run();
    await bench.answerer.run();
    await bench.restarted().run();
    assert.deepEqual(bench.lines, ["DemandAnswered"]);
    assert.equal(bench.chain.answers.length, 1);
    assert.equal(bench.chain.answers[0]?.leaf.cumulativeDebit, charge);
    assert.equal(bench.chain.answers[0].delegation?.user, bench.world.user(0));
    bench.follow();
    assert.equal(bench.world.state.demands.size, 0);
    bench.mature(hash);
    assert.equal(bench.world.state.finalHash, hash);
  });

  it("needs no Delegation where nothing was debited, or nothing since the last one", async () => {
    const bench = new Bench();
    const first = await bench.settle();
    bench.demand();
    await bench.answerer.run();
    bench.follow();
    bench.mature(first);
    bench.spend();
    bench.mature(await bench.settle());
    await bench.settle();
    bench.demand();
    await bench.answerer.run();
    const shown = bench.chain.answers.map(({ leaf, delegation }) => {
      return [leaf.cumulativeDebit, delegation];
    });
    assert.deepEqual(shown, [
      [0n, null],
      [charge, null],
    ]);
  });

  it("shows the Delegation that was reserved under, whatever was delegated later", async () => {
    const bench = new Bench();
    const { world } = bench;
    const session = world.open(0, { maxSeconds: 5 });
    world.delegate(0, { nonce: 2, debitCeiling: 0n });
    bench.close(session);
    world.delegate(0, { nonce: 3, debitCeiling: charge - 1n });
    await bench.settle();
    bench.demand();
    await bench.answerer.run();
    assert.equal(bench.chain.answers[0]?.delegation?.nonce, 1);
  });

  it("comes after a restart, and again after the chain was away", async () => {
    const bench = new Bench();
    bench.spend();
    await bench.settle();
    bench.demand();
    const { chain } = bench;
    const answer = chain.answerDemand.bind(chain);
    chain.answerDemand = () => Promise.reject(new LakeError("chain-unreachable", "Away."));
    await bench.answerer.run();
    assert.deepEqual(bench.lines, ["DemandUnanswered"]);
    chain.answerDemand = answer;
    await bench.restarted().run();
    assert.deepEqual(bench.lines, ["DemandUnanswered", "DemandAnswered"]);
  });

  it("is nobody's once the settlement is void", async () => {
    const bench = new Bench();
    bench.spend();
    const hash = await bench.settle();
    bench.demand();
    bench.world.mine({ type: "settlement-void", epoch: 0, hash });
    assert.equal(bench.world.state.demands.size, 0);
    await bench.answerer.run();
    assert.deepEqual(bench.lines, []);
  });
});

describe("the Delegations that are kept", () => {
  it("are few, whatever a wallet signs", () => {
    const { world } = new Bench();
    let refused = 0;
    for (let nonce = 2; nonce < 40; nonce += 1) {
      const ceilings = { debitCeiling: 10n ** 24n - BigInt(nonce), expiresAt: world.now + 10 ** 9 };
      const effects = world.delegate(0, { nonce, ...ceilings });
      if (effects.some(({ type }) => type === "refused")) refused += 1;
      else world.open(0, { maxSeconds: 1 });
    }
    const user = world.state.users.get(world.user(0));
    assert.ok(user !== undefined && refused > 0);
    assert.equal(neededCovers(world.state, world.user(0), user).length, 16);
    // One that covers all of them is always welcome, and takes their place.
    const whole = { nonce: 40, debitCeiling: 10n ** 24n, expiresAt: world.now + 10 ** 9 };
    assert.deepEqual(world.delegate(0, whole), []);
    world.open(0, { maxSeconds: 1 });
    assert.equal(user.covers.length, 1);
  });

  it("count what the hatch paid against their ceiling", () => {
    const { world } = new Bench();
    world.delegate(0, { nonce: 2, debitCeiling: 2n * charge });
    const owner = world.user(0);
    const paid = { balance: deposit - charge, paidByHatch: charge };
    world.mine({ type: "deposit-changed", number: 0n, owner, ...paid });
    assert.equal(world.open(0, { maxSeconds: 600 }).ticket.reservedDeposit, charge);
  });
});
