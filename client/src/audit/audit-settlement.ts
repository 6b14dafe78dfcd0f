/*
 * Computes a settlement again from its public file and what earlier ones left, and says where the
 * two first differ. It takes nobody's word: verdicts, credits and sums come from the Records, and
 * the roots from them.
 *
 * What a stranger cannot see stays unchecked here and is checked by whom it concerns: which deposit
 * paid (debit leaves are salted; each owner checks its own), and the price that a Ticket fixed
 * (both parties hold the Ticket that a sessionId is the hash of).
 */
import {
  type Address,
  type Baseline,
  baselineHash,
  buildMerkleTree,
  creditTreeOf,
  digestOf,
  epochReportPage,
  type Funding,
  genesisBaseline,
  type Hex,
  judgeEpoch,
  leaderboardOf,
  type Payee,
  pricePerSecond,
  RollupBuilder,
  type SessionRecord,
  type Settlement,
  type Signatures,
  splitCharge,
  tickType,
  type Totals,
  type Verdict,
} from "@lake-travis/protocol";
import { type PublicRecords, verdictText } from "./public-file.ts";

/** What one settlement leaves to the next. */
export interface AuditState {
  readonly credits: ReadonlyMap<Address, bigint>;
  readonly totals: Totals;
  readonly baseline: Baseline;
  /** Sessions that are held for their verdicts, with what they would pay. */
  readonly held: ReadonlyMap<string, HeldRecord>;
}

interface HeldRecord {
  readonly record: SessionRecord;
  readonly funding: Funding;
  readonly verdict: Verdict;
}

/** The first thing that does not agree, with both figures. */
export interface Difference {
  readonly what: string;
  readonly published: string;
  readonly computed: string;
  readonly sessionId?: string;
}

/** What an audit of one settlement found. */
export interface AuditedSettlement {
  readonly difference: Difference | undefined;
  readonly records: number;
  readonly signaturesChecked: number;
  readonly failed: number;
  /** The report that follows from the file, by epoch; empty where the file names none. */
  readonly pages: ReadonlyMap<number, string>;
  readonly next: AuditState;
}

/** Who signs for a Provider; undefined where nobody of that name is registered. */
export type SigningKeys = ReadonlyMap<Address, Address | undefined>;

const noTotals: Totals = {
  allowanceCredits: 0n,
  modelEmission: 0n,
  agentEmission: 0n,
  paidCredits: 0n,
  debits: 0n,
  deposits: 0,
};

/** Before the first settlement. */
export const emptyAudit: AuditState = {
  credits: new Map(),
  totals: noTotals,
  baseline: genesisBaseline,
  held: new Map(),
};

/** Audits one settlement; see the head of this file. */
export function auditSettlement(options: {
  readonly settlement: Settlement;
  readonly file: PublicRecords;
  readonly before: AuditState;
  readonly signatures: Signatures;
  readonly separator: Uint8Array;
  readonly signingKeys: SigningKeys;
  /** Which Records' signatures are checked. */
  readonly checksSignatures: (record: SessionRecord) => boolean;
}): AuditedSettlement {
  const { settlement, file, before } = options;
  const sums = new Sums(before);
  const found: Difference[] = [];
  const root = buildMerkleTree(file.leaves).root;
  compare(found, "root of the Records", settlement.recordRoot, root);
  const checked = checkSignatures(options, found);
  const judged = judgeAll(file, before, sums, found);
  compareMoney(found, settlement, file, sums);
  compare(found, "hash of the baseline", settlement.baselineHash, baselineHash(judged.baseline));
  return {
    difference: found[0],
    records: file.records.length,
    signaturesChecked: checked,
    failed: judged.failed,
    pages: judged.pages,
    next: { ...sums.state(), baseline: judged.baseline, held: judged.held },
  };
}

function checkSignatures(
  options: Parameters<typeof auditSettlement>[0],
  found: Difference[],
): number {
  let checked = 0;
  for (const record of options.file.records) {
    if (!options.checksSignatures(record)) continue;
    checked += 1;
    const fault = signatureFault(record, options);
    if (fault === undefined) continue;
    found.push({
      what: "signatures of a Session",
      published: fault,
      computed: "signed by User and Provider for at least what was charged",
      sessionId: record.sessionId,
    });
    break;
  }
  return checked;
}

