// Runs forge with OpenZeppelin found from here, wherever npm put it: a relative remapping that
// leaves this folder confuses the compiler's names of sources.
// Warning: the launcher that npm puts on the path exits 0 when tests fail (seen in 1.7.1), so the
// binary itself is run.
import { spawnSync } from "node:child_process";
import type { SpawnSyncReturns } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// A coverage report with sources in it is a few megabytes.
const outputBytesMax = 64 * 1024 * 1024;

const resolver = createRequire(import.meta.url);
const openZeppelin = dirname(dirname(resolver.resolve("@openzeppelin/contracts/package.json")));
const home = fileURLToPath(new URL("..", import.meta.url));

/** How to run forge: whether to keep its output, in which folder, with what more in its setting. */
export interface ForgeOptions {
  readonly capture?: boolean;
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs forge with `args`, in this workspace unless told otherwise, and waits for it. */
export function forge(
  args: readonly string[],
  { capture = false, folder = home, environment = {} }: ForgeOptions = {},
): SpawnSyncReturns<string> {
  return spawnSync(forgeBinary(), [...args], {
    cwd: folder,
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

function forgeBinary(): string {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const name = `@foundry-rs/forge-${process.platform}-${architecture}`;
  const launcher = createRequire(resolver.resolve("@foundry-rs/forge/package.json"));
  const folder = dirname(launcher.resolve(`${name}/package.json`));
  return join(folder, "bin", process.platform === "win32" ? "forge.exe" : "forge");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.exitCode = forge(process.argv.slice(2)).status ?? 1;
}
