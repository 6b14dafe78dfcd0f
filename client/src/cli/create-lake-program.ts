import { Command } from "commander";
import { registryCommands } from "@lake-travis/registry/cli";
import { auditCommand, proveCommand } from "./audit-command.ts";
import { createBalanceCommand } from "./balance-command.ts";
import { createChatCommand } from "./chat-command.ts";
import { createCompletionCommand } from "./completion-command.ts";
import { createConfigCommand } from "./config-command.ts";
import { createDoctorCommand } from "./doctor-command.ts";
import { judgeCommand } from "./judge-command.ts";
import { createLakeContext, type LakeContext, withLakeOptions } from "./lake-context.ts";
import { modelsTopCommand } from "./models-top-command.ts";
import { createDepositCommand, createWithdrawCommand } from "./money-commands.ts";
import { withNetworkModels } from "./network-models.ts";
import { createProviderCommand } from "./provider-command.ts";
import { createRunCommand } from "./run-command.ts";
import { createSearchCommand } from "./search-command.ts";
import { createSessionsCommand } from "./sessions-command.ts";
import { createSpendCommand } from "./spend-command.ts";
import { createUpCommand } from "./up-command.ts";
import { createWalletCommand } from "./wallet-command.ts";

/** The whole `lake` command line, with what its commands work on. */
export function createLakeProgram(): { readonly lake: Command; readonly context: LakeContext } {
  const lake = withLakeOptions(new Command("lake"))
    .description("Buy AI inference by the second from computers you neither own nor trust.")
    .version("0.1.0")
    .enablePositionalOptions()
    .showHelpAfterError("(lake --help shows what there is)")
    .addHelpText("after", examples);
  const context = createLakeContext(lake);
  const commands = [
    createRunCommand(context),
    createChatCommand(context),
    createUpCommand(context, lake),
    ...registryCommands(context).map((command) =>
      command.name() === "models"
        ? withNetworkModels(command, context).addCommand(modelsTopCommand(context))
        : command,
    ),
    createSearchCommand(context),
    createBalanceCommand(context),
    createSessionsCommand(context).addCommand(proveCommand(context)),
    createSpendCommand(context),
    createDepositCommand(context),
    createWithdrawCommand(context),
    createWalletCommand(context, lake),
    createConfigCommand(context),
    createDoctorCommand(context),
    judgeCommand(),
    auditCommand(context),
    createProviderCommand(),
    createCompletionCommand(lake),
  ];
  for (const command of commands) lake.addCommand(command);
  return { lake, context };
}

const examples = `
Examples:
  lake models
  lake run lake/travis-tiny "What is a tick?"
  lake chat lake/travis-tiny
  lake up
  lake spend --by model

Options of lake itself stand before the command: lake --json balance. Exit codes: docs/cli.md.`;