function signatureFault(
  record: SessionRecord,
  options: Parameters<typeof auditSettlement>[0],
): string | undefined {
  const { user, provider, tickSeconds = 0, activeMs = 0 } = record.signatures;
  if (user === null || provider === null) {
    return record.seconds > 0 ? "charged without two signatures" : undefined;
  }
  if (record.seconds > tickSeconds) return `charged ${record.seconds} s, signed ${tickSeconds} s`;
  const { sessionId, requestsAnswered, requestsFailed, tokens, ttftMs } = record;
  const counts = { requestsAnswered, requestsFailed, tokens, ttftMs, activeMs };
  const tick = { sessionId, seconds: tickSeconds, ...counts };
  const digest = digestOf(options.separator, tickType, tick);
  if (options.signatures.recover(digest, user) === undefined) return "the User's is no signature";
  const signer = options.signatures.recover(digest, provider);
  const key = options.signingKeys.get(record.provider);
  return signer !== undefined && signer === key ? undefined : "not countersigned by the Provider";
}

interface JudgedAll {
  readonly baseline: Baseline;
  readonly held: ReadonlyMap<string, HeldRecord>;
  readonly failed: number;
  readonly pages: ReadonlyMap<number, string>;
}

/** Gives verdicts epoch by epoch and credits what they let pass. */
function judgeAll(
  file: PublicRecords,
  before: AuditState,
  sums: Sums,
  found: Difference[],
): JudgedAll {
  const held = new Map(before.held);
  const again = new Map<string, Verdict>();
  let { baseline } = before;
  let failed = 0;
  const pages = new Map<number, string>();
  for (const epoch of file.epochs) {
    const records = file.records.filter((record) => record.epoch === epoch);
    const rollup = new RollupBuilder(epoch);
    const due = [...held.values()].filter(
      ({ record, verdict }) => record.epoch < epoch && verdict.verdict === "review",
    );
    if (records.length === 0 && held.size === 0) {
      addPage(pages, file, epoch, rollup);
      continue;
    }
    const result = judgeEpoch({
      ...{ epoch, records, baseline },
      held: due.map(({ record }) => record),
    });
    baseline = result.baseline;
    for (const verdict of result.heldVerdicts) again.set(verdict.sessionId, verdict);
    result.verdicts.forEach((verdict, index) => {
      const record = records[index] as SessionRecord;
      const funding = fundingOf(record, file, found);
      rollup.add(record, verdict);
      if (verdict.verdict === "fail") failed += 1;
      compareVerdict(found, file, verdict);
      const credited = verdict.verdict === "pass" || verdict.fault === "user";
      if (credited && verdict.verdict !== "review") sums.credit(record, funding);
      else held.set(record.sessionId, { record, funding, verdict });
    });
    addPage(pages, file, epoch, rollup);
  }
  settleHeld(file, held, again, sums, found);
  return { baseline, held, failed, pages };
}

/** Notes the report of an epoch where the Router published one. */
function addPage(
  pages: Map<number, string>,
  file: PublicRecords,
  epoch: number,
  rollup: RollupBuilder,
): void {
  if (file.reports.size === 0) return;
  for (const demand of file.demand) if (demand.epoch === epoch) rollup.addDemand(demand);
  pages.set(epoch, epochReportPage(leaderboardOf([rollup.close()])));
}

/** What the Router published of a verdict, where it published any. */
function compareVerdict(found: Difference[], file: PublicRecords, verdict: Verdict): void {
  if (file.verdicts.size === 0) return;
  const { sessionId } = verdict;
  const passed = verdict.verdict === "pass";
  const published = file.verdicts.get(sessionId) ?? "pass";
  const computed = passed ? "pass" : verdictText(verdict);
  if (published !== computed) {
    found.push({ what: "verdict on a Session", published, computed, sessionId });
  }
}

function settleHeld(
  file: PublicRecords,
  held: Map<string, HeldRecord>,
  again: ReadonlyMap<string, Verdict>,
  sums: Sums,
  found: Difference[],
): void {
  for (const { sessionId, outcome, byEvidence } of file.outcomes) {
    const each = held.get(sessionId);
    if (each === undefined) {
      const computed = "no Session that was held";
      found.push({ what: "outcome of a Session", published: outcome, computed, sessionId });
      continue;
    }
    held.delete(sessionId);
    const failed = each.verdict.verdict === "fail" || again.get(sessionId)?.verdict === "fail";
    if (outcome === "cleared") sums.credit(each.record, each.funding);
    // Cleared against its verdict only by the other party's hand; upheld only where it failed.
    if (outcome === "cleared" ? !failed || byEvidence : failed) continue;
    const computed = failed ? "upheld" : "cleared";
    found.push({ what: "outcome of a Session", published: outcome, computed, sessionId });
  }
}

