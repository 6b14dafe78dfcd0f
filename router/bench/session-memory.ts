import { CoreWorld } from "../src/test-support/core-world.ts";

/** What open Sessions take. */
export interface SessionMemory {
  readonly bytesPerSession: number;
  readonly sessions: number;
  /** Wall time of one Tick for every Session, through the state machine. */
  readonly ticksMs: number;
}

/** Opens so many Sessions, gives each a Tick, and measures the heap they take. */
export function measureSessionMemory(sessions: number): SessionMemory {
  const users = Math.ceil(sessions / 50);
  const world = new CoreWorld({ users, slots: sessions + 1, budget: 10n ** 24n });
  world.events.length = 0;
  const collect = globalThis.gc;
  collect?.();
  const before = process.memoryUsage().heapUsed;
  for (let index = 0; index < sessions; index += 1) {
    const session = world.open(index % users, { maxSeconds: 60 });
    world.beat(session, { connected: true, tick: { seconds: 10 } });
    world.events.length = 0;
    world.effects.length = 0;
  }
  collect?.();
  const after = process.memoryUsage().heapUsed;
  const begunAt = performance.now();
  for (const { id, ticket } of [...world.state.sessions.values()]) {
    world.beat({ id, ticket }, { tick: { seconds: 20 } });
    world.events.length = 0;
  }
  const ticksMs = performance.now() - begunAt;
  // Nonces are remembered until their deadline and are part of what an open Session costs.
  return { bytesPerSession: (after - before) / sessions, sessions, ticksMs };
}
