import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Address,
  baselineHash,
  creditTreeOf,
  type DemandLine,
  digestOf,
  epochReportPage,
  genesisBaseline,
  judgeEpoch,
  leaderboardOf,
  publicLine,
  recordRootOf,
  RollupBuilder,
  rulesOfSettlement,
  type SessionRecord,
  type Settlement,
  splitCharge,
  tickType,
  zeroBytes32,
} from "@lake-travis/protocol";
import { nativeSignatures, signerFromKey } from "@lake-travis/platform";
import { anyRecord, linesOf } from "../test-support/any-record.ts";
import {
  type AuditedSettlement,
  auditSettlement,
  type Difference,
  emptyAudit,
  inclusionProof,
} from "./audit-settlement.ts";
import { parsePublicFile } from "./public-file.ts";

const userKey = signerFromKey(`0x${"5".repeat(64)}`);
const providerKey = signerFromKey(`0x${"6".repeat(64)}`);
const separator = new Uint8Array(32).fill(9);

function signed(record: SessionRecord, provider = providerKey): SessionRecord {
  const { sessionId, requestsAnswered, requestsFailed, tokens, ttftMs, signatures } = record;
  const { tickSeconds: seconds = 0, activeMs = 0 } = signatures;
  const counts = { requestsAnswered, requestsFailed, tokens, ttftMs, activeMs };
  const digest = digestOf(separator, tickType, { sessionId, seconds, ...counts });
  const [user, countersigned] = [userKey.sign(digest), provider.sign(digest)];
  return { ...record, signatures: { ...signatures, user, provider: countersigned } };
}

const records = [1, 2, 3].map((number) => signed(anyRecord(number)));

/** The settlement and the public file of a Router that takes these Records to be the epoch's. */
function settled(all: readonly SessionRecord[]): { settlement: Settlement; lines: string[] } {
  const { baseline } = judgeEpoch({ epoch: 7, records: all, baseline: genesisBaseline });
  const credits = new Map<Address, bigint>();
  const totals = { ...emptyAudit.totals };
  for (const record of all) {
    const payees = record.payees.map((each) => ({
      ...each,
      weiPerSecond: BigInt(each.weiPerSecond),
    }));
    const funding = { fromAllowance: 1000n * BigInt(record.seconds), fromDeposit: 0n };
    const split = splitCharge({ funding, payees, router: record.router });
    for (const { account, wei } of split.credits) {
      credits.set(account, (credits.get(account) ?? 0n) + wei);
    }
    Object.assign(totals, {
      allowanceCredits: totals.allowanceCredits + split.allowanceCredits,
      modelEmission: totals.modelEmission + split.modelEmission,
    });
  }
  const lines = linesOf(all).trimEnd().split("\n");
  for (const [account, wei] of credits) {
    lines.push(publicLine("credit", { account, cumulative: wei.toString() }));
  }
  lines.push(publicLine("baseline", { baseline }));
  lines.push(publicLine("settlement", { epoch: 7, epochs: [{ epoch: 7 }] }));
  const settlement = {
    ...{ epoch: 7, round: 0, previous: zeroBytes32, sealsHash: zeroBytes32, totals },
    creditRoot: creditTreeOf(credits).tree.root,
    ...{ debitRoot: zeroBytes32, recordRoot: recordRootOf(all), recordCid: zeroBytes32 },
    ...{ rules: rulesOfSettlement, baselineHash: baselineHash(baseline) },
  };
  return { settlement, lines };
}

function differenceOf(settlement: Settlement, lines: readonly string[]): Difference | undefined {
  return auditOf(settlement, lines).difference;
}

function pagesOf(settlement: Settlement, lines: readonly string[]): ReadonlyMap<number, string> {
  return auditOf(settlement, lines).pages;
}

function auditOf(settlement: Settlement, lines: readonly string[]): AuditedSettlement {
  return auditSettlement({
    settlement,
    file: parsePublicFile(Buffer.from(`${lines.join("\n")}\n`)),
    before: emptyAudit,
    signatures: nativeSignatures,
    separator,
    signingKeys: new Map([[anyRecord(1).provider, providerKey.address]]),
    checksSignatures: () => true,
  });
}

