import { readFileSync } from "node:fs";
import { type Deployment, type Hex, isHex, LakeError } from "@lake-travis/protocol";
import { nativeSignatures, readKey, signerFromKey, systemRandom } from "@lake-travis/platform";
import { openBridgeWallet } from "./bridge-wallet.ts";
import { isKeystoreText, readKeystore, readKeystoreText } from "./keystore.ts";
import { openPageBridge } from "./page-bridge.ts";
import { type PromptTerminal, readPassphrase } from "./read-passphrase.ts";
import { openRpcBridge } from "./rpc-bridge.ts";
import { type UserWallet, walletOfSigner } from "./user-wallet.ts";

/** Where a User's wallet is. */
export type WalletPlace =
  | { readonly kind: "keystore"; readonly file: string; readonly passphraseFile?: string }
  | { readonly kind: "key-file"; readonly file: string }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "rpc"; readonly url: string }
  | { readonly kind: "page" };

/** What opening a wallet may need. */
export interface WalletOpening {
  readonly deployment: Deployment;
  readonly terminal: PromptTerminal;
  /** Tells a person something: an address to open, a warning. */
  readonly say: (text: string) => void;
}

/** A wallet, with its key where this process may hold it (it then pays gas by itself). */
export interface OpenedWallet {
  readonly wallet: UserWallet;
  readonly key?: Hex;
}

/** Opens the wallet, asking its owner where that is needed. */
export async function openWallet(
  place: WalletPlace,
  opening: WalletOpening,
): Promise<OpenedWallet> {
  if (place.kind === "rpc" || place.kind === "page") {
    const bridge =
      place.kind === "rpc"
        ? openRpcBridge(place.url)
        : await openPageBridge({
            random: systemRandom,
            show: (url) =>
              opening.say(`Open this page in the browser that has your wallet:\n${url}`),
          });
    const { chainId } = opening.deployment;
    try {
      return { wallet: await openBridgeWallet({ bridge, signatures: nativeSignatures, chainId }) };
    } catch (error) {
      await bridge.close();
      throw error;
    }
  }
  const key = await keyIn(place, opening);
  return { wallet: walletOfSigner(signerFromKey(key)), key };
}

async function keyIn(
  place: Exclude<WalletPlace, { readonly kind: "rpc" | "page" }>,
  opening: WalletOpening,
): Promise<Hex> {
  if (place.kind === "environment") return keyInEnvironment(place.variable, opening);
  if (place.kind === "key-file") return keyInFile(place.file, opening);
  const passphrase = await readPassphrase({
    question: `Passphrase of ${place.file}: `,
    file: place.passphraseFile,
    terminal: opening.terminal,
  });
  return readKeystore(place.file, passphrase);
}

function keyInEnvironment(variable: string, { say }: WalletOpening): Hex {
  const text = (process.env[variable] ?? "").trim().toLowerCase();
  if (!isHex(text, 32)) {
    throw new LakeError("wallet-missing", `The variable ${variable} holds no private key.`, {
      advice: "Set it to 0x and 64 hexadecimal digits, or use a keystore.",
    });
  }
  say(`Warning: the wallet's key comes from ${variable}; other programs of this user can read it.`);
  return text;
}

function keyInFile(file: string, opening: WalletOpening): Promise<Hex> | Hex {
  const text = readKeystoreText(file);
  if (!isKeystoreText(text)) return readKey(file);
  return keyIn({ kind: "keystore", file }, opening);
}

/** Reads a bare private key from a file or standard input, for an import. */
export function keyInText(text: string, where: string): Hex {
  const key = text.trim().toLowerCase();
  const prefixed = key.startsWith("0x") ? key : `0x${key}`;
  if (isHex(prefixed, 32)) return prefixed;
  throw new LakeError("argument-invalid", `${where} does not hold a private key.`, {
    advice: "It must hold 64 hexadecimal digits, with or without 0x.",
  });
}

/** All that standard input gives, for a key that should be in no file and no history. */
export function readStandardInput(): string {
  return readFileSync(0, "utf8");
}
