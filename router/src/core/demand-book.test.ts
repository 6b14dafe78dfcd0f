import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DemandLine } from "@lake-travis/protocol";
import { CoreWorld } from "../test-support/core-world.ts";

function published(world: CoreWorld): readonly DemandLine[] {
  const { openEpoch } = world.state;
  world.pass(20_000);
  return world.state.ledgers.get(openEpoch)?.demand ?? [];
}

describe("demand", () => {
  it("counts each User once for a model and price, and why it got nothing", () => {
    const world = new CoreWorld({ users: 4 });
    for (const user of [0, 1, 2, 2, 2]) world.submit(world.rfc(user, { maxWeiPerSecond: 600n }));
    for (const user of [0, 1, 3]) world.submit(world.rfc(user));
    assert.deepEqual(published(world), [
      {
        kind: "demand",
        epoch: 0,
        model: "lake/tiny",
        priceBucketWei: "512",
        asked: 3,
        unserved: 3,
        reasons: { "price-cap-too-low": 3 },
      },
      {
        kind: "demand",
        epoch: 0,
        model: "lake/tiny",
        priceBucketWei: (2n ** 59n).toString(),
        asked: 3,
        unserved: 0,
        reasons: {},
      },
    ]);
    assert.equal(world.state.demand.size, 0);
  });

  it("shows nobody who asked almost alone", () => {
    const world = new CoreWorld({ users: 2 });
    for (const user of [0, 1]) world.submit(world.rfc(user, { maxWeiPerSecond: 600n }));
    assert.deepEqual(published(world), []);
  });

  it("counts nothing of a model that nobody published, nor of who may not ask", () => {
    const world = new CoreWorld({ users: 3 });
    for (const user of [0, 1, 2]) world.submit(world.rfc(user, { model: "my/secret:prompt" }));
    assert.equal(world.state.demand.size, 0);
  });

  it("journals a refusal only where it is news", () => {
    const world = new CoreWorld({ users: 1 });
    const before = world.events.length;
    for (let turn = 0; turn < 5; turn += 1) {
      world.submit(world.rfc(0, { maxWeiPerSecond: 600n }));
    }
    assert.equal(world.events.length, before + 1);
  });
});
