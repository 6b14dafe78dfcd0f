/*
 * One test for each way in which a Session's meter can go wrong, and what DESIGN.md charges then.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bytes32Of, CoreWorld, type OpenedSession } from "../test-support/core-world.ts";

/** A Session that is connected, with a Tick for so many seconds. */
function begun(ticked: number, answered = 0): { world: CoreWorld; session: OpenedSession } {
  const world = new CoreWorld({ minSeconds: 0 });
  const session = world.open(0);
  world.beat(session, { connected: true, tick: { seconds: 1 } });
  world.beat(session, { tick: { seconds: ticked, requestsAnswered: answered } });
  return { world, session };
}

function check(
  { world, session }: { readonly world: CoreWorld; readonly session: OpenedSession },
  seconds: number,
  reason: string,
): void {
  assert.equal(world.costOf(session), seconds);
  assert.equal(world.state.ended.get(session.id)?.endReason, reason);
}

const provider = { party: "provider", reason: "finished" } as const;
const user = { party: "user", reason: "finished" } as const;

describe("the meter charges", () => {
  it("a padded Provider's clock: what the Router measured", () => {
    const each = begun(9);
    each.world.now += 2_000;
    each.world.beat(each.session, { tick: { seconds: 30 }, close: provider });
    check(each, 2, "finished");
  });

  it("a padded User's clock (Ticks far ahead): what the Router measured", () => {
    const each = begun(30);
    each.world.now += 3_000;
    each.world.beat(each.session, { tick: { seconds: 30 }, close: user });
    check(each, 3, "finished");
  });

  it("a slow User's clock (Ticks behind): the signed seconds", () => {
    const each = begun(2);
    each.world.now += 6_000;
    each.world.beat(each.session, { tick: { seconds: 4 }, close: user });
    check(each, 4, "finished");
  });

  it("a lapsed Ticket: nothing, and the lapse counts against the User's limit", () => {
    const world = new CoreWorld();
    const session = world.open(0);
    world.pass(13_000);
    check({ world, session }, 0, "ticket-lapsed");
    assert.equal(world.state.users.get(world.user(0))?.lapses, 1);
  });

  it("lapsed Tickets beyond the limit: no further ones in this epoch", () => {
    const world = new CoreWorld({ slots: 100 });
    for (let turn = 0; turn < 20; turn += 1) world.open(0);
    world.pass(14_000);
    const [refused] = world.submit(world.rfc(0));
    assert.equal(refused?.type === "refused" && refused.refusal.code, "rate-limited");
    world.pass(7_000);
    assert.equal(world.submit(world.rfc(0))[0]?.type, "provider-asked");
  });

  it("a Close that the User withholds: what it signed, as its fault", () => {
    const each = begun(4, 1);
    each.world.pass(14_000);
    check(each, 4, "ticks-missing");
  });

  it("a Close that the Provider withholds: up to the User's own Close", () => {
    const each = begun(9, 1);
    each.world.now += 3_000;
    const received = each.world.close(each.session, user, bytes32Of(1));
    each.world.submit({ type: "close-received", received, at: each.world.now });
    each.world.pass(4_000);
    check(each, 3, "finished");
  });

  it("a last Tick that the Provider withholds: only what it reported", () => {
    const each = begun(2, 1);
    each.world.now += 5_000;
    const received = each.world.close(each.session, user, bytes32Of(7));
    each.world.submit({ type: "close-received", received, at: each.world.now });
    each.world.pass(4_000);
    check(each, 2, "finished");
  });

  it("a replayed Tick, of this Session or another: nothing more", () => {
    const each = begun(5);
    const other = each.world.open(0);
    each.world.beat(other, { connected: true, tick: { seconds: 9 } });
    each.world.now += 7_000;
    for (let turn = 0; turn < 3; turn += 1) each.world.beat(each.session, { tick: { seconds: 5 } });
    each.world.beat(each.session, { tick: { seconds: 3 } });
    each.world.beat(each.session, { tick: { seconds: 5 }, close: provider });
    check(each, 5, "finished");
    // Its Close once more, after the end: nothing happens a second time.
    const before = each.world.state.ledgers.get(0)?.records.length;
    each.world.beat(each.session, { close: provider });
    assert.equal(each.world.state.ledgers.get(0)?.records.length, before);
  });

  it("a vanished User: what it signed ahead and no more", () => {
    const each = begun(2);
    each.world.pass(12_000);
    check(each, 2, "ticks-missing");
  });

  it("a vanished Provider: nothing", () => {
    const each = begun(10, 3);
    each.world.now += 6_000;
    const gone = each.session.ticket.provider;
    each.world.submit({ type: "provider-silent", provider: gone, at: each.world.now });
    check(each, 0, "provider-gone");
  });

  it("both vanished: nothing, since nobody shows that there was service", () => {
    const each = begun(3, 1);
    // The User's Ticks end at 3 s; the Provider's silence is noticed before they are missing.
    each.world.pass(6_000);
    const gone = each.session.ticket.provider;
    each.world.submit({ type: "provider-silent", provider: gone, at: each.world.now });
    each.world.pass(10_000);
    check(each, 0, "provider-gone");
  });

  it("a User who says the Provider is gone: nothing if it is silent, else as signed", () => {
    for (const silent of [true, false]) {
      const each = begun(9, 1);
      each.world.now += 2_000;
      const how = { party: "user", reason: "provider-gone" } as const;
      const received = each.world.close(each.session, how, bytes32Of(1));
      each.world.submit({ type: "close-received", received, at: each.world.now });
      each.world.pass(5_000);
      assert.equal(each.world.costOf(each.session), undefined);
      const gone = each.session.ticket.provider;
      if (silent) {
        each.world.submit({ type: "provider-silent", provider: gone, at: each.world.now });
      }
      each.world.pass(4_000);
      check(each, silent ? 0 : 2, "provider-gone");
      assert.equal(
        each.world.state.ended.get(each.session.id)?.endedBy,
        silent ? "router" : "user",
      );
    }
  });

  it("a Session given up before it connected: nothing, whatever Ticks come afterwards", () => {
    const world = new CoreWorld({ minSeconds: 2 });
    const session = world.open(0);
    const how = { party: "user", reason: "provider-gone" } as const;
    const received = world.close(session, how, bytes32Of(1));
    world.submit({ type: "close-received", received, at: world.now });
    world.beat(session, { tick: { seconds: 8, requestsAnswered: 1 }, close: provider });
    world.pass(9_000);
    check({ world, session }, 0, "provider-gone");
    assert.equal(world.state.ledgers.get(0)?.credits.size, 0);
  });

  it("an engine that failed: nothing by the Provider's word, as signed by the User's", () => {
    for (const party of ["provider", "user"] as const) {
      const each = begun(9, 1);
      each.world.now += 2_000;
      const tick = { seconds: 9, requestsAnswered: 1 };
      each.world.beat(each.session, { tick, close: { party, reason: "engine-failed" } });
      check(each, party === "provider" ? 0 : 2, "engine-failed");
    }
  });

  it("minSeconds only after an answer, and only to whom the User left", () => {
    for (const [answered, party, expected] of [
      [1, "user", 5],
      [0, "user", 2],
      [1, "provider", 2],
    ] as const) {
      const world = new CoreWorld({ minSeconds: 5 });
      const session = world.open(0);
      world.beat(session, { connected: true, tick: { seconds: 1 } });
      world.now += 1_500;
      const tick = { seconds: 9, requestsAnswered: answered };
      world.beat(session, { tick, close: { party, reason: "shutting-down" } });
      assert.equal(world.costOf(session), expected, `${party} after ${answered}`);
    }
  });
});

