import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type Hex, isHex, LakeError } from "@lake-travis/protocol";
import { folderError } from "./data-folder.ts";
import { generateKey } from "./signatures.ts";

/** Reads the private key in `path`, or makes one there that only its owner can read. */
export function loadOrCreateKey(path: string): Hex {
  if (existsSync(path)) return readKey(path);
  const key = generateKey();
  try {
    writeFileSync(path, `${key}\n`, { mode: 0o600, flag: "wx", flush: true });
  } catch (cause) {
    throw folderError(path, cause);
  }
  return key;
}

/** Reads the private key in `path`; throws `argument-invalid` where there is none. */
export function readKey(path: string): Hex {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim().toLowerCase();
  } catch (cause) {
    throw new LakeError("argument-invalid", `The key file ${path} cannot be read.`, { cause });
  }
  if (!isHex(text, 32)) {
    throw new LakeError("argument-invalid", `The file ${path} does not hold a private key.`, {
      advice: "It must hold 0x and 64 hexadecimal digits.",
    });
  }
  return text;
}
