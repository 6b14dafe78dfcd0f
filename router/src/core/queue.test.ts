import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ageingPeriod, type Hex, limits } from "@lake-travis/protocol";
import { CoreWorld, type OpenedSession } from "../test-support/core-world.ts";
import { rfcStateOf } from "../views.ts";

/** One slot, taken by the last User; the others hold as many MOR as told. */
function busy(mor: readonly bigint[]): { world: CoreWorld; running: OpenedSession } {
  const world = new CoreWorld({ users: mor.length + 1, slots: 1 });
  const from: Hex = `0x${"0".repeat(40)}`;
  mor.forEach((wei, index) => {
    if (wei > 0n) world.mine({ type: "mor-transferred", from, to: world.user(index), wei });
  });
  world.pass(20_000);
  const running = world.open(mor.length);
  world.beat(running, { connected: true, tick: { seconds: 30 } });
  return { world, running };
}

/** Ends what runs; who is served next, up to its Ticket. */
function freeSlot(world: CoreWorld, running: OpenedSession): { rfcHash: Hex; next: OpenedSession } {
  const close = { party: "user", reason: "finished" } as const;
  const [granted] = world.accept(world.beat(running, { tick: { seconds: 30 }, close }));
  assert.ok(granted !== undefined, "nobody was served");
  const next = { id: granted.sessionId, ticket: granted.ticket };
  world.beat(next, { connected: true, tick: { seconds: 30 } });
  return { rfcHash: granted.rfcHash, next };
}

describe("the RFC queue", () => {
  it("shows place, reason and bound of each RFC that waits", () => {
    const { world } = busy([1n, 9n]);
    const [poor, rich] = [world.rfc(0), world.rfc(1)];
    world.submit(poor);
    world.submit(rich);
    const first = rfcStateOf(world.state, rich.hash);
    assert.deepEqual([first["state"], first["place"], first["waiting"]], ["waiting", 1, 2]);
    assert.match(String(first["reason"]), /next slot/);
    const second = rfcStateOf(world.state, poor.hash);
    assert.equal(second["place"], 2);
    assert.match(String(second["reason"]), /more MOR/);
    assert.equal(second["servedWithinSlots"], ageingPeriod);
    assert.equal(first["servedWithinSlots"], ageingPeriod * 2);
  });

  it("bounds the RFCs of one User, so that nobody fills it", () => {
    const { world } = busy([1n, 1n]);
    const codes = Array.from({ length: limits.queuedPerUserMax + 1 }, () => {
      const [effect] = world.submit(world.rfc(0));
      return effect?.type === "refused" ? effect.refusal.code : effect?.type;
    });
    assert.equal(codes.at(-1), "queue-full");
    assert.equal(codes.at(-2), "rfc-queued");
    assert.equal(world.submit(world.rfc(1))[0]?.type, "rfc-queued");
  });

  it("serves every RFC within the stated number of freed slots, whoever else comes", () => {
    const wei = fc.array(fc.bigInt({ min: 1n, max: 10n ** 20n }), { minLength: 2, maxLength: 4 });
    fc.assert(
      fc.property(wei, (mor) => {
        const { world, running: first } = busy([0n, ...mor]);
        let running = first;
        const early = mor.map((_, index) => world.rfc(index + 1, { deadline: world.now + 90_000 }));
        for (const rfc of early) world.submit(rfc);
        const poor = world.rfc(0, { deadline: world.now + 90_000 });
        world.submit(poor);
        const bound = Number(rfcStateOf(world.state, poor.hash)["servedWithinSlots"]);
        assert.equal(bound, ageingPeriod * (mor.length + 1));
        for (let freed = 1; ; freed += 1) {
          assert.ok(freed <= bound, `${freed} slots`);
          const served = freeSlot(world, running);
          running = served.next;
          if (served.rfcHash === poor.hash) break;
          // Somebody richer comes for each slot that frees.
          const rich = 1 + (freed % mor.length);
          world.submit(world.rfc(rich, { deadline: world.now + 90_000 }));
        }
      }),
      { numRuns: 25 },
    );
  });

  it("refuses at the deadline and forgets who waited", () => {
    const { world } = busy([1n]);
    const rfc = world.rfc(0, { deadline: world.now + 3_000 });
    world.submit(rfc);
    world.pass(4_000);
    const refused = world.effects.find((effect) => effect.type === "rfc-refused");
    assert.equal(refused?.refusal.code, "slots-full");
    assert.equal(world.state.lines.size, 0);
    assert.equal(world.state.users.get(world.user(0))?.queued, 0);
    assert.throws(() => rfcStateOf(world.state, rfc.hash), { code: "content-missing" });
  });

  it("takes no RFC of who has neither MOR nor deposit", () => {
    const { world } = busy([1n]);
    const wei = world.state.balances.get(world.user(0)) ?? 0n;
    world.mine({ type: "mor-transferred", from: world.user(0), to: world.router, wei });
    const [refused] = world.submit(world.rfc(0));
    assert.equal(refused?.type === "refused" && refused.refusal.code, "mor-missing");
  });
});
