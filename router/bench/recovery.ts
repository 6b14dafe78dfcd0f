import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Journal } from "../src/journal/journal.ts";
import { encodeEvent, recover, writeSnapshot } from "../src/journal/recover.ts";
import { stateHash } from "../src/core/state-hash.ts";
import { routerLimits } from "../src/limits.ts";
import { CoreWorld } from "../src/test-support/core-world.ts";

const users = 500;
/** Sessions that are open while all the others come and go. */
const openSessions = 10_000;

/** What a recovery took. */
export interface RecoveryResult {
  readonly seconds: number;
  readonly events: number;
  readonly replayed: number;
  readonly hash: string;
}

/**
 * Writes so many events of real Sessions to a journal with the snapshots that a Router makes, and
 * measures how long it takes to be back. The last segment is nearly full, which is the worst case,
 * and some Sessions are open.
 */
export async function measureRecovery(events: number): Promise<RecoveryResult> {
  const folder = await mkdtemp(join(tmpdir(), "bench-recovery-"));
  try {
    const world = new CoreWorld({ users, slots: 1_000_000, budget: 10n ** 24n });
    const open = Math.min(openSessions, Math.floor(events / 20));
    for (let index = 0; index < open; index += 1) {
      world.beat(world.open(index % users), { connected: true, tick: { seconds: 2 } });
    }
    const written = await writeJournal(folder, world, events);
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

async function writeJournal(folder: string, world: CoreWorld, events: number): Promise<number> {
  const perSegment = routerLimits.journalEventsMax;
  // Nearly a full segment behind the last snapshot.
  const goal = Math.floor(events / perSegment) * perSegment + Math.min(events, perSegment * 0.98);
  let written = 0;
  let number = 1;
  let journal = await Journal.open(folder, { number, entries: 0, bytes: 0 }, () => undefined);
  for (let sessions = 0; written < goal; sessions += 1) {
    oneSession(world, sessions);
    for (const event of world.events.splice(0)) {
      // The last of a burst is waited for, so that memory stays flat.
      const appended = journal.append(encodeEvent(event));
      written += 1;
      if (written % 2_000 === 0) await appended;
    }
    world.effects.length = 0;
    if (written < number * perSegment) continue;
    await journal.close();
    number += 1;
    await writeSnapshot(folder, number);
    journal = await Journal.open(folder, { number, entries: 0, bytes: 0 }, () => undefined);
  }
  await journal.close();
  return written;
}

function oneSession(world: CoreWorld, seed: number): void {
  const session = world.open(seed % users, { maxSeconds: 5 });
  world.beat(session, { connected: true, tick: { seconds: 2 } });
  world.now += 2;
  const close = { party: "user", reason: "finished" } as const;
  world.beat(session, { tick: { seconds: 2 }, close });
  if (seed % 400 === 0) world.submit({ type: "time-passed", at: world.now });
  // As the Router does: Records leave the memory as soon as they are many.
  for (const [epoch, { records, spilled }] of [...world.state.ledgers]) {
    if (records.length < routerLimits.recordsInMemoryMax) continue;
    const { length: count } = records;
    world.submit({ type: "records-spilled", epoch, count, bytes: spilled.bytes + count });
  }
}
