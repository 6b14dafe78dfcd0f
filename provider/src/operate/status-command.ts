import { join } from "node:path";
import { Command, Option } from "commander";
import { LakeError } from "@lake-travis/protocol";
import { askControl } from "./control-socket.ts";
import { readEarnings } from "./earnings-ledger.ts";
import { type ProviderConfig, readConfig } from "./provider-config.ts";
import { formatEarnings, formatStatus, statusFromJson } from "./status-report.ts";

interface StatusOptions {
  readonly config: string;
  readonly json: boolean;
  readonly watch?: boolean | string;
}

/** Home and clear: the page is drawn over the one before. */
const clearScreen = "\u001b[H\u001b[2J";
const watchSecondsDefault = 2;

/** `lake provider status`: exit code 0 where all is well, 1 where something is red. */
export function createStatusCommand(): Command {
  return new Command("status")
    .description("show Sessions, earnings, queue, speed and health, and what to do about red lines")
    .addOption(new Option("--config <file>", "the configuration").default("provider.yaml"))
    .option("--json", "print JSON for scripts", false)
    .option("--watch [seconds]", "show it again and again")
    .addHelpText("after", "\nExamples:\n  lake provider status\n  lake provider status --watch 5")
    .action(async (options: StatusOptions) => {
      const config = readConfig(options.config);
      if (options.watch === undefined) process.exitCode = (await show(config, options)) ? 0 : 1;
      else await watch(config, options);
    });
}

async function watch(config: ProviderConfig, options: StatusOptions): Promise<void> {
  const seconds = Number(options.watch === true ? watchSecondsDefault : options.watch);
  if (!(seconds >= 1 && seconds <= 3_600)) {
    throw new LakeError("argument-invalid", "--watch takes seconds from 1 to 3600.");
  }
  for (;;) {
    if (!options.json) process.stdout.write(clearScreen);
    await show(config, options);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  }
}

async function show(config: ProviderConfig, { json }: StatusOptions): Promise<boolean> {
  let page: unknown;
  try {
    page = await askControl(config.dataDir, "/status");
  } catch (error) {
    if (!(error instanceof LakeError)) throw error;
    await showStopped(config, error, json);
    return false;
  }
  const report = statusFromJson(page);
  process.stdout.write(json ? `${JSON.stringify(page)}\n` : `${formatStatus(report)}\n`);
  return report.problems.length === 0;
}

// What is on the disk can be told without a running process.
async function showStopped(config: ProviderConfig, error: LakeError, json: boolean): Promise<void> {
  const { advice = "", message } = error;
  const earnings = await readEarnings(join(config.dataDir, "earnings.jsonl"));
  const text = json
    ? JSON.stringify({
        running: false,
        earnings: earnings.map((row) => ({ ...row, wei: row.wei.toString() })),
        problems: [{ what: message, advice }],
      })
    : [...formatEarnings(earnings), "", `! ${message} ${advice}`].join("\n");
  process.stdout.write(`${text}\n`);
}
