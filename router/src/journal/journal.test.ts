import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { promisify } from "node:util";
import { LakeError } from "@lake-travis/protocol";
import { createLogger } from "@lake-travis/platform";
import { stateHash } from "../core/state-hash.ts";
import { DurableMachine } from "../durable-machine.ts";
import { addressOf, CoreWorld } from "../test-support/core-world.ts";
import { blockEvent, fullDiskOptions } from "../test-support/full-disk-process.ts";
import { Compaction } from "./compaction.ts";
import { decodeFrames, encodeFrame } from "./frame.ts";
import { Journal, listJournal, segmentName, snapshotName } from "./journal.ts";
import { encodeEvent, recover, writeSnapshot } from "./recover.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "journal-test-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const never = (): void => undefined;

/** A world's events in a journal, cut into segments of so many. */
async function write(world: CoreWorld, perSegment: number): Promise<void> {
  for (let at = 0, number = 1; at < world.events.length; at += perSegment, number += 1) {
    const journal = await Journal.open(folder, { number, entries: 0, bytes: 0 }, never);
    const events = world.events.slice(at, at + perSegment);
    await Promise.all(events.map((event) => journal.append(encodeEvent(event))));
    await journal.close();
  }
}

function busyWorld(): CoreWorld {
  const world = new CoreWorld({ users: 3, providers: 2 });
  for (let index = 0; index < 6; index += 1) {
    const session = world.open(index % 3);
    world.beat(session, { connected: true, tick: { seconds: 4 } });
    world.pass(3_000);
  }
  return world;
}

describe("a journal", () => {
  it("gives back every event, from segments and from snapshots alike", async () => {
    const world = busyWorld();
    await write(world, 7);
    const expected = stateHash(world.state);
    const recovered = await recover(folder);
    assert.equal(stateHash(recovered.state), expected);
    assert.equal(recovered.replayed, world.events.length);
    await writeSnapshot(folder, 4);
    const shorter = await recover(folder);
    assert.equal(stateHash(shorter.state), expected);
    assert.equal(shorter.replayed, world.events.length - 21);
  });

  it("makes its snapshots in a thread of their own, and keeps two", async () => {
    const world = busyWorld();
    await write(world, 7);
    const compaction = new Compaction(folder, createLogger({ name: "test", level: "silent" }));
    for (const sealed of [1, 2, 3]) compaction.begin(sealed);
    await compaction.finish();
    const { snapshots } = await listJournal(folder);
    assert.deepEqual(snapshots, [3, 4]);
    const recovered = await recover(folder);
    assert.equal(stateHash(recovered.state), stateHash(world.state));
    assert.equal(recovered.replayed, world.events.length - 21);
  });

  it("falls back to the events where a snapshot is damaged", async () => {
    const world = busyWorld();
    await write(world, 7);
    await writeSnapshot(folder, 3);
    await truncate(join(folder, snapshotName(3)), 100);
    const recovered = await recover(folder);
    assert.equal(stateHash(recovered.state), stateHash(world.state));
  });

  it("cuts away a torn last write wherever it is torn, and keeps it aside", async () => {
    const world = busyWorld();
    await write(world, 1_000);
    const path = join(folder, segmentName(1));
    const whole = await readFile(path);
    const { payloads } = decodeFrames(whole);
    const last = encodeFrame(payloads.at(-1) as Buffer).length;
    for (let cut = 1; cut <= last; cut += Math.ceil(last / 40)) {
      await truncate(path, whole.length - cut);
      const recovered = await recover(folder);
      assert.equal(recovered.replayed, payloads.length - 1, `cut by ${cut}`);
      assert.equal(recovered.bytes, whole.length - last);
      await truncate(path, 0);
      await appendFile(path, whole);
    }
    assert.ok((await readdir(folder)).some((name) => name.endsWith(".torn")));
  });

  it("cuts away bytes that no entry explains", async () => {
    const world = busyWorld();
    await write(world, 1_000);
    for (const junk of [Buffer.alloc(3), Buffer.alloc(4_096), Buffer.alloc(40, 255)]) {
      await appendFile(join(folder, segmentName(1)), junk);
      const recovered = await recover(folder);
      assert.equal(recovered.torn, junk.length);
      assert.equal(stateHash(recovered.state), stateHash(world.state));
    }
  });

  it("refuses a journal that is damaged in the middle, or has a hole", async () => {
    await write(busyWorld(), 7);
    const path = join(folder, segmentName(2));
    const bytes = await readFile(path);
    bytes[20] = (bytes[20] as number) ^ 255;
    await rm(path);
    await appendFile(path, bytes);
    await assert.rejects(recover(folder), { code: "journal-corrupt" });
    await rm(path);
    await assert.rejects(recover(folder), { code: "journal-corrupt" });
  });

  it("commits many appends with one flush, and all that were promised are there", async () => {
    const journal = await Journal.open(folder, { number: 1, entries: 0, bytes: 0 }, never);
    const payloads = Array.from({ length: 5_000 }, (_, index) => Buffer.from(`entry ${index}`));
    await Promise.all(payloads.map((payload) => journal.append(payload)));
    // Not closed: what an append promised must not need it.
    const bytes = await readFile(join(folder, segmentName(1)));
    assert.deepEqual(decodeFrames(bytes).payloads, payloads);
    await journal.close();
    await assert.rejects(journal.append(Buffer.from("late")), { code: "shutting-down" });
  });
});

describe("a machine on a full disk", () => {
  it("promises nothing and says why", async () => {
    // /dev/full answers every write as a full disk does.
    await mkdir(folder, { recursive: true });
    await symlink("/dev/full", join(folder, segmentName(1)));
    const place = { chainId: 1, computeContract: addressOf(3), deployBlock: 0, rpcUrl: "" };
    const contracts = {
      mor: addressOf(4),
      modelRegistry: addressOf(5),
      nodeRegistry: addressOf(6),
    };
    const schedule = { genesisMs: 0, lengthMs: 1_000 };
    const opening = DurableMachine.open({
      ...{ folder, router: addressOf(1), now: 1 },
      deployment: { ...place, ...contracts, schedule },
      logger: createLogger({ name: "test", level: "silent" }),
    });
    await assert.rejects(opening, (error) => {
      return error instanceof LakeError && error.code === "disk-full";
    });
  });

  it("keeps what it promised before the disk was full, and goes on with room", async () => {
    const path = new URL("../test-support/full-disk-process.ts", import.meta.url).pathname;
    // A file that may not grow refuses the rest of a write, as a full disk does.
    const script = 'trap "" XFSZ; ulimit -f 100; exec "$0" "$@"';
    const args = ["-c", script, process.execPath, path, folder];
    const { stdout } = await promisify(execFile)("sh", args);
    const said = JSON.parse(stdout) as { promised: number; codes: string[]; failed: string };
    assert.deepEqual(new Set([...said.codes, said.failed]), new Set(["disk-full"]));
    assert.ok(said.promised > 100, `${said.promised} promised`);
    const machine = await DurableMachine.open({ ...fullDiskOptions, folder });
    assert.ok(machine.state.balances.size >= said.promised, `${machine.state.balances.size}`);
    const next = machine.state.blockNumber + 1;
    await machine.submit(blockEvent(next) as never);
    await machine.close();
    const { state, torn } = await recover(folder);
    assert.equal(state.blockNumber, next);
    assert.equal(torn, 0);
  });
});