function fundingOf(record: SessionRecord, file: PublicRecords, found: Difference[]): Funding {
  const charge = pricePerSecond(payeesOf(record)) * BigInt(record.seconds);
  const line = file.fundings.get(record.sessionId);
  if (line === undefined) {
    const isDeposit = record.fundedBy === "deposit";
    return { fromAllowance: isDeposit ? 0n : charge, fromDeposit: isDeposit ? charge : 0n };
  }
  const { allowance, deposit } = line;
  if (allowance + deposit > charge) {
    const [published, computed] = [`${allowance + deposit}`, `${charge}`];
    found.push({ what: "charge of a Session", published, computed, sessionId: record.sessionId });
  }
  return { fromAllowance: allowance, fromDeposit: deposit };
}

function compareMoney(
  found: Difference[],
  settlement: Settlement,
  file: PublicRecords,
  sums: Sums,
): void {
  const { credits, totals } = sums;
  const accounts = new Set([...credits.keys(), ...file.credits.keys()]);
  for (const account of [...accounts].sort()) {
    const published = file.credits.get(account) ?? 0n;
    compare(found, `credit of ${account}`, `${published}`, `${credits.get(account) ?? 0n}`);
  }
  compare(found, "root of the credits", settlement.creditRoot, creditTreeOf(credits).tree.root);
  for (const name of moneyTotals) {
    compare(found, `total of ${name}`, `${settlement.totals[name]}`, `${totals[name]}`);
  }
  if (settlement.totals.paidCredits > settlement.totals.debits) {
    const { paidCredits, debits } = settlement.totals;
    found.push({
      what: "paid credits above debits",
      published: `${paidCredits}`,
      computed: `${debits}`,
    });
  }
}

const moneyTotals = [
  "allowanceCredits",
  "modelEmission",
  "agentEmission",
  "paidCredits",
  "debits",
] as const;

function compare(found: Difference[], what: string, published: string, computed: string): void {
  if (published !== computed) found.push({ what, published, computed });
}

function payeesOf(record: SessionRecord): Payee[] {
  return record.payees.map((payee) => ({ ...payee, weiPerSecond: BigInt(payee.weiPerSecond) }));
}

/** Money as it grows from Session to Session. */
class Sums {
  readonly credits: Map<Address, bigint>;
  totals: Record<(typeof moneyTotals)[number], bigint>;
  readonly #deposits: number;

  constructor(before: AuditState) {
    this.credits = new Map(before.credits);
    const { deposits, ...money } = before.totals;
    this.totals = { ...money };
    this.#deposits = deposits;
  }

  credit(record: SessionRecord, funding: Funding): void {
    const split = splitCharge({ funding, payees: payeesOf(record), router: record.router });
    for (const { account, wei } of split.credits) {
      const sum = (this.credits.get(account) ?? 0n) + wei;
      if (sum > 0n) this.credits.set(account, sum);
    }
    this.totals.allowanceCredits += split.allowanceCredits;
    this.totals.modelEmission += split.modelEmission;
    this.totals.agentEmission += split.agentEmission;
    this.totals.paidCredits += split.paidCredits;
    this.totals.debits += split.debit;
  }

  state(): Pick<AuditState, "credits" | "totals"> {
    return { credits: this.credits, totals: { ...this.totals, deposits: this.#deposits } };
  }
}

/** A Session's place in its settlement: what either party shows to prove it is there. */
export function inclusionProof(
  file: PublicRecords,
  sessionId: Hex,
):
  | { readonly record: SessionRecord; readonly proof: readonly Hex[]; readonly root: Hex }
  | undefined {
  const index = file.records.findIndex((record) => record.sessionId === sessionId);
  const record = file.records[index];
  if (record === undefined) return undefined;
  const tree = buildMerkleTree(file.leaves);
  return { record, proof: tree.proofOf(index), root: tree.root };
}
