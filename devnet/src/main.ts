import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { LakeError } from "@lake-travis/protocol";
import { openDataFolder, reportFailure } from "@lake-travis/platform";
import { loadActors } from "./actors.ts";
import { LocalNetwork } from "./local-network.ts";
import { localTerms } from "./local-terms.ts";
import { createStepPrinter, type StepPrinter } from "./step-printer.ts";
import { runWorkflow, type RunningNetwork } from "./workflow.ts";

interface StartOptions {
  readonly dataDir: string;
  readonly port: number;
  readonly exit: boolean;
  readonly json: boolean;
}

const command = new Command("npm start --")
  .description("Start the whole network on this machine and run the workflow once.")
  .option("--data-dir <folder>", "where all state lives", join(homedir(), ".lake-travis", "devnet"))
  .option("--port <port>", "port of the OpenAI endpoint; 0 for any free one", Number, 8787)
  .option("--exit", "end after the steps; exit code 0 only if each was verified", false)
  .option("--json", "print the steps as JSON lines", false)
  .action(start);

await command.parseAsync();

async function start(options: StartOptions): Promise<void> {
  const printer = createStepPrinter({
    json: options.json,
    write: (text) => process.stdout.write(text),
    now: () => performance.now(),
  });
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => stopping.abort());
  }
  try {
    await runNetwork({ ...options, dataDir: resolve(options.dataDir) }, printer, stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) {
      reportFailure(error);
      process.exitCode = 1;
    }
  }
  process.exit();
}

async function runNetwork(
  options: StartOptions,
  printer: StepPrinter,
  signal: AbortSignal,
): Promise<void> {
  const folder = await openDataFolder(options.dataDir);
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => undefined);
  const network = await LocalNetwork.open(folder.path, (child) => {
    const advice = `Its log is in ${join(folder.path, "logs")}.`;
    lost.reject(new LakeError("child-failed", `The ${child.name} process has ended.`, { advice }));
  });
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  try {
    const actors = loadActors(folder.path);
    const place = { network, actors, printer, port: options.port };
    const running = await Promise.race([runWorkflow(place), lost.promise, aborted]);
    if (running !== undefined && !options.exit) {
      printer.say(whatToTry(running, network));
      await Promise.race([lost.promise, aborted]);
      printer.say("Stopping the network.");
    }
  } finally {
    await network.stop();
    folder.close();
  }
}

function whatToTry(running: RunningNetwork, network: LocalNetwork): string {
  const model = localTerms.model.replace(/:latest$/, "");
  const body = `{"model":"${model}","stream":true,"messages":[{"role":"user","content":"What is a Ticket?"}]}`;
  return [
    "",
    "The network stays up until Ctrl-C.",
    `  OpenAI endpoint  ${running.endpoint}`,
    `  Router           ${running.routerUrl}`,
    `  Logs             ${network.logsFolder}`,
    "Try:",
    `  curl -N ${running.endpoint}/chat/completions -H 'content-type: application/json' -d '${body}'`,
    "",
  ].join("\n");
}
