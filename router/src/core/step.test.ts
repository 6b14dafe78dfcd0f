import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deserialize, serialize } from "node:v8";
import fc from "fast-check";
import { type CloseReason, type Hex, type Party } from "@lake-travis/protocol";
import { CoreWalk, walkCommand } from "../test-support/core-walk.ts";
import { CoreWorld, bytes32Of } from "../test-support/core-world.ts";
import { decodeEvent, encodeEvent } from "../journal/recover.ts";
import { brokenInvariants } from "../test-support/invariants.ts";
import type { RouterEvent } from "./events.ts";
import { createState, type RouterState } from "./state.ts";
import { stateHash } from "./state-hash.ts";
import { step } from "./step.ts";

function codeOf(world: CoreWorld, index: number, wish = {}): string {
  const effects = world.submit(world.rfc(index, wish));
  const refused = effects.find((effect) => "refusal" in effect);
  return refused !== undefined && "refusal" in refused ? refused.refusal.code : "asked";
}

describe("the meter", () => {
  /** One Session with a Tick for so many seconds, ended after `ms`; what it cost in seconds. */
  function check(input: {
    readonly ms: number;
    readonly ticked: number;
    readonly answered?: number;
    readonly minSeconds?: number;
    readonly by?: Party;
    readonly reason?: CloseReason;
    readonly expected: number;
  }): void {
    const world = new CoreWorld({ minSeconds: input.minSeconds ?? 0 });
    const session = world.open(0);
    const { by: party = "user", reason = "finished" } = input;
    world.beat(session, { connected: true, tick: { seconds: 1 } });
    world.now += input.ms;
    const tick = { seconds: input.ticked, requestsAnswered: input.answered ?? 0 };
    world.beat(session, { tick, close: { party, reason } });
    world.pass(4_000);
    assert.equal(world.costOf(session), input.expected, JSON.stringify(input));
    assert.deepEqual(brokenInvariants(world.state), []);
  }

  it("charges min(last Tick, max(minimum, measured))", () => {
    check({ ms: 1_500, ticked: 10, expected: 2 });
    check({ ms: 5_000, ticked: 4, expected: 4 });
    check({ ms: 0, ticked: 10, expected: 0 });
    check({ ms: 1_500, ticked: 10, answered: 1, minSeconds: 5, expected: 5 });
    check({ ms: 1_500, ticked: 10, answered: 0, minSeconds: 5, expected: 2 });
    check({ ms: 1_500, ticked: 3, answered: 1, minSeconds: 5, expected: 3 });
    const shut = { by: "provider", reason: "shutting-down" } as const;
    check({ ms: 1_500, ticked: 10, answered: 1, minSeconds: 5, ...shut, expected: 2 });
  });

  it("charges nothing for a Provider's fault, whoever's word a User's is", () => {
    const failed = { by: "provider", reason: "engine-failed" } as const;
    check({ ms: 1_500, ticked: 10, ...failed, expected: 0 });
    check({ ms: 1_500, ticked: 10, by: "user", reason: "engine-failed", expected: 2 });
  });

  it("does not let a Provider with a padded clock charge beyond what was measured", () => {
    const world = new CoreWorld();
    const session = world.open(0);
    // Connected long ago by its own word; the Router hears of it now.
    world.now += 8_000;
    world.beat(session, { connected: true, tick: { seconds: 20 } });
    world.now += 1_000;
    world.beat(session, {
      tick: { seconds: 20 },
      close: { party: "provider", reason: "finished" },
    });
    assert.equal(world.costOf(session), 1);
  });

  it("ends a Session whose User vanished, charged as signed", () => {
    const world = new CoreWorld();
    const session = world.open(0);
    world.beat(session, { connected: true, tick: { seconds: 3, requestsAnswered: 1 } });
    world.pass(12_000);
    assert.equal(world.costOf(session), 3);
    assert.equal(world.state.ended.get(session.id)?.endReason, "ticks-missing");
  });

  it("charges nothing where the Provider vanished, or both did", () => {
    const world = new CoreWorld();
    const session = world.open(0);
    world.beat(session, { connected: true, tick: { seconds: 10 } });
    world.now += 6_000;
    const provider = world.provider(0);
    world.submit({ type: "provider-silent", provider, at: world.now });
    assert.equal(world.costOf(session), 0);
    assert.equal(world.state.ended.get(session.id)?.endReason, "provider-gone");
    assert.equal(codeOf(world, 0), "provider-none");
  });

  it("lets a Ticket lapse that nobody used, and counts it", () => {
    const world = new CoreWorld();
    const session = world.open(0);
    world.pass(14_000);
    assert.equal(world.state.ended.get(session.id)?.endReason, "ticket-lapsed");
    assert.equal(world.costOf(session), 0);
    assert.equal(world.state.users.get(world.user(0))?.lapses, 1);
    assert.equal(world.state.ledgers.get(0)?.records.length, 0);
  });

  it("waits for the Tick that a Close names, and goes without it in the end", () => {
    const world = new CoreWorld();
    const session = world.open(0);
    world.beat(session, { connected: true, tick: { seconds: 2 } });
    world.now += 4_000;
    const how = { party: "user", reason: "finished" } as const;
    const received = world.close(session, how, bytes32Of(123));
    world.submit({ type: "close-received", received, at: world.now });
    assert.equal(world.costOf(session), undefined);
    world.beat(session, { tick: { seconds: 4 } });
    world.pass(4_000);
    assert.equal(world.costOf(session), 4);
  });

  it("refuses Ticks that are older, beyond the Ticket, or of another key", () => {
    const world = new CoreWorld();
    const session = world.open(0, { maxSeconds: 10 });
    world.beat(session, { connected: true, tick: { seconds: 5, tokens: 9 } });
    for (const tick of [{ seconds: 4 }, { seconds: 6, tokens: 8 }, { seconds: 11, tokens: 9 }]) {
      const [refused] = world.beat(session, { tick });
      assert.equal(refused?.type, "tick-refused", JSON.stringify(tick));
    }
    assert.equal(world.state.sessions.get(session.id)?.tick?.seconds, 5);
  });

  it("ends a Session when its time or its money is used up", () => {
    const world = new CoreWorld();
    const session = world.open(0, { maxSeconds: 3 });
    world.beat(session, { connected: true, tick: { seconds: 3 } });
    world.pass(8_000);
    assert.equal(world.state.ended.get(session.id)?.endReason, "time-reached");
    assert.equal(world.costOf(session), 3);
    const poor = new CoreWorld({ budget: 5_500n });
    const short = poor.open(0);
    assert.equal(short.ticket.maxSeconds, 5);
    poor.beat(short, { connected: true, tick: { seconds: 5 } });
    poor.pass(9_000);
    assert.equal(poor.state.ended.get(short.id)?.endReason, "credit-spent");
  });
});

