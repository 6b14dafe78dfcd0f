import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { allowanceDown } from "@lake-travis/protocol";
import { CoreWorld, type OpenedSession } from "../test-support/core-world.ts";
import { balanceAtStart } from "./money.ts";

/** What several clients of one User do at the same time, interleaved in any order. */
const move = fc.record({
  client: fc.nat({ max: 7 }),
  verb: fc.constantFrom("ask", "accept", "tick", "tick", "close"),
  seconds: fc.integer({ min: 1, max: 60 }),
});

describe("a User's budget", () => {
  it("is never passed, however many Sessions open at once", () => {
    const money = fc.bigInt({ min: 0n, max: 60_000n });
    const moves = fc.array(move, { maxLength: 80, size: "max" });
    fc.assert(
      fc.property(money, money, money, moves, (budget, deposit, limit, each) => {
        const world = new CoreWorld({ budget, slots: 100 });
        const owner = world.user(0);
        world.mine({ type: "deposit-changed", number: 0n, owner, balance: deposit });
        world.delegate(0, { nonce: 2, epochLimit: limit });
        run(world, each);
        const spent = spentOf(world);
        const balance = balanceAtStart(world.state, owner);
        const supply = world.state.supplyAtStart;
        const allowance = allowanceDown({ budget, balance, supply });
        assert.ok(spent.allowance <= allowance, "beyond the allowance");
        assert.ok(spent.deposit <= deposit, "beyond the deposit");
        assert.ok(spent.allowance + spent.deposit <= limit, "beyond the Delegation");
      }),
      { numRuns: 60 },
    );
  });

  it("is reserved with the Ticket and released at the close, to the wei", () => {
    const world = new CoreWorld();
    const reserved = (): bigint => world.state.users.get(world.user(0))?.epochReserved ?? 0n;
    const session = world.open(0, { maxSeconds: 30 });
    assert.equal(reserved(), 33_000n);
    world.beat(session, { connected: true, tick: { seconds: 2 } });
    world.now += 2_000;
    world.beat(session, { tick: { seconds: 2 }, close: { party: "user", reason: "finished" } });
    assert.equal(reserved(), 0n);
    assert.equal(world.state.users.get(world.user(0))?.epochSpent, 2_200n);
  });

  it("says how long the deposit lasts where the RFC asks for more", () => {
    const world = new CoreWorld({ budget: 0n });
    const owner = world.user(0);
    world.mine({ type: "deposit-changed", number: 0n, owner, balance: 5_600n });
    assert.equal(world.open(0).ticket.maxSeconds, 5);
    const short = new CoreWorld({ budget: 0n, minSeconds: 6 });
    short.mine({ type: "deposit-changed", number: 0n, owner: short.user(0), balance: 5_600n });
    const [refused] = short.submit(short.rfc(0));
    assert.equal(refused?.type === "refused" && refused.refusal.code, "budget-spent");
  });
});

type Move = typeof move extends fc.Arbitrary<infer T> ? T : never;

function run(world: CoreWorld, moves: readonly Move[]): void {
  const asked = new Map<number, ReturnType<CoreWorld["submit"]>>();
  const sessions = new Map<number, OpenedSession>();
  for (const { client, verb, seconds } of moves) {
    const session = sessions.get(client);
    if (verb === "ask") asked.set(client, world.submit(world.rfc(0, { maxSeconds: seconds })));
    else if (verb === "accept") {
      const [granted] = world.accept(asked.get(client) ?? []);
      asked.delete(client);
      if (granted === undefined) continue;
      sessions.set(client, { id: granted.sessionId, ticket: granted.ticket });
    } else if (session !== undefined) {
      world.now += 100;
      const close = { party: "user", reason: "finished" } as const;
      const tick = { seconds, requestsAnswered: 1 };
      world.beat(session, { connected: true, tick, ...(verb === "close" ? { close } : {}) });
    }
  }
  for (const session of sessions.values()) {
    world.now += 60_000;
    const close = { party: "user", reason: "finished" } as const;
    world.beat(session, { tick: { seconds: session.ticket.maxSeconds }, close });
  }
}

function spentOf(world: CoreWorld): { readonly allowance: bigint; readonly deposit: bigint } {
  const records = [...world.state.ledgers.values()].flatMap((ledger) => ledger.records);
  return records.reduce(
    (sum, { money }) => ({
      allowance: sum.allowance + money.fromAllowance,
      deposit: sum.deposit + money.fromDeposit,
    }),
    { allowance: 0n, deposit: 0n },
  );
}
