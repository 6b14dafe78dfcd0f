import type { OnProgress } from "../progress.ts";
import type { CommandContext } from "./command-context.ts";
import { formatProgress } from "./format-text.ts";

/** A terminal's first column, with the line's rest cleared. */
const lineStart = "\r\u001b[2K";

/** Shows progress on one line of a terminal; into a file or with `--json` it says nothing. */
export function printProgress(context: CommandContext): OnProgress {
  const { stdout, json } = context;
  if (json || stdout.isTTY !== true) return () => undefined;
  return (progress) => {
    stdout.write(lineStart + formatProgress(progress) + (progress.phase === "done" ? "\n" : ""));
  };
}