describe("a Session's end", () => {
  it("comes once, however many things end it", () => {
    const world = new CoreWorld();
    const session = world.open(0);
    world.beat(session, { connected: true, tick: { seconds: 9 } });
    const received = world.close(session, { party: "user", reason: "finished" }, bytes32Of(9));
    world.submit({ type: "close-received", received, at: world.now });
    const provider = world.provider(0);
    world.submit({ type: "provider-silent", provider, at: world.now });
    assert.equal(world.state.sessions.get(session.id)?.endReason, "finished");
    assert.deepEqual(brokenInvariants(world.state), []);
  });
});

describe("a Router that was away", () => {
  it("lets Sessions go on, and gives everyone time to be heard anew", () => {
    const world = new CoreWorld();
    const [open, granted] = [world.open(0), world.open(0)];
    world.beat(open, { connected: true, tick: { seconds: 2 } });
    world.now += 15_000;
    world.submit({ type: "router-restarted", at: world.now });
    world.submit({ type: "time-passed", at: world.now });
    assert.equal(world.state.sessions.size, 2);
    world.beat(open, { tick: { seconds: 17 } });
    world.pass(2_000);
    assert.equal(world.state.sessions.get(open.id)?.phase, "open");
    world.pass(8_000);
    assert.equal(world.state.ended.get(granted.id)?.endReason, "ticket-lapsed");
  });
});

