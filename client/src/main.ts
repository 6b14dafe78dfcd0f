import { Command } from "commander";
import { reportFailure } from "@lake-travis/platform";
import { createUpCommand } from "./cli/up-command.ts";

const lake = new Command("lake")
  .description("Buy AI inference by the second from computers you neither own nor trust.")
  .addCommand(createUpCommand());

try {
  await lake.parseAsync();
} catch (error) {
  reportFailure(error);
  process.exitCode = 1;
}
