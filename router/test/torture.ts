import { appendFile, cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Hex, LakeError, rfcType, routerPaths, signedToJson } from "@lake-travis/protocol";
import { systemClock } from "@lake-travis/platform";
import { brokenInvariants } from "../src/test-support/invariants.ts";
import { listJournal, segmentName } from "../src/journal/journal.ts";
import { recover } from "../src/journal/recover.ts";
import { TrialNetwork } from "../src/test-support/trial-network.ts";

/** What the torture found. */
export interface TortureReport {
  readonly kills: number;
  readonly tickets: number;
  /** Tickets that a User holds and the Router does not know any more. */
  readonly lost: number;
  /** Sentences about money and slots that did not hold after a recovery. */
  readonly broken: readonly string[];
  /** Sessions that did not go on after a restart. */
  readonly stuck: number;
  readonly tornBytes: number;
  readonly restartMsMax: number;
}

const usersCount = 24;
const concurrency = 16;
/** Long enough for a few hundred Tickets, short enough to hit every moment of a commit. */
const runMsMin = 60;
const runMsSpan = 400;

/**
 * Kills a Router under load at random moments, tears its last write, starts it again, and checks
 * that every Ticket that anyone holds is known, that no money or slot is counted twice, and that
 * Sessions go on.
 */
export async function torture(
  kills: number,
  onKill: (done: number) => void = () => undefined,
): Promise<TortureReport> {
  const network = await TrialNetwork.start({
    users: usersCount,
    slots: 4_000_000,
    epochMs: 3_600_000,
  });
  const held: Hex[] = [];
  const report = { lost: 0, broken: [] as string[], stuck: 0, tornBytes: 0, restartMsMax: 0 };
  try {
    for (let kill = 1; kill <= kills; kill += 1) {
      const load = startLoad(network, held);
      await systemClock.sleep(runMsMin + Math.random() * runMsSpan);
      await network.kill();
      await load.stop();
      report.tornBytes += await tearLastWrite(network.folder);
      await inspect(network.folder, held, report);
      const begunAt = systemClock.now();
      await network.startRouter();
      report.restartMsMax = Math.max(report.restartMsMax, systemClock.now() - begunAt);
      report.stuck += await closeSome(network, held);
      onKill(kill);
    }
  } finally {
    await network.stop();
  }
  return { kills, tickets: held.length, ...report };
}

interface Load {
  stop(): Promise<void>;
}

function startLoad(network: TrialNetwork, held: Hex[]): Load {
  let running = true;
  const worker = async (index: number): Promise<void> => {
    while (running) {
      // Each worker has Users of its own, so that none runs into the limit of open Sessions.
      const which = index % network.users.length;
      try {
        held.push(await openOne(network, which));
      } catch (error) {
        // The kill cuts requests under way: whether those got a Ticket, nobody knows or cares.
        if (!(error instanceof LakeError)) throw error;
        await systemClock.sleep(5);
      }
    }
  };
  const workers = Array.from({ length: concurrency }, (_, index) => worker(index));
  return {
    async stop() {
      running = false;
      await Promise.all(workers);
    },
  };
}

async function openOne(network: TrialNetwork, which: number): Promise<Hex> {
  const user = network.users[which];
  const delegationHash = network.delegationHashes[which];
  if (user === undefined || delegationHash === undefined) throw new Error("no such User");
  const { router, model } = network;
  const rfc = user.rfc({ router, delegationHash, model, maxSeconds: 5 });
  const url = network.url + routerPaths.rfcs;
  const grant = (await network.http.json("POST", url, signedToJson(rfcType, rfc), {
    timeoutMs: 3_000,
  })) as { sessionId: Hex };
  return grant.sessionId;
}

/** Some bytes that no entry explains, as a write that was cut off leaves behind. */
async function tearLastWrite(folder: string): Promise<number> {
  const journal = join(folder, "journal");
  const { segments } = await listJournal(journal);
  const junk = Buffer.alloc(Math.floor(Math.random() * 600), 0x5a);
  junk.fill(0, 0, Math.min(junk.length, 2));
  await appendFile(join(journal, segmentName(segments.at(-1) ?? 1)), junk);
  return junk.length;
}

/** Recovers a copy of what the kill left and looks into it. */
async function inspect(
  folder: string,
  held: readonly Hex[],
  report: { lost: number; broken: string[] },
): Promise<void> {
  const copy = await mkdtemp(join(tmpdir(), "torture-copy-"));
  try {
    await cp(join(folder, "journal"), copy, { recursive: true });
    const { state } = await recover(copy);
    report.broken.push(...brokenInvariants(state));
    for (const id of held) {
      // Ended Sessions are answered for up to a limit; a run stays below it.
      if (!state.sessions.has(id) && !state.ended.has(id)) report.lost += 1;
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Connects and closes what was opened before the kill; returns how many would not. */
async function closeSome(network: TrialNetwork, held: readonly Hex[]): Promise<number> {
  const recent = held.slice(-200);
  const zero: Hex = `0x${"0".repeat(64)}`;
  await network.simulated.beat({ connected: recent });
  await network.simulated.beat({
    closes: recent.map((sessionId) => ({ sessionId, tickHash: zero })),
  });
  let stuck = 0;
  for (const id of recent.slice(-5)) {
    const path = `${routerPaths.sessions}/${id}`;
    const { state } = (await network.http.json("GET", network.url + path)) as { state: string };
    if (state !== "ended") stuck += 1;
  }
  return stuck;
}
