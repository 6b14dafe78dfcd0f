import { Command } from "commander";
import {
  formatMorShort,
  type Leaderboard,
  LakeError,
  type ModelEarnings,
  modelEarnings,
  routerPaths,
} from "@lake-travis/protocol";
import { createHttpClient } from "@lake-travis/platform";
import { formatTable } from "./format-table.ts";
import type { LakeContext } from "./lake-context.ts";

const examples = `
Examples:
  lake models top
  lake models top --router http://127.0.0.1:8080 --limit 5`;

/** `lake models top`: what each model would earn one more Provider, by the public record. */
export function modelsTopCommand(context: LakeContext): Command {
  return new Command("top")
    .description("what each model would earn one more Provider, best first")
    .option("--router <url>", "the Router to ask (the deployment's first)")
    .option("--limit <n>", "how many models at most", Number, 20)
    .option("--json", "print JSON for scripts")
    .addHelpText("after", examples)
    .action((flags: TopFlags) => top(context, flags));
}

interface TopFlags {
  readonly router?: string;
  readonly limit: number;
  readonly json?: boolean;
}

async function top(context: LakeContext, flags: TopFlags): Promise<void> {
  if (!Number.isSafeInteger(flags.limit) || flags.limit < 1) {
    throw new LakeError("argument-invalid", "--limit is a whole number from 1.");
  }
  const routerUrl = flags.router ?? context.place().routerUrl();
  const board = await askLeaderboard(routerUrl);
  const earnings = earningsIn(board, routerUrl).slice(0, flags.limit);
  const { fromEpoch, toEpoch } = board;
  if (context.json || flags.json === true) {
    process.stdout.write(`${JSON.stringify({ fromEpoch, toEpoch, models: earnings })}\n`);
    return;
  }
  const header = ["model", "MOR an epoch", "of all", "MOR/h", "Providers", "asked in vain"];
  const rows = earnings.map((each) => [
    each.model,
    formatMorShort(BigInt(each.expectedWei)),
    formatMorShort(BigInt(each.weiPerEpoch)),
    formatMorShort(BigInt(Math.round(each.weiPerSecond)) * 3600n),
    String(each.providers),
    String(each.unserved),
  ]);
  const span = `epochs ${fromEpoch} to ${toEpoch}`;
  const about = `"MOR an epoch" is for one Provider more, at an equal share of ${span}.`;
  const none = `No model was used by enough Users in ${span} to be shown.`;
  const text = rows.length === 0 ? none : `${formatTable(header, rows, header.slice(1))}\n${about}`;
  context.terminal.result({}, text);
}

/** The Router's leaderboard of the newest epochs. Throws `router-unreachable` or its error. */
async function askLeaderboard(routerUrl: string): Promise<Leaderboard> {
  const http = createHttpClient({ unreachable: "router-unreachable" });
  try {
    const url = routerUrl.replace(/\/+$/, "") + routerPaths.leaderboard;
    return (await http.json("GET", url)) as Leaderboard;
  } finally {
    await http.close();
  }
}

function earningsIn(board: Leaderboard, routerUrl: string): readonly ModelEarnings[] {
  try {
    return modelEarnings(board);
  } catch (cause) {
    // Whatever is not a leaderboard fails at the first figure that is none.
    const what = `${routerUrl} does not answer with a leaderboard.`;
    throw new LakeError("router-unreachable", what, { cause });
  }
}
