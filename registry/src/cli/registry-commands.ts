import type { Command } from "commander";
import type { CommandContext } from "./command-context.ts";
import { importCommand } from "./import-command.ts";
import { modelsCommand } from "./models-command.ts";
import { publishCommand } from "./publish-command.ts";
import { pullCommand } from "./pull-command.ts";

export type { CommandContext } from "./command-context.ts";

/** The commands that `lake` gets from the registry: publish, pull, import, models. */
export function registryCommands(context: CommandContext): Command[] {
  return [
    publishCommand(context),
    pullCommand(context),
    importCommand(context),
    modelsCommand(context),
  ];
}
