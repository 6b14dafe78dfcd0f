import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Journal } from "../src/journal/journal.ts";
import { encodeEvent, recover, writeSnapshot } from "../src/journal/recover.ts";
import { stateHash } from "../src/core/state-hash.ts";
import { routerLimits } from "../src/limits.ts";
import { CoreWorld } from "../src/test-support/core-world.ts";

/** What a recovery took. */
export interface RecoveryResult {
  readonly seconds: number;
  readonly events: number;
  readonly replayed: number;
  readonly hash: string;
}

/**
 * Writes so many events of real Sessions to a journal with the snapshots that a Router makes, and
 * measures how long it takes to be back.
 */
export async function measureRecovery(events: number): Promise<RecoveryResult> {
  const folder = await mkdtemp(join(tmpdir(), "bench-recovery-"));
  try {
    const perSegment = routerLimits.journalEventsMax;
    const world = new CoreWorld({ users: 500, slots: 1_000_000, budget: 10n ** 24n });
    let written = 0;
    let number = 1;
    let journal = await Journal.open(folder, { number, entries: 0, bytes: 0 }, () => undefined);
    let inSegment = 0;
    while (written < events) {
      oneSession(world, written);
      for (const event of world.events.splice(0)) {
        // The last of a burst is waited for, so that memory stays flat.
        const appended = journal.append(encodeEvent(event));
        written += 1;
        inSegment += 1;
        if (written % 2_000 === 0) await appended;
      }
      if (inSegment < perSegment) continue;
      await journal.close();
      number += 1;
      inSegment = 0;
      await writeSnapshot(folder, number);
      journal = await Journal.open(folder, { number, entries: 0, bytes: 0 }, () => undefined);
    }
    await journal.close();
    world.effects.length = 0;
    const begunAt = performance.now();
    const { state, replayed } = await recover(folder);
    const seconds = (performance.now() - begunAt) / 1000;
    const hash = stateHash(state);
    if (hash !== stateHash(world.state)) throw new Error("the recovered state is another");
    return { seconds, events: written, replayed, hash };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function oneSession(world: CoreWorld, seed: number): void {
  const session = world.open(seed % 500, { maxSeconds: 5 });
  world.beat(session, { connected: true, tick: { seconds: 2 } });
  world.now += 2;
  const close = { party: "user", reason: "finished" } as const;
  world.beat(session, { tick: { seconds: 2 }, close });
  world.effects.length = 0;
  if (seed % 400 === 0) world.submit({ type: "time-passed", at: world.now });
}
