import { Command, InvalidArgumentError, Option } from "commander";
import { formatMor, formatMorShort } from "@lake-travis/protocol";
import { utcDay } from "../ledger/spend-ledger.ts";
import {
  type SpendGroup,
  spendGroups,
  type SpendReport,
  spendReport,
} from "../ledger/spend-report.ts";
import { formatTable } from "./format-table.ts";
import type { LakeContext } from "./lake-context.ts";
import { openLedger } from "./open-ledger.ts";

interface SpendOptions {
  readonly by: SpendGroup;
  readonly from?: string;
  readonly to?: string;
}

/** `lake spend`: what was spent, sorted. */
export function createSpendCommand(context: LakeContext): Command {
  return new Command("spend")
    .description("what was spent, by day, model, key or Provider")
    .addOption(new Option("--by <what>", "how to sort it").choices(spendGroups).default("day"))
    .addOption(new Option("--from <day>", "first UTC day, such as 2026-01-31").argParser(dayIn))
    .addOption(new Option("--to <day>", "last UTC day").argParser(dayIn))
    .addHelpText("after", examples)
    .action((options: SpendOptions) => spend(context, options));
}

const examples = `
Examples:
  lake spend
  lake spend --by model --from 2026-01-01
  lake --json spend --by key

Charges are the Router's, to the wei. Sessions whose charge is not known yet count with all that
was signed for them, which is never less. A charge is final once the
epoch's verdicts are known.`;

async function spend(context: LakeContext, { by, from, to }: SpendOptions): Promise<void> {
  const store = await openLedger(context);
  try {
    const used = store
      .sessionsBetween(from ?? "0000", to ?? "9999")
      .map((session) => ({ session, uses: store.usesOf(session.sessionId) }));
    const report = spendReport(used, by);
    const today = store.secondsOfDay(utcDay(Date.now()));
    const spent = today.reduce((sum, each) => sum + BigInt(each.seconds) * each.weiPerSecond, 0n);
    const { dailyLimit } = context.place().config;
    const limit = dailyLimit === undefined ? "" : ` of ${formatMorShort(dailyLimit)}`;
    context.terminal.result(
      {
        ...toJson(report),
        by,
        todayWei: spent.toString(),
        limitWei: dailyLimit?.toString() ?? null,
      },
      `${toText(report, by)}\nToday ${formatMorShort(spent)}${limit} MOR.`,
    );
  } finally {
    store.close();
  }
}

function toJson(report: SpendReport): Record<string, unknown> {
  const { lines, wei, ...figures } = report;
  return {
    ...figures,
    wei: wei.toString(),
    mor: formatMor(wei),
    lines: lines.map((line) => ({ ...line, wei: line.wei.toString(), mor: formatMor(line.wei) })),
  };
}

function toText(report: SpendReport, by: SpendGroup): string {
  const { lines, sessions, unsettled, idlePercent, wei } = report;
  if (sessions === 0) return "Nothing was spent.";
  const header = [by, "MOR", "sessions", "requests", "tokens"];
  const rows = lines.map((line) => [
    line.name,
    formatMor(line.wei),
    String(line.sessions),
    String(line.requests),
    String(line.tokens),
  ]);
  const waiting = unsettled === 0 ? "" : `, ${unsettled} not final yet`;
  const sum = `${formatMor(wei)} MOR in ${sessions} Sessions${waiting}; idle ${idlePercent}%.`;
  return `${formatTable(header, rows, header.slice(1))}\n${sum}`;
}

function dayIn(text: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text))) return text;
  throw new InvalidArgumentError("It must be a day such as 2026-01-31.");
}
