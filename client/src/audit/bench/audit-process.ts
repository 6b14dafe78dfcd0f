/*
 * For the bench of the audit. `prepare RECORDS FOLDER` makes the public file and the settlement of
 * a Router for which a file of Records is an epoch; `audit FOLDER` audits it in a process of its
 * own and says on standard error what that took. One Record in ten carries real signatures, the
 * ones that are checked; what the others carry is as long and is read, but not recovered.
 */
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import {
  type Address,
  compareRecords,
  creditTreeOf,
  baselineHash,
  digestOf,
  type Hex,
  type JudgedRecord,
  publicLine,
  recordLine,
  recordRootOf,
  rulesOfSettlement,
  type SessionRecord,
  type Settlement,
  tickType,
  zeroBytes32,
} from "@lake-travis/protocol";
import { nativeSignatures, signerFromKey } from "@lake-travis/platform";
import { type AuditedSettlement, auditSettlement, emptyAudit } from "../audit-settlement.ts";
import { parsePublicFile, type PublicRecords } from "../public-file.ts";
import { readLines } from "../read-lines.ts";

const separator = new Uint8Array(32).fill(9);
const userKey = signerFromKey(`0x${"5".repeat(64)}`);
const providerKey = signerFromKey(`0x${"6".repeat(64)}`);
const unchecked: Hex = `0x${"7".repeat(130)}`;

async function prepare(path: string, folder: string): Promise<void> {
  const records: SessionRecord[] = [];
  readLines(path, (bytes, from, to) => {
    records.push(published(JSON.parse(Buffer.from(bytes.subarray(from, to)).toString("latin1"))));
  });
  records.sort(compareRecords);
  const epoch = records[0]?.epoch ?? 0;
  const file = fileOf(records, epoch);
  const { next } = auditOf({ ...emptySettlement, epoch }, file);
  const settlement: Settlement = {
    ...emptySettlement,
    epoch,
    creditRoot: creditTreeOf(next.credits).tree.root,
    recordRoot: recordRootOf(records),
    baselineHash: baselineHash(next.baseline),
    totals: next.totals,
  };
  const output = createWriteStream(join(folder, "public.jsonl"), "latin1");
  const write = async (line: string): Promise<void> => {
    if (!output.write(`${line}\n`)) await once(output, "drain");
  };
  for (const record of records) await write(recordLine(record));
  for (const [account, wei] of next.credits) {
    await write(publicLine("credit", { account, cumulative: wei.toString() }));
  }
  await write(publicLine("report", { epoch, cid: "computed-below" }));
  await write(publicLine("settlement", { epoch, epochs: [{ epoch }] }));
  output.end();
  await once(output, "finish");
  writeFileSync(join(folder, "settlement.json"), JSON.stringify(settlement, bigintsAsText));
}

function audit(folder: string): void {
  const settlement = JSON.parse(
    readFileSync(join(folder, "settlement.json"), "utf8"),
    textsAsBigint,
  ) as Settlement;
  const began = performance.now();
  const result = auditOf(settlement, parsePublicFile(readFileSync(join(folder, "public.jsonl"))));
  const seconds = (performance.now() - began) / 1000;
  if (result.difference !== undefined || result.pages.size !== 1) {
    throw new Error(`the audit does not agree: ${JSON.stringify(result.difference)}`);
  }
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  const { records, signaturesChecked } = result;
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6;
  const figures = { seconds, cpuSeconds, rssMb: maxRSS / 1024, records, signaturesChecked };
  process.stderr.write(`${JSON.stringify(figures)}\n`);
}

function auditOf(settlement: Settlement, file: PublicRecords): AuditedSettlement {
  return auditSettlement({
    ...{ settlement, file, before: emptyAudit, signatures: nativeSignatures, separator },
    signingKeys: everybody,
    checksSignatures: isChecked,
  });
}

/** All Providers of the bench sign with one key. */
const everybody = new (class extends Map<Address, Address> {
  override get(): Address {
    return providerKey.address;
  }
})();

function isChecked({ sessionId }: Pick<SessionRecord, "sessionId">): boolean {
  return Number.parseInt(sessionId.slice(2, 10), 16) % 10 === 0;
}

function published(value: unknown): SessionRecord {
  const record = value as JudgedRecord;
  const { sessionId, provider, builder, weiPerSecond, builderWeiPerSecond, seconds } = record;
  const { requestsAnswered, requestsFailed, tokens, ttftMs } = record;
  const payees = [{ account: provider, kind: 0, weiPerSecond }];
  if (builder !== null)
    payees.push({ account: builder, kind: 1, weiPerSecond: builderWeiPerSecond });
  const counts = { requestsAnswered, requestsFailed, tokens, ttftMs, activeMs: 40_000 };
  const fundedBy = record.fundedBy === "both" ? "allowance" : record.fundedBy;
  let [user, countersigned] = [unchecked, unchecked];
  if (isChecked(record)) {
    const digest = digestOf(separator, tickType, { sessionId, seconds, ...counts });
    [user, countersigned] = [userKey.sign(digest), providerKey.sign(digest)];
  }
  const signed = { user, provider: countersigned, tickSeconds: seconds, activeMs: 40_000 };
  return { ...record, fundedBy, payees, signatures: signed };
}

function fileOf(records: readonly SessionRecord[], epoch: number): PublicRecords {
  return {
    ...{ records, leaves: [], fundings: new Map(), outcomes: [], verdicts: new Map(), demand: [] },
    ...{ reports: new Map(), credits: new Map(), baseline: undefined, epochs: [epoch] },
  };
}

const emptySettlement: Settlement = {
  ...{
    epoch: 0,
    round: 0,
    previous: zeroBytes32,
    sealsHash: zeroBytes32,
    rules: rulesOfSettlement,
  },
  ...{ creditRoot: zeroBytes32, debitRoot: zeroBytes32, recordRoot: zeroBytes32 },
  ...{ recordCid: zeroBytes32, baselineHash: zeroBytes32, totals: emptyAudit.totals },
};

function bigintsAsText(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}

function textsAsBigint(_: string, value: unknown): unknown {
  return typeof value === "string" && /^[0-9]+n$/.test(value) ? BigInt(value.slice(0, -1)) : value;
}

const [verb = "", first = "", second = ""] = process.argv.slice(2);
if (verb === "prepare") await prepare(first, second);
else audit(first);
