import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Command } from "commander";
import { LakeError } from "@lake-travis/protocol";
import { openDataFolder, reportFailure } from "@lake-travis/platform";
import { loadActors } from "./actors.ts";
import { startEmissionKeeper } from "./emission-keeper.ts";
import { requireFreePort } from "./local-chain.ts";
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
  const logs = join(folder.path, "logs");
  const loss = Promise.withResolvers<never>();
  loss.promise.catch(() => undefined);
  const network = await LocalNetwork.open(folder.path, ({ name }) => {
    const advice = `Its log is ${join(logs, `${name}.log`)}.`;
    loss.reject(new LakeError("child-failed", `The ${name} process has ended.`, { advice }));
    printer.say(`The ${name} process has ended. ${advice}`);
  });
  const aborted = new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  try {
    await requireFreePort(options.port);
    const place = { network, actors: loadActors(folder.path), printer, port: options.port };
    const running = await Promise.race([runWorkflow(place), loss.promise, aborted]);
    if (running === undefined || options.exit) return;
    const figures = { ...running, logs };
    if (options.json) await printer.step("up", async () => ({ line: "up", figures }));
    else printer.say(whatToTry(running, logs));
    // A network may lose a node and go on; whoever tries that finds out how it behaves.
    const keeper = startEmissionKeeper(network, place.actors.deployer.key);
    await aborted;
    printer.say("Stopping the network.");
    await keeper.stop();
  } finally {
    await network.stop();
    folder.close();
  }
}

function whatToTry(running: RunningNetwork, logs: string): string {
  const model = localTerms.model.replace(/:latest$/, "");
  const messages = '[{"role":"user","content":"What is a tick?"}]';
  const body = `{"model":"${model}","stream":true,"messages":${messages}}`;
  return [
    "",
    "The network stays up until Ctrl-C.",
    `   OpenAI endpoint  ${running.endpoint}`,
    `   Router           ${running.routerUrl}`,
    `   Logs             ${logs}`,
    "   Try",
    `   curl -N ${running.endpoint}/chat/completions -H 'content-type: application/json' \\`,
    `     -d '${body}'`,
    `   npx lake chat ${model}`,
    "   npx lake spend --by model",
    "",
  ].join("\n");
}
