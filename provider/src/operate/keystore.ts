import { scrypt as nodeScrypt } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { decryptKeystoreJson, encryptKeystoreJson, scrypt } from "ethers";
import { type Address, type Hex, LakeError } from "@lake-travis/protocol";
import { folderError, signerFromKey } from "@lake-travis/platform";
import type { Terminal } from "./terminal.ts";

// ethers' own scrypt is JavaScript and takes seconds of one core; Node's is native.
scrypt.register(async (password, salt, cost, blockSize, parallel, length) => {
  const options = { N: cost, r: blockSize, p: parallel, maxmem: scryptBytesMax };
  return await new Promise((resolve, reject) => {
    nodeScrypt(password, salt, length, options, (error, key) => {
      if (error === null) resolve(`0x${key.toString("hex")}`);
      else reject(error);
    });
  });
});

/** N = 2^18 with blocks of 1 kB takes 256 MiB, the most that wallets in use ask for. */
const scryptBytesMax = 300 * 1024 * 1024;

/** The shortest passphrase that is taken for a new keystore; guessing costs a scrypt each. */
const passphraseMin = 8;

/** Writes a key as a V3 keystore that only its owner can read; never over an existing file. */
export async function writeKeystore(path: string, key: Hex, passphrase: string): Promise<Address> {
  const { address } = signerFromKey(key);
  const json = await encryptKeystoreJson({ address, privateKey: key }, passphrase);
  try {
    writeFileSync(path, `${json}\n`, { mode: 0o600, flag: "wx", flush: true });
  } catch (cause) {
    if ((cause as { code?: string }).code === "EEXIST") {
      throw new LakeError("argument-invalid", `${path} exists already and is not overwritten.`, {
        advice: "Name it with --keystore to use that wallet, or name another file.",
      });
    }
    throw folderError(path, cause);
  }
  return address;
}

/** Opens a V3 keystore; throws `keystore-invalid` or `passphrase-wrong`. */
export async function openKeystore(path: string, passphrase: string): Promise<Hex> {
  const text = readKeystore(path);
  try {
    const { privateKey } = await decryptKeystoreJson(text, passphrase);
    return privateKey.toLowerCase() as Hex;
  } catch (cause) {
    const isPassphrase = String((cause as { message?: string }).message).includes("password");
    if (isPassphrase) {
      throw new LakeError("passphrase-wrong", `The passphrase does not open ${path}.`, { cause });
    }
    throw invalidKeystore(path, cause);
  }
}

/** The address that a keystore says it holds; throws `keystore-invalid` where it says none. */
export function addressOfKeystore(path: string): Address {
  let address: unknown;
  try {
    ({ address } = JSON.parse(readKeystore(path)) as { address?: unknown });
  } catch (cause) {
    throw cause instanceof LakeError ? cause : invalidKeystore(path, cause);
  }
  const found = typeof address === "string" ? /^(?:0x)?([0-9a-f]{40})$/i.exec(address) : null;
  if (found === null) throw invalidKeystore(path, undefined);
  return `0x${(found[1] ?? "").toLowerCase()}`;
}

/** A passphrase for an existing keystore: from a file, the environment's file, or the terminal. */
export async function readPassphrase(
  terminal: Terminal,
  sources: { readonly file: string | undefined; readonly keystore: string },
): Promise<string> {
  const file = sources.file ?? process.env["LAKE_PASSPHRASE_FILE"];
  if (file !== undefined) return passphraseInFile(file);
  return await terminal.askHidden(`Passphrase of ${sources.keystore}`);
}

/** A passphrase for a new keystore, asked twice where a person types it. */
export async function choosePassphrase(
  terminal: Terminal,
  file: string | undefined,
): Promise<string> {
  const named = file ?? process.env["LAKE_PASSPHRASE_FILE"];
  const chosen =
    named === undefined
      ? await terminal.askHidden("Passphrase for the new wallet")
      : passphraseInFile(named);
  if (chosen.length < passphraseMin) {
    throw new LakeError(
      "argument-invalid",
      `A passphrase needs at least ${passphraseMin} characters.`,
    );
  }
  if (named === undefined && (await terminal.askHidden("The same again")) !== chosen) {
    throw new LakeError("argument-invalid", "The two passphrases differ.", {
      advice: "Run the command again.",
    });
  }
  return chosen;
}

function passphraseInFile(path: string): string {
  try {
    return readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch (cause) {
    throw new LakeError("argument-invalid", `The passphrase file ${path} cannot be read.`, {
      cause,
    });
  }
}

function readKeystore(path: string): string {
  if (!existsSync(path)) {
    throw new LakeError("keystore-invalid", `There is no keystore ${path}.`, {
      advice: "Put it there, or correct 'keystore' in the configuration.",
    });
  }
  return readFileSync(path, "utf8");
}

function invalidKeystore(path: string, cause: unknown): LakeError {
  return new LakeError("keystore-invalid", `${path} is not a V3 keystore.`, {
    advice: "Restore it from a copy, or import the key again.",
    cause,
  });
}