describe("an epoch's end", () => {
  it("continues a Session without gap, slot or second minimum", () => {
    const world = new CoreWorld({ minSeconds: 5 });
    world.pass(16_000);
    const session = world.open(0);
    world.beat(session, { connected: true, tick: { seconds: 8, requestsAnswered: 1 } });
    world.pass(5_000);
    const granted = world.effects.find((effect) => effect.type === "successor-granted");
    assert.equal(granted?.previous, session.id);
    const used = [...world.state.offers.values()][0]?.used;
    assert.equal(used, 1);
    world.pass(3_000);
    const first = world.costOf(session) ?? 0;
    const from = granted.ticket.openedAt - session.ticket.openedAt;
    assert.equal(from, first * 1_000);
    assert.equal(granted.ticket.minSeconds, 0);
    assert.deepEqual(brokenInvariants(world.state), []);
  });

  it("closes the Session that goes on when its User closes the one before", () => {
    const world = new CoreWorld();
    world.pass(18_000);
    const session = world.open(0);
    world.beat(session, { connected: true, tick: { seconds: 8 } });
    world.pass(3_000);
    const how = { party: "user", reason: "finished" } as const;
    const received = world.close(session, how, bytes32Of(1));
    world.submit({ type: "close-received", received, at: world.now });
    world.pass(4_000);
    assert.equal(world.state.sessions.size, 0);
    assert.equal([...world.state.offers.values()][0]?.used, 0);
  });
});

describe("the queue", () => {
  it("puts those with more MOR first, within the per-User limit", () => {
    const world = new CoreWorld({ users: 3, slots: 1 });
    const from: Hex = `0x${"0".repeat(40)}`;
    world.mine({ type: "mor-transferred", from, to: world.user(2), wei: 5n * 10n ** 18n });
    world.pass(20_000);
    const running = world.open(0);
    world.beat(running, { connected: true, tick: { seconds: 9 } });
    assert.equal(world.submit(world.rfc(1))[0]?.type, "rfc-queued");
    const rich = world.rfc(2);
    assert.equal(world.submit(rich)[0]?.type, "rfc-queued");
    for (let index = 0; index < 3; index += 1) world.submit(world.rfc(1));
    assert.equal(codeOf(world, 1), "queue-full");
    const how = { party: "user", reason: "finished" } as const;
    const effects = world.beat(running, { tick: { seconds: 9 }, close: how });
    const asked = effects.find((effect) => effect.type === "provider-asked");
    assert.equal(asked?.rfcHash, rich.hash);
  });

  it("serves the oldest at every fourth slot, and refuses at the deadline", () => {
    const world = new CoreWorld({ users: 2, slots: 1 });
    const from: Hex = `0x${"0".repeat(40)}`;
    world.mine({ type: "mor-transferred", from, to: world.user(1), wei: 5n * 10n ** 18n });
    world.pass(20_000);
    let running = world.open(1);
    const oldest = world.rfc(0, { deadline: world.now + 60_000 });
    world.submit(oldest);
    const order: Hex[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      world.submit(world.rfc(1, { deadline: world.now + 60_000 }));
      const close = { party: "user", reason: "finished" } as const;
      world.beat(running, { connected: true, tick: { seconds: 1 } });
      const [granted] = world.accept(world.beat(running, { tick: { seconds: 1 }, close }));
      assert.ok(granted !== undefined);
      order.push(granted.rfcHash);
      running = { id: granted.sessionId, ticket: granted.ticket };
    }
    assert.equal(order.indexOf(oldest.hash), 3);
    const late = world.rfc(0, { deadline: world.now + 2_000 });
    world.submit(late);
    world.beat(running, { connected: true, tick: { seconds: 10 } });
    world.pass(4_000);
    const refused = world.effects.find((effect) => effect.type === "rfc-refused");
    assert.equal(refused?.refusal.code, "slots-full");
  });
});

