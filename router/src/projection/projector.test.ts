import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { recordLine, type SessionRecord } from "@lake-travis/protocol";
import { createLogger, systemClock } from "@lake-travis/platform";
import { IpfsNode } from "@lake-travis/registry";
import { openRecordArchive, type RecordArchive } from "../record-archive.ts";
import { ProjectionThread } from "./projection-thread.ts";
import { Projector } from "./projector.ts";

const clock = systemClock;
const logger = createLogger({ name: "test", level: "silent" });

interface Place {
  readonly folder: string;
  readonly archive: RecordArchive;
}

async function openPlace(context: TestContext): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), "projector-"));
  const ipfs = new IpfsNode({ dataDir: folder });
  await ipfs.start();
  context.after(async () => {
    await ipfs.stop();
    rmSync(folder, { recursive: true });
  });
  return { folder, archive: await openRecordArchive(join(folder, "records"), ipfs) };
}

/** Runs a projector until `reached` says so; what it wrote is in the database afterwards. */
async function project(
  { folder, archive }: Place,
  options: {
    readonly anew?: boolean;
    readonly meanwhile?: (projector: Projector) => Promise<void>;
    readonly reached: (lines: readonly string[]) => boolean;
  },
): Promise<readonly string[]> {
  const url = `sqlite:${join(folder, "database", "projection.db")}`;
  const projection = new ProjectionThread({ url, shard: 0 });
  const projector = new Projector({ projection, archive, shard: 0, clock, logger });
  projector.start(options.anew ?? false);
  try {
    await options.meanwhile?.(projector);
    for (;;) {
      const page = await projection.records({ max: 1_000 }).catch(() => undefined);
      if (page !== undefined && options.reached(page.lines)) return page.lines;
      await clock.sleep(20);
    }
  } finally {
    await projector.stop();
    await projection.close();
  }
}

test("reads each published file once, the lines behind the Records left out", async (context) => {
  const place = await openPlace(context);
  await publish(place.archive, 1, [1, 2]);
  const first = await project(place, { reached: (lines) => lines.length === 2 });
  assert.deepEqual(
    first,
    [1, 2].map((id) => recordLine(recordOf(1, id))),
  );
  await publish(place.archive, 2, [3]);
  await project(place, { reached: (lines) => lines.length === 3 });
});

test("made anew it holds the same", async (context) => {
  const place = await openPlace(context);
  await publish(place.archive, 1, [1, 2, 3]);
  const before = await project(place, { reached: (lines) => lines.length === 3 });
  const after = await project(place, { anew: true, reached: (lines) => lines.length === 3 });
  assert.deepEqual(after, before);
});

test("a database that is down is waited for, and nothing is lost", async (context) => {
  const place = await openPlace(context);
  // A file where the folder should be: nothing can be opened there.
  const inTheWay = join(place.folder, "database");
  writeFileSync(inTheWay, "");
  const lines = await project(place, {
    meanwhile: async (projector) => {
      while (projector.isUp) await clock.sleep(20);
      await publish(place.archive, 1, [1]);
      rmSync(inTheWay);
    },
    reached: ({ length }) => length === 1,
  });
  assert.equal(lines.length, 1);
});

async function publish(archive: RecordArchive, epoch: number, ids: readonly number[]) {
  const lines = [...ids.map((id) => recordLine(recordOf(epoch, id))), '{"kind":"settlement"}'];
  await archive.publish(epoch, ReadableStream.from<string>(lines));
}

function recordOf(epoch: number, id: number): SessionRecord {
  const hex = (digit: string, bytes: number) => `0x${digit.repeat(bytes * 2)}` as const;
  return {
    sessionId: `0x${String(id).padStart(64, "0")}`,
    epoch,
    model: "lake/tiny:latest",
    manifestDigest: hex("b", 32),
    provider: hex("c", 20),
    builder: null,
    payees: [{ account: hex("c", 20), kind: 0, weiPerSecond: "1000" }],
    router: hex("d", 20),
    user: hex("e", 32),
    openedAt: 1_800_000_000_000 - (1_800_000_000_000 % 60_000),
    seconds: 10,
    tokens: 100,
    requestsAnswered: 1,
    requestsFailed: 0,
    ttftMs: 10,
    milliTps: 10_000,
    offeredMilliTps: 10_000,
    weiPerSecond: "1000",
    builderWeiPerSecond: "0",
    fundedBy: "allowance",
    endedBy: "user",
    endReason: "finished",
    hardwareClass: "cpu-x64-2",
    challengesAsked: 0,
    challengesPassed: 0,
    signatures: { user: null, provider: null, tickSeconds: 0, activeMs: 0 },
  };
}
