import { Command } from "commander";
import { configSchema } from "./config-schema.ts";
import { createClaimCommand } from "./claim-command.ts";
import { createDoctorCommand } from "./doctor-command.ts";
import { createInitCommand } from "./init-command.ts";
import { createPricesCommand } from "./prices-command.ts";
import { createStatusCommand } from "./status-command.ts";
import { createUpCommand } from "./up-command.ts";

/** `lake provider` with everything that it can do. */
export function createProviderProgram(): Command {
  const program = new Command("lake provider")
    .description("Serve models to strangers and be paid by the second.")
    .showHelpAfterError("(lake provider --help shows what there is)")
    .helpCommand(true);
  program.addCommand(createInitCommand());
  program.addCommand(createUpCommand());
  program.addCommand(createStatusCommand());
  program.addCommand(createClaimCommand());
  program.addCommand(createPricesCommand());
  program.addCommand(createDoctorCommand());
  program.addCommand(createSchemaCommand());
  return program;
}

/** `lake provider schema`: what an editor needs to help with provider.yaml. */
function createSchemaCommand(): Command {
  return new Command("schema")
    .description("print the JSON schema of provider.yaml, for editors")
    .action(() => void process.stdout.write(`${JSON.stringify(configSchema(), null, 2)}\n`));
}
