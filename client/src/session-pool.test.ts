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
  closedBecause: string | undefined;
  endsAt: number | undefined;
  paidUntil: number;
  end(error: LakeError): void;
}

/** A pool over Sessions that remember how they were closed, and a clock that is turned by hand. */
function poolOf(
  slots: number,
  options: { readonly idleShareMax?: number; readonly refuseAfter?: number } = {},
): {
  pool: SessionPool;
  opened: OpenedSession[];
  turn: (ms: number) => Promise<void>;
} {
  const opened: OpenedSession[] = [];
  const alarms = new Map<() => void, number>();
  let now = 0;
  const { idleShareMax = 1, refuseAfter = Infinity } = options;
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
    idleShareMax,
    open: async () => {
      if (opened.length >= refuseAfter) throw new LakeError("slots-full", "All are taken.");
      const session = makeSession(opened.length, slots, () => now);
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

function makeSession(index: number, slots: number, now: () => number): OpenedSession {
  const ending = new AbortController();
  const openedAt = now();
  return {
    slots,
    signal: ending.signal,
    get ended() {
      return ending.signal.aborted ? (ending.signal.reason as LakeError) : undefined;
    },
    end: (error) => ending.abort(error),
    endsAt: undefined,
    paidUntil: 0,
    closedBecause: undefined,
    meter: createSessionMeter(),
    figures: () => ({
      sessionId: `0x${index}`,
      model: wish.model,
      provider: `0x${index}`,
      weiPerSecond: 1000n,
      seconds: 0,
      costWei: BigInt(now() - openedAt),
    }),
    send: () => Promise.reject(new Error("nothing is sent in these tests")),
    probe: () => Promise.resolve(true),
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
    first.end(new LakeError("session-ended", "gone"));
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
      idleShareMax: 1,
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

  it("opens as many at once as those who wait need, and no more", async () => {
    const { pool, opened } = poolOf(4);
    (await pool.acquire(wish)).release();
    await Promise.all(Array.from({ length: 11 }, () => pool.acquire(wish)));
    assert.equal(opened.length, 3);
  });

  it("lets who finds no further Session wait for a busy one, in order", async () => {
    const { pool, opened } = poolOf(1, { refuseAfter: 1 });
    const first = await pool.acquire(wish);
    const order: number[] = [];
    const second = pool.acquire(wish).then((lease) => {
      order.push(2);
      lease.release();
    });
    const third = pool.acquire(wish).then(() => order.push(3));
    await new Promise((resolve) => setImmediate(resolve));
    first.release();
    await Promise.all([second, third]);
    assert.deepEqual(order, [2, 3]);
    assert.equal(opened.length, 1);
  });

  it("forgets who stops waiting", async () => {
    const { pool } = poolOf(1, { refuseAfter: 1 });
    const first = await pool.acquire(wish);
    const leaving = new AbortController();
    const left = pool.acquire(wish, leaving.signal);
    leaving.abort(new Error("left"));
    await assert.rejects(left, /left/);
    const next = pool.acquire(wish);
    first.release();
    assert.equal((await next).session, first.session);
  });

  it("moves to a new Session in time when the end of one was announced", async () => {
    const { pool, opened } = poolOf(4);
    const running = await pool.acquire(wish);
    const [first] = opened;
    assert.ok(first !== undefined);
    first.endsAt = 9_000;
    const next = await pool.acquire(wish);
    assert.notEqual(next.session, first);
    running.release();
    assert.equal(first.closedBecause, "idle", "what nobody will use again is not paid for");
  });

  it("keeps a Session while its minimum is paid anyway, which is no idling", async () => {
    const { pool, opened, turn } = poolOf(1);
    const lease = await pool.acquire(wish);
    const [first] = opened;
    assert.ok(first !== undefined);
    first.paidUntil = 30_000;
    lease.release();
    await turn(29_000);
    assert.equal(first.closedBecause, undefined);
    await turn(1_000);
    assert.equal(first.closedBecause, "idle");
    assert.equal(pool.figures().idleMs, 0);
  });

  it("keeps idling below its share of what is spent", async () => {
    const { pool, turn } = poolOf(1, { idleShareMax: 0.2 });
    for (let round = 0; round < 400; round += 1) {
      const lease = await pool.acquire(wish);
      await turn(500);
      lease.release();
      for (let step = 0; step < 50; step += 1) await turn(20);
    }
    const { costWei, idleCostWei, idleMs, sessionsOpened } = pool.figures();
    assert.ok(idleMs > 60_000, "the first minute is free");
    assert.ok(idleCostWei * 100n <= costWei * 26n, `${idleCostWei} of ${costWei}`);
    assert.ok(sessionsOpened > 100, "then it closes between requests and opens again");
  });

  it("gives a Session to nobody who ignores its Provider, nor once it failed", async () => {
    const { pool, opened } = poolOf(4);
    const lease = await pool.acquire(wish);
    const other = await pool.acquire({ ...wish, routing: { ignore: ["0x0"] } });
    assert.notEqual(other.session, lease.session);
    assert.equal((await pool.acquire(wish)).session, lease.session, "without that wish it fits");
    await other.retire();
    assert.equal(opened[1]?.closedBecause, "engine-failed");
  });
});