describe("an audit", () => {
  it("agrees with an honest Router", () => {
    const { settlement, lines } = settled(records);
    assert.equal(differenceOf(settlement, lines), undefined);
  });

  it("finds one wei too much, though all roots fit", () => {
    const { settlement, lines } = settled(records);
    const credits = new Map<Address, bigint>();
    const altered = lines.map((line) => {
      const value = JSON.parse(line) as { kind?: string; account: Address; cumulative: string };
      if (value.kind !== "credit") return line;
      const extra = credits.size === 0 ? 1n : 0n;
      const cumulative = BigInt(value.cumulative) + extra;
      credits.set(value.account, cumulative);
      return publicLine("credit", { account: value.account, cumulative: `${cumulative}` });
    });
    const creditRoot = creditTreeOf(credits).tree.root;
    const difference = differenceOf({ ...settlement, creditRoot }, altered);
    assert.match(difference?.what ?? "", /^credit of 0x/);
    assert.equal(BigInt(difference!.published) - BigInt(difference!.computed), 1n);
  });

  it("finds a charge above what was signed", () => {
    const greedy = { ...records[0]!, seconds: 103 };
    const { settlement, lines } = settled([greedy, ...records.slice(1)]);
    const difference = differenceOf(settlement, lines);
    assert.equal(difference?.sessionId, greedy.sessionId);
    assert.match(difference.published, /charged 103 s, signed 102 s/);
  });

  it("finds an invented Session: no two signatures are on it", () => {
    for (const invented of [anyRecord(4), signed(anyRecord(4), userKey)]) {
      const { settlement, lines } = settled([...records, invented]);
      const difference = differenceOf(settlement, lines);
      assert.equal(difference?.what, "signatures of a Session");
      assert.equal(difference.sessionId, invented.sessionId);
    }
  });

  it("finds a Session dropped from the file, and its parties find it missing", () => {
    const { settlement } = settled(records);
    const { settlement: other, lines } = settled(records.slice(1));
    assert.equal(differenceOf(settlement, lines)?.what, "root of the Records");
    // A Router that drops it from the settlement too is caught by who took part in it.
    assert.equal(differenceOf(other, lines), undefined);
    const file = parsePublicFile(Buffer.from(`${lines.join("\n")}\n`));
    assert.equal(inclusionProof(file, records[0]!.sessionId), undefined);
    assert.equal(inclusionProof(file, records[1]!.sessionId)?.root, other.recordRoot);
  });

  it("computes the epoch's report again where the Router published one", () => {
    const { settlement, lines } = settled(records);
    const demand: DemandLine = {
      ...{ kind: "demand", epoch: 7, model: "bob/coder", priceBucketWei: "1024" },
      ...{ asked: 5, unserved: 4, reasons: {} },
    };
    const behind = [publicLine("demand", demand), publicLine("report", { epoch: 7, cid: "bafk" })];
    const pages = pagesOf(settlement, [...lines, ...behind]);
    const rollup = new RollupBuilder(7);
    for (const record of records) rollup.add(record);
    rollup.addDemand(demand);
    assert.deepEqual([...pages], [[7, epochReportPage(leaderboardOf([rollup.close()]))]]);
    assert.match(pages.get(7) ?? "", /bob\/coder/);
    assert.equal(pagesOf(settlement, lines).size, 0);
    assert.throws(
      () => pagesOf(settlement, [...lines, '{"kind":"report","epoch":7}']),
      /no report/,
    );
    const absurd = publicLine("demand", { ...demand, asked: -1 });
    assert.throws(() => pagesOf(settlement, [...lines, absurd]), /no line of demand/);
  });

  it("names the line of a public file that is not right", () => {
    const { lines } = settled(records);
    const parse = (all: readonly string[]): unknown =>
      parsePublicFile(Buffer.from(`${all.join("\n")}\n`));
    assert.throws(() => parse([lines[1]!, lines[0]!]), /Line 2 .*out of order/);
    assert.throws(() => parse([lines[0]!, lines[0]!]), /Line 2 .*twice/);
    assert.throws(() => parse([lines.at(-1)!, lines[0]!]), /Line 2 .*behind/);
    assert.throws(() => parse([lines[0]!.slice(0, 100)]), /Line 1/);
    assert.throws(() => parsePublicFile(Buffer.from(lines[0]!)), /cut off/);
    assert.throws(() => parse([lines[0]!.replace('{"', '{ "')]), /Line 1 .*canonical/);
  });
});
