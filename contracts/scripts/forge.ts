// Runs forge with OpenZeppelin found from here, wherever npm put it: a relative remapping that
// leaves this folder confuses the compiler's names of sources.
import { spawnSync } from "node:child_process";
import type { SpawnSyncReturns } from "node:child_process";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const resolver = createRequire(import.meta.url);
const openZeppelin = dirname(dirname(resolver.resolve("@openzeppelin/contracts/package.json")));
// A coverage report with sources in it is a few megabytes.
const outputBytesMax = 64 * 1024 * 1024;

/** How to run forge: whether to keep its output, in which folder, with what more in its setting. */
export interface ForgeOptions {
  readonly capture?: boolean;
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs forge with `args`, in this workspace unless told otherwise, and waits for it. */
export function forge(
  args: readonly string[],
  { capture = false, folder, environment = {} }: ForgeOptions = {},
): SpawnSyncReturns<string> {
  return spawnSync("forge", [...args], {
    cwd: folder ?? fileURLToPath(new URL("..", import.meta.url)),
    env: {
      ...process.env,
      FOUNDRY_REMAPPINGS: `@openzeppelin/=${openZeppelin}/`,
      ...environment,
    },
    encoding: "utf8",
    maxBuffer: outputBytesMax,
    stdio: capture ? "pipe" : "inherit",
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = forge(process.argv.slice(2)).status ?? 1;
}
