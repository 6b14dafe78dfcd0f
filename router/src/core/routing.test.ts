import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RoutingWish } from "@lake-travis/protocol";
import { bytes32Of, CoreWorld } from "../test-support/core-world.ts";

/** Providers at 1,000, 1,001, 1,002 ... wei per second. */
function market(providers: number, options: { readonly deposit?: bigint } = {}): CoreWorld {
  const world = new CoreWorld({ providers, users: 2 });
  for (let index = 0; index < providers; index += 1) {
    world.offer(index, { weiPerSecond: 1_000n + BigInt(index) });
  }
  const { deposit = 0n } = options;
  const owner = world.user(0);
  if (deposit > 0n) world.mine({ type: "deposit-changed", number: 0n, owner, balance: deposit });
  return world;
}

function chosen(world: CoreWorld, wish: RoutingWish, user = 0): number | string {
  const effects = world.submit(world.rfc(user, {}, wish));
  for (const effect of effects) {
    if (effect.type === "refused") return `${effect.refusal.code}: ${effect.refusal.message}`;
    if (effect.type === "provider-asked") return Number(effect.provider) - 2_000;
  }
  return "nothing";
}

describe("a routing wish", () => {
  it("binds the selection: only, ignore, order", () => {
    const world = market(5, { deposit: 10n ** 9n });
    const at = (...indexes: number[]): `0x${string}`[] => indexes.map((i) => world.provider(i));
    assert.equal(chosen(world, {}), 0);
    assert.equal(chosen(world, { only: at(3, 4) }), 3);
    assert.equal(chosen(world, { ignore: at(0, 1) }), 2);
    assert.equal(chosen(world, { order: at(4, 2) }), 4);
    assert.match(String(chosen(world, { only: at(0), ignore: at(0) })), /^provider-none/);
  });

  it("that names Providers is paid by the deposit alone", () => {
    const world = market(5, { deposit: 11_000n });
    const only = [world.provider(0)];
    const named = world.open(0, {}, { only });
    assert.equal(named.ticket.reservedAllowance, 0n);
    assert.equal(named.ticket.reservedDeposit, 11_000n);
    const granted = world.effects.findLast((effect) => effect.type === "ticket-granted");
    assert.equal(granted?.why.allowance, "providers-named");
    // The other User has an allowance and no deposit.
    assert.match(String(chosen(world, { only }, 1)), /^budget-spent: The free allowance pays no/);
    assert.match(String(chosen(world, { order: only }, 1)), /^budget-spent/);
    assert.equal(chosen(world, { sort: "throughput" }, 1), 0);
  });

  it("cannot single out a Provider by ignoring all others", () => {
    const world = market(5);
    const ignore = [0, 1, 2, 3].map((index) => world.provider(index));
    assert.match(String(chosen(world, { ignore })), /^budget-spent/);
    assert.equal(chosen(world, { ignore: ignore.slice(0, 2) }), 2);
    const few = market(3);
    assert.match(String(chosen(few, { ignore: [few.provider(0)] })), /^budget-spent/);
  });

  it("may ignore whom it had a failure with in this epoch, whatever is left", () => {
    const world = market(2);
    const session = world.open(0);
    world.beat(session, { connected: true, tick: { seconds: 3 } });
    const how = { party: "user", reason: "provider-gone" } as const;
    const received = world.close(session, how, bytes32Of(1));
    world.submit({ type: "close-received", received, at: world.now });
    const ignore = [world.provider(0)];
    assert.equal(chosen(world, { ignore }), 1);
    world.pass(20_000);
    assert.match(String(chosen(world, { ignore })), /^budget-spent/);
  });

  it("stays on the deposit across an epoch's end", () => {
    const world = market(1, { deposit: 10n ** 6n });
    const session = world.open(0, {}, { only: [world.provider(0)] });
    world.beat(session, { connected: true, tick: { seconds: 30 } });
    world.pass(21_000);
    const granted = world.effects.find((effect) => effect.type === "successor-granted");
    assert.equal(granted?.ticket.reservedAllowance, 0n);
  });

  it("must be the one that its RFC hashes", () => {
    const world = market(1);
    const rfc = { ...world.rfc(0, {}, { sort: "price" }), wish: { sort: "latency" } as const };
    const [refused] = world.submit(rfc);
    assert.equal(refused?.type === "refused" && refused.refusal.code, "message-invalid");
    const [without] = world.submit({ ...rfc, wish: null });
    assert.equal(without?.type === "refused" && without.refusal.code, "message-invalid");
  });
});

describe("the price cap of allowances", () => {
  it("is the last epoch's median price of the class", () => {
    const world = new CoreWorld({ providers: 1, users: 2 });
    for (let turn = 0; turn < 2; turn += 1) world.serve(0, 4);
    world.pass(15_000);
    world.judge();
    world.offer(0, { weiPerSecond: 1_001n });
    assert.match(String(chosen(world, {})), /^budget-spent/);
    world.offer(0, { weiPerSecond: 1_000n });
    assert.equal(chosen(world, {}), 0);
  });

  it("does not bind deposits, and is told in the explanation", () => {
    const world = market(1, { deposit: 10n ** 6n });
    world.serve(0, 4);
    world.pass(17_000);
    world.judge();
    world.offer(0, { weiPerSecond: 1_500n });
    const session = world.open(0);
    assert.equal(session.ticket.reservedAllowance, 0n);
    assert.ok(session.ticket.reservedDeposit > 0n);
    const granted = world.effects.findLast((effect) => effect.type === "ticket-granted");
    assert.equal(granted?.why.allowance, "price-above-median");
  });
});

describe("the shortlist", () => {
  it("finds the cheapest and the named among more Offers than it considers", () => {
    const world = new CoreWorld({ providers: 200, users: 1 });
    for (let index = 0; index < 200; index += 1) {
      world.offer(index, { weiPerSecond: BigInt(2_000 - index) });
    }
    const owner = world.user(0);
    world.mine({ type: "deposit-changed", number: 0n, owner, balance: 10n ** 9n });
    assert.equal(chosen(world, {}), 199);
    assert.equal(chosen(world, { only: [world.provider(3)] }), 3);
  });
});
