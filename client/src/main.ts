import { CommanderError } from "commander";
import { LakeError } from "@lake-travis/protocol";
import { reportFailure } from "@lake-travis/platform";
import { createLakeProgram } from "./cli/create-lake-program.ts";
import { exitCodeOf, exitCodes } from "./cli/exit-code.ts";

const { context, lake } = createLakeProgram();
for (const command of [lake, ...lake.commands.flatMap((each) => [each, ...each.commands])]) {
  command.exitOverride();
}

// A reader such as `head` may leave early; that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
  throw error;
});

try {
  await lake.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  } else {
    process.exitCode = exitCodeOf(error);
    if (context.json && error instanceof LakeError) {
      process.stdout.write(`${JSON.stringify(error.toBody())}\n`);
    } else reportFailure(error);
  }
} finally {
  await context.close();
}
