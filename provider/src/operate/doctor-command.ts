import { Command, Option } from "commander";
import { examine, type Finding } from "./doctor.ts";
import { readConfig } from "./provider-config.ts";

interface DoctorOptions {
  readonly config: string;
  readonly json: boolean;
}

/** `lake provider doctor`: exit code 0 where every line is ok, 1 where one is red. */
export function createDoctorCommand(): Command {
  return new Command("doctor")
    .description("look at everything a Provider needs and say what to do about what is red")
    .addOption(new Option("--config <file>", "the configuration").default("provider.yaml"))
    .option("--json", "print JSON for scripts", false)
    .addHelpText("after", "\nExample:\n  lake provider doctor")
    .action(async (options: DoctorOptions) => {
      const findings = await examine(readConfig(options.config));
      const lines = options.json ? [JSON.stringify(findings)] : findings.map(lineOf);
      process.stdout.write(`${lines.join("\n")}\n`);
      process.exitCode = findings.every(({ isOk }) => isOk) ? 0 : 1;
    });
}

function lineOf({ advice, isOk, name, says }: Finding): string {
  return isOk ? `ok   ${name}: ${says}` : `RED  ${name}: ${says}${advice && ` ${advice}`}`;
}
