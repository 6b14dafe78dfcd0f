import assert from "node:assert/strict";
import { appendFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  buildMerkleTree,
  compareRecords,
  type Hex,
  recordLeaf,
  type SessionRecord,
} from "@lake-travis/protocol";
import { IpfsNode } from "@lake-travis/registry";
import { ledgerOf } from "./core/settling.ts";
import { createState, type EndedRecord } from "./core/state.ts";
import { endedInOrder, PublicFile } from "./public-file.ts";
import { openRecordArchive, type RecordArchive } from "./record-archive.ts";
import { bytes32Of, CoreWorld } from "./test-support/core-world.ts";

describe("the archive of Records", () => {
  let folder = "";
  let ipfs: IpfsNode;
  let archive: RecordArchive;
  let ended: readonly EndedRecord[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "record-archive-"));
    ipfs = new IpfsNode({ dataDir: folder });
    await ipfs.start();
    archive = await openRecordArchive(join(folder, "records"), ipfs);
    const world = new CoreWorld({ budget: 8_000n });
    const owner = world.user(0);
    world.mine({ type: "deposit-changed", number: 0n, owner, balance: 10n ** 6n });
    for (let index = 0; index < 6; index += 1) world.serve(0, 2);
    ended = world.state.ledgers.get(0)?.records ?? [];
    assert.equal(ended.length, 6);
  });

  after(async () => {
    await ipfs.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it("keeps what was spilled, to the wei, and overwrites what a crash left behind it", async () => {
    const first = await archive.spill(3, 0, ended.slice(0, 2));
    await appendFile(join(folder, "records", "spill-3.jsonl"), '{"torn":');
    const second = await archive.spill(3, first, ended.slice(2, 4));
    const read: EndedRecord[] = [];
    for await (const { ended: each } of archive.spilled(3, second)) read.push(each);
    assert.deepEqual(read, ended.slice(0, 4));
  });

  it("gives all Records of an epoch in the order of the file, wherever they lie", async () => {
    const state = createState();
    const ledger = ledgerOf(state, 5);
    const bytes = await archive.spill(5, 0, ended.slice(0, 4));
    ledger.spilled = { count: 4, bytes };
    ledger.records = ended.slice(4);
    const read: EndedRecord[] = [];
    for await (const each of endedInOrder(archive, 5, ledger)) read.push(each);
    const sorted = [...ended].sort((a, b) => compareRecords(a.record, b.record));
    assert.deepEqual(read, sorted);
    await archive.forget(4);
    assert.ok((await readdir(join(folder, "records"))).includes("spill-5.jsonl"));
    await archive.forget(5);
    const left = await readdir(join(folder, "records"));
    assert.ok(!left.some((name) => name.startsWith("spill-")), left.join());
  });

  it("publishes Records first and everything that an audit needs behind them", async () => {
    const state = createState();
    const ledger = ledgerOf(state, 5);
    ledger.records = [...ended];
    const fault = { verdict: "review", fault: "provider", score: 1_300 } as const;
    ledger.verdicts.push({ sessionId: bytes32Of(2), ...fault, reasons: ["padded-time"] });
    ledger.outcomes.push({
      sessionId: bytes32Of(1),
      epoch: 4,
      outcome: "upheld",
      byEvidence: false,
    });
    const account: Hex = `0x${"c".repeat(40)}`;
    const { totals } = state.settled;
    const balances = {
      credits: new Map([[account, 5n]]),
      debits: new Map<number, bigint>(),
      totals,
    };
    const parts = { state, archive, ledgers: [[5, ledger] as const], balances, epoch: 5 };
    const facts = { previous: bytes32Of(0), rules: bytes32Of(1), baseline: '{"epoch":5}' };
    const file = new PublicFile({ ...parts, ...facts });
    const filed = await archive.publish(5, file.lines());
    const answer = await fetch(`${ipfs.gatewayUrl}/ipfs/${filed?.cid ?? ""}?format=raw`);
    const lines = (await answer.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as SessionRecord & { readonly kind?: string });
    const records = lines.filter(({ kind }) => kind === undefined);
    assert.deepEqual(lines.slice(0, 6), records);
    assert.equal(file.records.count, 6);
    assert.equal(file.records.root, buildMerkleTree(records.map(recordLeaf)).root);
    const kinds = lines.slice(6).map(({ kind }) => kind);
    assert.deepEqual(kinds, [
      "funding",
      "verdict",
      "outcome",
      "report",
      "credit",
      "baseline",
      "settlement",
    ]);
    const text = JSON.stringify(lines);
    for (const { money } of ended) {
      assert.ok(!text.includes(money.user.slice(2)), "a User's address is public");
    }
  });
});
