import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Clock, LakeError } from "@lake-travis/protocol";
import type { Wish } from "./open-by-name.ts";
import type { Session } from "./session.ts";
import { createSessionMeter } from "./session-meter.ts";
import { createSessionPool, type SessionPool } from "./session-pool.ts";

const wish: Wish = {
  model: "lake/travis-tiny:latest",
  maxWeiPerSecond: 100n,
  minMilliTps: 0,
  maxLatencyMs: 0,
  maxSeconds: 60,
};

interface OpenedSession extends Session {
  ended: LakeError | undefined;
  closedBecause: string | undefined;
}

/** A pool over Sessions that remember how they were closed, and a clock that is turned by hand. */
function poolOf(slots: number): {
  pool: SessionPool;
  opened: OpenedSession[];
  turn: (ms: number) => Promise<void>;
} {
  const opened: OpenedSession[] = [];
  const alarms = new Map<() => void, number>();
  let now = 0;
  const clock: Clock = {
    now: () => now,
    sleep: () => Promise.resolve(),
    after: (ms, action) => {
      alarms.set(action, now + ms);
      return () => alarms.delete(action);
    },
  };
  const pool = createSessionPool({
    clock,
    idleMs: 1000,
    open: async () => {
      const session = makeSession(opened.length, slots);
      opened.push(session);
      return session;
    },
    onCloseFailure: (error) => {
      throw error;
    },
  });
  const turn = async (ms: number): Promise<void> => {
    now += ms;
    for (const [action, at] of alarms) if (at <= now && alarms.delete(action)) action();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { pool, opened, turn };
}

function makeSession(index: number, slots: number): OpenedSession {
  return {
    slots,
    ended: undefined,
    closedBecause: undefined,
    meter: createSessionMeter(),
    figures: () => ({
      sessionId: `0x${index}`,
      model: wish.model,
      provider: "0x0",
      weiPerSecond: 1n,
      seconds: 0,
      costWei: 0n,
    }),
    send: () => Promise.reject(new Error("nothing is sent in these tests")),
    async close(reason) {
      this.closedBecause = reason;
    },
  };
}

describe("SessionPool", () => {
  it("shares one Session between parallel requests up to its slots", async () => {
    const { pool, opened } = poolOf(2);
    const leases = await Promise.all([pool.acquire(wish), pool.acquire(wish)]);
    assert.equal(opened.length, 1);
    await pool.acquire(wish);
    assert.equal(opened.length, 2);
    leases.forEach((lease) => lease.release());
    await pool.acquire(wish);
    assert.equal(opened.length, 2);
  });

  it("keeps wishes with another price apart", async () => {
    const { pool, opened } = poolOf(2);
    await pool.acquire(wish);
    await pool.acquire({ ...wish, maxWeiPerSecond: 1n });
    assert.equal(opened.length, 2);
  });

  it("closes an idle Session, but not one that is used again in time", async () => {
    const { pool, opened, turn } = poolOf(1);
    (await pool.acquire(wish)).release();
    await turn(900);
    const again = await pool.acquire(wish);
    await turn(5000);
    assert.equal(opened[0]?.closedBecause, undefined);
    again.release();
    again.release();
    await turn(1001);
    assert.equal(opened[0]?.closedBecause, "idle");
    assert.equal(pool.sessions().length, 0);
  });

  it("opens anew where the Session has ended", async () => {
    const { pool, opened } = poolOf(1);
    (await pool.acquire(wish)).release();
    const [first] = opened;
    assert.ok(first !== undefined);
    first.ended = new LakeError("session-ended", "gone");
    const lease = await pool.acquire(wish);
    assert.notEqual(lease.session, first);
  });

  it("closes all when it stops and opens no more", async () => {
    const { pool, opened } = poolOf(1);
    await pool.acquire(wish);
    await pool.acquire(wish);
    await pool.stop();
    assert.deepEqual(
      opened.map((session) => session.closedBecause),
      ["finished", "finished"],
    );
    await assert.rejects(pool.acquire(wish), /stopping/);
  });

  it("passes on why no Session could be opened and tries again next time", async () => {
    let attempts = 0;
    const pool = createSessionPool({
      clock: { now: () => 0, sleep: () => Promise.resolve(), after: () => () => undefined },
      idleMs: 1,
      open: () => {
        attempts += 1;
        return Promise.reject(new LakeError("model-unknown", "no such model"));
      },
      onCloseFailure: () => undefined,
    });
    await assert.rejects(pool.acquire(wish), /no such model/);
    await assert.rejects(pool.acquire(wish), /no such model/);
    assert.equal(attempts, 2);
  });
});
