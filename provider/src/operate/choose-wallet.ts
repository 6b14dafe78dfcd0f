import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Address, isHex, LakeError } from "@lake-travis/protocol";
import { generateKey, readKey } from "@lake-travis/platform";
import { addressOfKeystore, choosePassphrase, writeKeystore } from "./keystore.ts";
import type { Terminal } from "./terminal.ts";

/** The flags that say which wallet stakes and is paid. */
export interface WalletFlags {
  readonly account?: string;
  readonly keystore?: string;
  readonly walletKeyFile?: string;
  readonly passphraseFile?: string;
}

/** The wallet that stakes and is paid; without a keystore it is somewhere else. */
export interface ChosenWallet {
  readonly account: Address;
  readonly keystore: string | undefined;
}

/**
 * Takes the wallet that the flags name, or makes a new one as `wallet.json` in `folder`. A key
 * never stays in the clear: a key file's content goes into a keystore too.
 *
 * Throws `argument-invalid`, `keystore-invalid`.
 */
export async function chooseWallet(
  flags: WalletFlags,
  terminal: Terminal,
  folder: string,
): Promise<ChosenWallet> {
  const { account, keystore, walletKeyFile, passphraseFile } = flags;
  if (account !== undefined && keystore === undefined && walletKeyFile === undefined) {
    return { account: readAccount(account), keystore: undefined };
  }
  const path = keystore === undefined ? join(folder, "wallet.json") : resolve(keystore);
  const chosen = existsSync(path)
    ? takeExisting(path, flags)
    : await makeKeystore(path, { walletKeyFile, passphraseFile, terminal });
  if (account !== undefined && readAccount(account) !== chosen.account) {
    throw new LakeError("argument-invalid", `${path} holds ${chosen.account}, not ${account}.`, {
      advice: "Name one of the two only.",
    });
  }
  return chosen;
}

function takeExisting(path: string, { walletKeyFile }: WalletFlags): ChosenWallet {
  if (walletKeyFile === undefined) return { account: addressOfKeystore(path), keystore: path };
  throw new LakeError("argument-invalid", `${path} exists already and is not overwritten.`, {
    advice: "Name another file with --keystore.",
  });
}

async function makeKeystore(
  path: string,
  parts: {
    readonly walletKeyFile: string | undefined;
    readonly passphraseFile: string | undefined;
    readonly terminal: Terminal;
  },
): Promise<ChosenWallet> {
  const { walletKeyFile, passphraseFile, terminal } = parts;
  const key = walletKeyFile === undefined ? generateKey() : readKey(walletKeyFile);
  const passphrase = await choosePassphrase(terminal, passphraseFile);
  const account = await writeKeystore(path, key, passphrase);
  const how = walletKeyFile === undefined ? "New wallet" : "Wallet imported";
  terminal.say(`${how}: ${account} in ${path}. Keep a copy of that file and its passphrase.`);
  return { account, keystore: path };
}

function readAccount(text: string): Address {
  const account = text.toLowerCase();
  if (isHex(account, 20)) return account;
  throw new LakeError("argument-invalid", `${text.slice(0, 50)} is not an address of 20 bytes.`);
}