describe("notice before the end", () => {
  it("comes once, ten seconds before, by money or by time", () => {
    for (const [wish, budget, reason] of [
      [{ maxSeconds: 15 }, 10n ** 9n, "time-reached"],
      [{}, 15n * 1_100n, "credit-spent"],
    ] as const) {
      const world = new CoreWorld({ budget });
      const session = world.open(0, wish);
      world.beat(session, { connected: true, tick: { seconds: 15 } });
      const begunAt = world.now;
      world.pass(4_000);
      const told = (): unknown[] => world.effects.filter(({ type }) => type === "session-ending");
      assert.equal(told().length, 0);
      world.pass(2_000);
      assert.equal(told().length, 1);
      const { provider: account } = session.ticket;
      const [warning] = world.state.providers.get(account)?.warnings ?? [];
      assert.deepEqual([warning?.endsAt, warning?.reason], [begunAt + 15_000, reason]);
      world.pass(13_000);
      assert.equal(told().length, 1);
      assert.equal(world.state.ended.get(session.id)?.endReason, reason);
    }
  });

  it("leaves time to open another Session with money that came meanwhile", () => {
    const world = new CoreWorld({ budget: 12n * 1_100n });
    const session = world.open(0);
    world.beat(session, { connected: true, tick: { seconds: 12 } });
    world.pass(3_000);
    assert.equal(world.effects.filter(({ type }) => type === "session-ending").length, 1);
    const owner = world.user(0);
    world.mine({ type: "deposit-changed", number: 0n, owner, balance: 10n ** 6n });
    const next = world.open(0);
    assert.ok(next.ticket.reservedDeposit > 0n);
    assert.equal(world.state.sessions.get(session.id)?.phase, "open");
  });
});
