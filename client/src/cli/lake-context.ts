import { homedir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { LakeError } from "@lake-travis/protocol";
import { systemRandom } from "@lake-travis/platform";
import {
  type ChainClient,
  connectChain,
  createModelNames,
  requireContracts,
} from "@lake-travis/platform/chain";
import type { CommandContext } from "@lake-travis/registry/cli";
import { type OpenedWallet, openWallet } from "../wallet/open-wallet.ts";
import { Terminal } from "./terminal.ts";
import { findUserPlace, type UserPlace } from "./user-place.ts";

/** What every `lake` command may be told before its own name. */
export interface LakeOptions {
  readonly home: string;
  readonly deployment?: string;
  readonly router?: string;
  readonly dataDir?: string;
  readonly config?: string;
  readonly walletKeyFile?: string;
  readonly passphraseFile?: string;
  readonly json: boolean;
}

/** What the commands work with; read when a command runs, after commander has parsed. */
export interface LakeContext extends CommandContext {
  readonly terminal: Terminal;
  place(): UserPlace;
  /** The network's chain; opened once and closed with the context. */
  chain(): Promise<ChainClient>;
  /** The User's wallet, its owner asked where that is needed. */
  wallet(): Promise<OpenedWallet>;
  close(): Promise<void>;
}

/** The options of `lake` itself. */
export function withLakeOptions(lake: Command): Command {
  return lake
    .option("--deployment <file>", "the network's deployment file (the local network's)")
    .option("--router <url>", "the Router to ask (the deployment's first)")
    .option("--data-dir <folder>", "where this node keeps its state (~/.lake-travis/node)")
    .option("--config <file>", "settings (config.yaml in the data folder)")
    .option("--wallet-key-file <file>", "the wallet: a keystore, or a bare private key")
    .option("--passphrase-file <file>", "file whose first line is the keystore's passphrase")
    .option("--json", "print JSON for scripts", false);
}

/** Makes the context of a command line. */
export function createLakeContext(lake: Command): LakeContext {
  const home = process.env["LAKE_HOME"] ?? join(homedir(), ".lake-travis");
  const options = (): LakeOptions => ({ ...lake.opts<Omit<LakeOptions, "home">>(), home });
  const terminal = new Terminal(() => options().json);
  let chain: Promise<ChainClient> | undefined;
  let wallet: OpenedWallet | undefined;
  const place = (): UserPlace => findUserPlace(options());
  const context: LakeContext = {
    terminal,
    place,
    get dataDir() {
      return options().dataDir ?? join(home, "node");
    },
    get json() {
      return options().json;
    },
    stdout: process.stdout,
    chain: () => (chain ??= openChain(place())),
    async wallet() {
      const deployment = place().deployment();
      const say = (text: string): void => terminal.say(text);
      wallet ??= await openWallet(place().wallet(), { deployment, terminal, say });
      return wallet;
    },
    async names({ write }) {
      const client = await context.chain();
      if (!write) return createModelNames(client, systemRandom);
      const { key } = await context.wallet();
      if (key === undefined) {
        throw new LakeError("argument-invalid", "Publishing takes several transactions in a row.", {
          advice: "Name a keystore or a key file with --wallet-key-file before the command.",
        });
      }
      return createModelNames(client, systemRandom, client.as(key));
    },
    holders: async () => place().deployment().holders ?? [],
    async close() {
      await wallet?.wallet.close();
      (await chain?.catch(() => undefined))?.close();
    },
  };
  return context;
}

async function openChain(place: UserPlace): Promise<ChainClient> {
  const chain = connectChain(place.deployment());
  try {
    await requireContracts(chain);
    return chain;
  } catch (error) {
    chain.close();
    throw error;
  }
}
