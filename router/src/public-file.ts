/*
 * The public file of a settlement: the Records in their order, one a line, and behind them lines
 * with a `kind`, which hold whatever else an audit needs (docs/records.md). The Records alone are
 * in the Merkle root; the file as a whole is in the settlement's CID.
 */
import {
  buildMerkleTree,
  compareRecords,
  creditTreeOf,
  epochReportPage,
  type Hex,
  leaderboardOf,
  pricePerSecond,
  publicLine,
  recordLine,
  recordLineLeaf,
  RollupBuilder,
  type SessionRecord,
} from "@lake-travis/protocol";
import { payeesIn } from "./core/ledgers.ts";
import type { EndedRecord, Ledger, RouterState, SettledBalances } from "./core/state.ts";
import type { RecordArchive, SpilledPlace } from "./record-archive.ts";

/** What of a state goes into a public file. */
export interface PublicParts {
  readonly state: RouterState;
  readonly archive: RecordArchive;
  readonly ledgers: readonly (readonly [number, Ledger])[];
  readonly balances: SettledBalances;
  readonly epoch: number;
  readonly previous: Hex;
  readonly rules: Hex;
  /** The text of the newest epoch's baseline; undefined before the first. */
  readonly baseline: string | undefined;
}

/** Writes the lines and builds the root of the Records on the way. */
export class PublicFile {
  readonly #parts: PublicParts;
  readonly #leaves: Uint8Array[] = [];

  constructor(parts: PublicParts) {
    this.#parts = parts;
  }

  /** Once all lines were taken: the Records' root, and how many they are. */
  get records(): { readonly root: Hex; readonly count: number } {
    return { root: buildMerkleTree(this.#leaves).root, count: this.#leaves.length };
  }

  /** All lines in their order, without line ends. */
  async *lines(): AsyncGenerator<string> {
    const { archive, ledgers } = this.#parts;
    const behind: string[] = [];
    const reports: string[] = [];
    for (const [epoch, ledger] of ledgers) {
      const against = new Map(ledger.verdicts.map((verdict) => [verdict.sessionId, verdict]));
      const rollup = new RollupBuilder(epoch);
      for (const demand of ledger.demand) rollup.addDemand(demand);
      for await (const { record, money } of endedInOrder(archive, epoch, ledger)) {
        const line = recordLine(record);
        this.#leaves.push(recordLineLeaf(line));
        rollup.add(record, against.get(record.sessionId));
        if (!isFundingPlain({ record, money })) {
          const [allowance, deposit] = [money.fromAllowance, money.fromDeposit].map(String);
          behind.push(publicLine("funding", { sessionId: record.sessionId, allowance, deposit }));
        }
        yield line;
      }
      const page = epochReportPage(leaderboardOf([rollup.close()]));
      reports.push(publicLine("report", { epoch, cid: await archive.report(epoch, page) }));
    }
    yield* behind;
    for (const [, ledger] of ledgers) {
      for (const demand of ledger.demand) yield publicLine("demand", demand);
      for (const verdict of ledger.verdicts) yield publicLine("verdict", verdict);
      for (const outcome of ledger.outcomes) yield publicLine("outcome", outcome);
    }
    yield* reports;
    yield* this.#moneyLines();
  }

  *#moneyLines(): Generator<string> {
    const { balances, ledgers, state, epoch, previous, rules, baseline } = this.#parts;
    for (const { account, cumulative } of creditTreeOf(balances.credits).entries) {
      yield publicLine("credit", { account, cumulative: cumulative.toString() });
    }
    if (baseline !== undefined)
      yield publicLine("baseline", { baseline: JSON.parse(baseline) as object });
    const totals = Object.entries(balances.totals).map(([name, sum]) => [name, String(sum)]);
    const epochs = ledgers.map(([number]) => {
      const report = state.reports.get(number);
      return {
        epoch: number,
        budget: (report?.budget ?? 0n).toString(),
        baselineHash: report?.baselineHash ?? null,
        secret: report?.secret ?? null,
      };
    });
    const { router } = state;
    yield publicLine("settlement", {
      ...{ epoch, previous, rules, router, epochs },
      totals: Object.fromEntries(totals) as object,
    });
  }
}

/** The ended Sessions of an epoch in the order of the public file, wherever they lie. */
export async function* endedInOrder(
  archive: RecordArchive,
  epoch: number,
  ledger: Ledger,
): AsyncGenerator<EndedRecord> {
  const entries: Entry[] = ledger.records.map((ended) => entryOf(ended.record, ended));
  const { bytes } = ledger.spilled;
  for await (const { at, bytes: length, ended } of archive.spilled(epoch, bytes)) {
    entries.push(entryOf(ended.record, { at, bytes: length }));
  }
  entries.sort(compareRecords);
  const reader = bytes === 0 ? undefined : await archive.openSpill(epoch);
  try {
    for (const { from } of entries) {
      if ("record" in from) yield from;
      else if (reader !== undefined) yield await reader.read(from);
    }
  } finally {
    await reader?.close();
  }
}

/** Whether a Record alone says what was paid from where. */
function isFundingPlain(ended: EndedRecord): boolean {
  const { record, money } = ended;
  const charge = pricePerSecond(payeesIn(ended)) * BigInt(record.seconds);
  return record.fundedBy !== "both" && money.fromAllowance + money.fromDeposit === charge;
}

interface Entry extends Pick<SessionRecord, "epoch" | "openedAt" | "sessionId"> {
  readonly from: EndedRecord | SpilledPlace;
}

function entryOf(record: SessionRecord, from: Entry["from"]): Entry {
  const { epoch, openedAt, sessionId } = record;
  return { epoch, openedAt, sessionId, from };
}
