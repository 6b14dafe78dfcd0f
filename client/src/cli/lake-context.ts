import { homedir } from "node:os";
import { join } from "node:path";
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { LakeError } from "@lake-travis/protocol";
import { readKey, systemRandom } from "@lake-travis/platform";
import {
  type ChainClient,
  connectChain,
  createModelNames,
  readDeployment,
  requireContracts,
} from "@lake-travis/platform/chain";
import type { CommandContext } from "@lake-travis/registry/cli";

/** What every `lake` command may be told before its own name. */
export interface LakeOptions {
  readonly deployment: string;
  readonly dataDir: string;
  readonly walletKeyFile?: string;
  readonly json: boolean;
}

const home = join(homedir(), ".lake-travis");

/** The options of `lake` itself, with the local network's files as defaults. */
export function withLakeOptions(lake: Command): Command {
  return lake
    .option(
      "--deployment <file>",
      "the network's deployment file",
      join(home, "devnet", "deployment.json"),
    )
    .option("--data-dir <folder>", "where this node keeps its state", join(home, "node"))
    .option("--wallet-key-file <file>", "private key of the wallet that signs transactions")
    .option("--json", "print JSON for scripts", false);
}

/** Reads the options when a command runs, not before: commander has parsed them by then. */
export function createLakeContext(lake: Command): CommandContext & { close(): void } {
  const options = (): LakeOptions => lake.opts<LakeOptions>();
  let chain: ChainClient | undefined;
  return {
    get dataDir() {
      return options().dataDir;
    },
    get json() {
      return options().json;
    },
    stdout: process.stdout,
    async names({ write }) {
      const { deployment, walletKeyFile } = options();
      chain ??= await openChain(deployment);
      if (!write) return createModelNames(chain, systemRandom);
      if (walletKeyFile === undefined) {
        throw new LakeError("argument-invalid", "This command signs a transaction.", {
          advice: "Name the wallet with --wallet-key-file before the command.",
        });
      }
      return createModelNames(chain, systemRandom, chain.as(readKey(walletKeyFile)));
    },
    holders: async () => readDeployment(options().deployment).holders ?? [],
    close: () => chain?.close(),
  };
}

/** Connects to the network that a deployment file names. */
export async function openChain(path: string): Promise<ChainClient> {
  if (!existsSync(path)) {
    throw new LakeError("argument-invalid", `There is no deployment file ${path}.`, {
      advice: "Start the local network with npm start, or name a network with --deployment.",
    });
  }
  const chain = connectChain(readDeployment(path));
  await requireContracts(chain);
  return chain;
}
