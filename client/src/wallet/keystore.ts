/*
 * The wallet's key in a keystore V3 file, as Geth and the browser wallets write it: scrypt makes a
 * passphrase expensive to guess, and the file alone is worth nothing.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";
import { decryptKeystoreJson, encryptKeystoreJson, getAddress } from "ethers";
import { type Address, type Hex, isHex, LakeError } from "@lake-travis/protocol";
import { folderError, signerFromKey } from "@lake-travis/platform";

/** A keystore is below 1 kB; a larger file is something else. */
const fileBytesMax = 64 * 1024;
/** Memory that a file may make scrypt take: 128 * n * r; Geth's strongest takes 256 MiB. */
const scryptBytesMax = 512 * 1024 * 1024;
/** Rounds that a file may make PBKDF2 take; wallets write 262,144. */
const pbkdfRoundsMax = 10_000_000;

/** Encrypts a key under a passphrase into a new file; an existing file is never overwritten. */
export async function writeKeystore(path: string, key: Hex, passphrase: string): Promise<Address> {
  const { address } = signerFromKey(key);
  const json = await encryptKeystoreJson(
    { address: getAddress(address), privateKey: key },
    passphrase,
  );
  let file: number;
  try {
    file = openSync(path, "wx", 0o600);
  } catch (cause) {
    throw (cause as { code?: string }).code === "EEXIST" ? taken(path) : folderError(path, cause);
  }
  try {
    writeSync(file, `${json}\n`);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return address;
}

/** Throws `argument-invalid` where a new keystore would have to overwrite something. */
export function requireNoFile(path: string): void {
  if (existsSync(path)) throw taken(path);
}

/** Reads the key in a keystore file; throws `keystore-invalid` or `passphrase-wrong`. */
export async function readKeystore(path: string, passphrase: string): Promise<Hex> {
  const text = readKeystoreText(path);
  requireKeystore(text, path);
  try {
    const { privateKey } = await decryptKeystoreJson(text, passphrase);
    return privateKey.toLowerCase() as Hex;
  } catch (cause) {
    if ((cause as { shortMessage?: string }).shortMessage === "incorrect password") {
      throw new LakeError("passphrase-wrong", `This passphrase does not open ${path}.`, {
        advice: "Try again; without its passphrase nobody can open a keystore.",
        cause,
      });
    }
    throw invalid(path, cause);
  }
}

/** The address that a keystore file says it is for; undefined where it keeps that to itself. */
export function addressInKeystore(path: string): Address | undefined {
  const { address } = requireKeystore(readKeystoreText(path), path);
  const text = typeof address === "string" ? address.toLowerCase().replace(/^0x/, "") : "";
  return isHex(`0x${text}`, 20) ? `0x${text}` : undefined;
}

/** Whether a file's text is a keystore rather than a bare key. */
export function isKeystoreText(text: string): boolean {
  return text.trimStart().startsWith("{");
}

/** Reads a small text file; throws `wallet-missing`. */
export function readKeystoreText(path: string): string {
  try {
    if (statSync(path).size > fileBytesMax) throw new Error("the file is too large");
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new LakeError("wallet-missing", `The wallet's file ${path} cannot be read.`, {
      advice: "Make a wallet with lake wallet new, or name its file in the configuration.",
      cause,
    });
  }
}

interface KeystoreFile {
  readonly version?: unknown;
  readonly address?: unknown;
  readonly crypto?: KeystoreCrypto;
  readonly Crypto?: KeystoreCrypto;
}

interface KeystoreCrypto {
  readonly kdf?: unknown;
  readonly kdfparams?: Readonly<Record<string, unknown>>;
}

function requireKeystore(text: string, path: string): KeystoreFile {
  let file: KeystoreFile | null;
  try {
    file = JSON.parse(text) as KeystoreFile | null;
  } catch (cause) {
    throw invalid(path, cause);
  }
  const crypto = file?.crypto ?? file?.Crypto;
  if (file === null || file.version !== 3 || crypto === undefined) throw invalid(path);
  const { n, r, c } = crypto.kdfparams ?? {};
  const cost = crypto.kdf === "scrypt" ? 128 * Number(n) * Number(r) : 0;
  const rounds = crypto.kdf === "pbkdf2" ? Number(c) : 0;
  // Written so that a figure which is none is refused too.
  if (!(cost <= scryptBytesMax) || !(rounds <= pbkdfRoundsMax)) throw invalid(path);
  return file;
}

function taken(path: string): LakeError {
  return new LakeError("argument-invalid", `There is a file ${path} already; it stays as it is.`, {
    advice: "Name another file with --file, or move that one to a safe place first.",
  });
}

function invalid(path: string, cause?: unknown): LakeError {
  return new LakeError("keystore-invalid", `The keystore ${path} is damaged or of another kind.`, {
    advice: "Restore it from your backup; nothing in it was changed.",
    cause,
  });
}
