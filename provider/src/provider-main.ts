/*
 * The owner's program: `lake provider` runs this as a process of its own, because a User's program
 * shares no code with a Provider's.
 */
import { CommanderError } from "commander";
import { reportFailure } from "@lake-travis/platform";
import { createProviderProgram } from "./operate/provider-commands.ts";

try {
  await createProviderProgram().parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) reportFailure(error);
  process.exitCode = 1;
}
