import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { LakeError } from "@lake-travis/protocol";
import { exitCodes } from "./exit-code.ts";

/** The Provider is a program of its own: the client's code has none of it. */
const programPath = fileURLToPath(
  new URL("../../../provider/src/provider-main.ts", import.meta.url),
);

/** `lake provider …`: hands over to the Provider's program, as git does with its commands. */
export function createProviderCommand(): Command {
  return new Command("provider")
    .description("serve models and earn MOR (lake provider --help)")
    .allowUnknownOption()
    .helpOption(false)
    .argument("[arguments...]")
    .passThroughOptions()
    .action((given: string[]) => handOver(given));
}

async function handOver(given: readonly string[]): Promise<void> {
  if (!existsSync(programPath)) {
    throw new LakeError("argument-invalid", "The Provider's program is not installed here.", {
      advice: "It comes with the repository: run lake from there.",
    });
  }
  const program = ["--disable-warning=ExperimentalWarning", programPath, ...given];
  const child = spawn(process.execPath, program, { stdio: "inherit" });
  // The terminal sends Ctrl-C to both; the Provider ends in order and we wait for it.
  const ignore = (): void => undefined;
  process.on("SIGINT", ignore);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      resolve(code ?? (signal === "SIGINT" ? exitCodes.interrupted : exitCodes.failed));
    });
  });
  process.off("SIGINT", ignore);
}
