import { Command, CommanderError } from "commander";
import { reportFailure } from "@lake-travis/platform";
import { registryCommands } from "@lake-travis/registry/cli";
import { createLakeContext, withLakeOptions } from "./cli/lake-context.ts";
import { createUpCommand } from "./cli/up-command.ts";

const lake = withLakeOptions(new Command("lake"))
  .description("Buy AI inference by the second from computers you neither own nor trust.")
  .showHelpAfterError("(lake --help shows what there is)");
const context = createLakeContext(lake);

lake.addCommand(createUpCommand(lake));
for (const command of registryCommands(context)) lake.addCommand(command);

try {
  await lake.parseAsync();
  context.close();
} catch (error) {
  if (!(error instanceof CommanderError)) reportFailure(error);
  process.exitCode = 1;
}