describe("money", () => {
  it("refuses who moved the MOR away, and counts no stack twice in an epoch", () => {
    const world = new CoreWorld({ users: 2 });
    const wei = 10n ** 18n;
    world.mine({ type: "mor-transferred", from: world.user(0), to: world.user(1), wei });
    assert.equal(codeOf(world, 0), "mor-missing");
    assert.equal(codeOf(world, 1), "asked");
    const world2 = new CoreWorld({ users: 2 });
    world2.mine({ type: "mor-transferred", from: world2.user(0), to: world2.user(1), wei });
    const allowance = 10n ** 18n / 2n;
    const spent = world2.open(1, { maxSeconds: 3_600 });
    assert.ok(spent.ticket.reservedAllowance <= allowance);
  });

  it("uses deposits beyond the allowance, lowest number first, up to the ceiling", () => {
    const world = new CoreWorld({ users: 1, budget: 0n });
    const owner = world.user(0);
    assert.equal(codeOf(world, 0), "budget-spent");
    for (const number of [0n, 1n]) {
      world.mine({ type: "deposit-changed", number, owner, balance: 3_300n });
    }
    world.delegate(0, { nonce: 2, debitCeiling: 5_500n });
    const session = world.open(0);
    assert.equal(session.ticket.reservedDeposit, 5_500n);
    world.beat(session, { connected: true, tick: { seconds: 5 } });
    world.pass(5_000, 0n);
    world.beat(session, {
      tick: { seconds: 5 },
      close: { party: "user", reason: "finished" },
    });
    world.pass(3_000, 0n);
    assert.deepEqual(
      world.state.deposits.map(({ debited }) => debited),
      [3_300n, 2_200n],
    );
    assert.equal(codeOf(world, 0), "budget-spent");
  });

  it("reserves nothing of an announced withdrawal from the next epoch on", () => {
    const world = new CoreWorld({ users: 1, budget: 0n });
    const owner = world.user(0);
    world.mine({ type: "deposit-changed", number: 0n, owner, balance: 11_000n });
    world.mine({ type: "withdrawal-announced", number: 0n, wei: 11_000n });
    assert.equal(codeOf(world, 0), "asked");
    world.pass(21_000, 0n);
    assert.equal(codeOf(world, 0), "budget-spent");
  });
});

/** The state that a snapshot in the middle and the events behind it lead to. */
function throughSnapshot(events: readonly RouterEvent[]): RouterState {
  const middle = events.length >> 1;
  const before = createState();
  for (const event of events.slice(0, middle)) step(before, event);
  const after = deserialize(serialize(before)) as RouterState;
  for (const event of events.slice(middle)) step(after, event);
  return after;
}

describe("any sequence of events", () => {
  it("once lost wei: what was held was judged into an epoch whose settlement was signed", () => {
    const walk = new CoreWalk();
    const serve = { verb: "serve", which: 0 };
    walk.run({ ...serve, who: 0, amount: 0 });
    walk.run({ ...serve, who: 0, amount: 0 });
    walk.run({ verb: "deposit", which: 0, who: 2, amount: 2 });
    for (const amount of [1, 21, 1]) walk.run({ ...serve, who: 2, amount });
    const later = [21, 0].flatMap((amount) => {
      const verbs = amount === 0 ? ["judge", "settle"] : ["rest", "judge", "rest", "settle"];
      return verbs.map((verb) => ({ verb, amount }));
    });
    for (const each of later) walk.run({ ...each, who: 0, which: 0 });
    assert.deepEqual(brokenInvariants(walk.world.state), []);
  });

  it("keeps every invariant, and replays to the same hash", () => {
    fc.assert(
      fc.property(fc.array(walkCommand, { maxLength: 120, size: "max" }), (commands) => {
        const walk = new CoreWalk();
        for (const each of commands) {
          walk.run(each);
          assert.deepEqual(brokenInvariants(walk.world.state), [], each.verb);
        }
        const replayed = createState();
        for (const event of walk.world.events) step(replayed, decodeEvent(encodeEvent(event)));
        assert.equal(stateHash(replayed), stateHash(walk.world.state));
        assert.equal(stateHash(throughSnapshot(walk.world.events)), stateHash(replayed));
      }),
      { numRuns: Number(process.env["LAKE_FUZZ_RUNS"] ?? 200) },
    );
  });
});
