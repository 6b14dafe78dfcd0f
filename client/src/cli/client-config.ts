/*
 * The User's settings, `config.yaml` in the data folder: YAML, of which JSON is a part. Every key
 * is checked before anything is done, and a file with a fault is never rewritten.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { parse, parseDocument } from "yaml";
import { type Hex, isHex, LakeError, parseHandle, parseMor } from "@lake-travis/protocol";
import { folderError } from "@lake-travis/platform";
import type { EndpointKey } from "../ledger/spend-guard.ts";
import type { WalletPlace } from "../wallet/open-wallet.ts";

/** What a User has set; what is absent has a default. Amounts are wei of MOR. */
export interface ClientConfig {
  readonly deployment?: string;
  readonly router?: string;
  readonly wallet?: WalletPlace;
  /** Highest whole price in wei of MOR an hour. */
  readonly maxPrice?: bigint;
  /** Most that may be spent in one UTC day. */
  readonly dailyLimit?: bigint;
  /** Bounds that the wallet signs into the Delegation. */
  readonly epochLimit?: bigint;
  readonly debitCeiling?: bigint;
  readonly delegationDays?: number;
  readonly idleSeconds?: number;
  readonly host?: string;
  readonly port?: number;
  /** The model where a command names none. */
  readonly model?: string;
  /** Other names for models, such as `gpt-4o-mini: alice/llama:8b`. */
  readonly aliases?: Readonly<Record<string, string>>;
  readonly keys?: readonly EndpointKey[];
}

/** One setting as `lake config` explains it. */
export interface SettingRule {
  readonly about: string;
  /** Whether `lake config set` may write it; lists have commands of their own. */
  readonly isPlain: boolean;
  readonly read: (value: unknown) => unknown;
}

type Rules = { readonly [Name in keyof Required<ClientConfig>]: SettingRule };

/** Every setting, with its check. */
export const settingRules: Rules = {
  deployment: plain("the network's deployment file", readText),
  router: plain("the Router to ask, such as https://router.example", readUrl),
  wallet: { about: "where the wallet is: see docs/cli.md", isPlain: false, read: readWallet },
  maxPrice: plain("highest whole price in MOR an hour", readMor),
  dailyLimit: plain("most that may be spent in one UTC day, in MOR", readMor),
  epochLimit: plain("most that the Delegation allows in one epoch, in MOR", readMor),
  debitCeiling: plain("most that the Delegation lets the deposit pay in all, in MOR", readMor),
  delegationDays: plain("how long a Delegation lasts", readWhole(1, 366)),
  idleSeconds: plain("close a Session after so long without a request", readWhole(0, 3_600)),
  host: plain("address that lake up listens on", readText),
  port: plain("port that lake up listens on", readWhole(0, 65_535)),
  model: plain("the model where a command names none", readModel),
  aliases: { about: "other names for models", isPlain: false, read: readAliases },
  keys: { about: "the endpoint's bearer keys: lake config key", isPlain: false, read: readKeys },
};

/** A configuration is a page of text. */
const fileBytesMax = 256 * 1024;
const aliasesMax = 1_000;
const keysMax = 1_000;

/** Reads the settings in `path`; none where there is no file. Throws `config-invalid`. */
export function readConfig(path: string): ClientConfig {
  if (!existsSync(path)) return {};
  let json: unknown;
  try {
    const text = readFileSync(path, "utf8");
    if (text.length > fileBytesMax) throw new Error("it is too large");
    // Without aliases a small file cannot unfold into a large one.
    json = parse(text, { maxAliasCount: 0, logLevel: "error" }) as unknown;
  } catch (cause) {
    const [line = ""] = (cause as Error).message.split("\n");
    const reason = line.replace(/:$/, "");
    throw new LakeError("config-invalid", `The configuration ${path} cannot be read (${reason}).`, {
      advice: "Mend it with an editor, or move it away to begin anew.",
      cause,
    });
  }
  return checkConfig(json ?? {}, path);
}

/** Sets one plain setting and leaves the file's comments as they are. Throws `config-invalid`. */
export function writeSetting(path: string, name: string, text: string): void {
  const rule = ruleOf(name, path);
  if (!rule.isPlain) {
    throw new LakeError("argument-invalid", `The setting ${name} is a list: edit ${path}.`);
  }
  rule.read(text);
  changeConfig(path, (document) =>
    document.set(name, /^\d{1,9}$/.test(text) ? Number(text) : text),
  );
}

/** Takes one setting out, so that its default is in force. */
export function removeSetting(path: string, name: string): void {
  ruleOf(name, path);
  changeConfig(path, (document) => document.delete(name));
}

/** Adds a bearer key, or takes it out where `key` is undefined. */
export function writeEndpointKey(
  path: string,
  name: string,
  key: { readonly sha256: Hex; readonly dailyLimit?: string } | undefined,
): void {
  const others = (readConfig(path).keys ?? []).filter((each) => each.name !== name);
  changeConfig(path, (document) => {
    const kept = document.toJS() as { keys?: { name?: string }[] } | null;
    const list = (kept?.keys ?? []).filter((each) => others.some((o) => o.name === each.name));
    document.set("keys", key === undefined ? list : [...list, { name, ...key }]);
  });
}

function changeConfig(
  path: string,
  change: (document: ReturnType<typeof parseDocument>) => void,
): void {
  readConfig(path);
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const document = parseDocument(text.trim() === "" ? "{}" : text);
  change(document);
  if (text.trim() === "" && document.contents !== null) {
    (document.contents as { flow?: boolean }).flow = false;
  }
  try {
    writeFileSync(`${path}.new`, document.toString(), { mode: 0o600, flush: true });
    checkConfig(parse(readFileSync(`${path}.new`, "utf8")) ?? {}, path);
    renameSync(`${path}.new`, path);
  } catch (cause) {
    if (cause instanceof LakeError) throw cause;
    throw folderError(path, cause);
  }
}

function checkConfig(json: unknown, path: string): ClientConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new LakeError("config-invalid", `The configuration ${path} is no list of settings.`, {
      advice: "Write lines such as maxPrice: 0.5",
    });
  }
  const entries = Object.entries(json).map(([name, value]) => {
    const rule = ruleOf(name, path);
    try {
      return [name, rule.read(value)];
    } catch (cause) {
      const advice = cause instanceof LakeError ? cause.message : rule.about;
      throw new LakeError("config-invalid", `The setting ${name} in ${path} is not valid.`, {
        advice,
        cause,
      });
    }
  });
  return Object.fromEntries(entries) as ClientConfig;
}

function ruleOf(name: string, path: string): SettingRule {
  if (Object.hasOwn(settingRules, name)) return settingRules[name as keyof ClientConfig];
  throw new LakeError("config-invalid", `There is no setting '${name.slice(0, 40)}' (${path}).`, {
    advice: `Settings are: ${Object.keys(settingRules).join(", ")}.`,
  });
}

function plain(about: string, read: (value: unknown) => unknown): SettingRule {
  return { about, isPlain: true, read };
}

function refuse(sentence: string): never {
  throw new LakeError("config-invalid", sentence);
}

function readText(value: unknown): string {
  if (typeof value === "string" && value !== "" && value.length <= 4096) return value;
  return refuse("It must be a text.");
}

function readUrl(value: unknown): string {
  const text = readText(value);
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  return refuse("It must be an address such as https://router.example.");
}

function readMor(value: unknown): bigint {
  return parseMor(typeof value === "number" ? String(value) : readText(value));
}

function readWhole(min: number, max: number): (value: unknown) => number {
  return (value) => {
    const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
    if (Number.isInteger(number) && Number(number) >= min && Number(number) <= max) {
      return Number(number);
    }
    return refuse(`It must be a whole number from ${min} to ${max}.`);
  };
}

function readModel(value: unknown): string {
  const text = readText(value);
  parseHandle(text);
  return text;
}

function readAliases(value: unknown): Record<string, string> {
  const entries = Object.entries(readObject(value));
  if (entries.length > aliasesMax) return refuse(`At most ${aliasesMax} aliases fit.`);
  return Object.fromEntries(entries.map(([name, model]) => [name, readModel(model)]));
}

function readKeys(value: unknown): readonly EndpointKey[] {
  if (!Array.isArray(value) || value.length > keysMax) return refuse("It must be a list of keys.");
  const keys = value.map((each: unknown) => {
    const { name, sha256, dailyLimit, ...rest } = readObject(each);
    if (Object.keys(rest).length > 0) return refuse("A key has name, sha256 and dailyLimit.");
    if (!isHex(sha256, 32)) return refuse("A key needs its sha256, as lake config key writes it.");
    return {
      name: readText(name),
      sha256,
      ...(dailyLimit === undefined ? {} : { dailyLimit: readMor(dailyLimit) }),
    };
  });
  if (new Set(keys.map(({ name }) => name)).size < keys.length) return refuse("Names differ.");
  return keys;
}

function readWallet(value: unknown): WalletPlace {
  const { kind, ...rest } = readObject(value);
  const only = (...names: string[]): void => {
    const other = Object.keys(rest).find((name) => !names.includes(name));
    if (other !== undefined) refuse(`A wallet of kind ${String(kind)} has no '${other}'.`);
  };
  if (kind === "page") {
    only();
    return { kind };
  }
  if (kind === "rpc") {
    only("url");
    return { kind, url: readUrl(rest["url"]) };
  }
  if (kind === "environment") {
    only("variable");
    return { kind, variable: readText(rest["variable"]) };
  }
  if (kind === "key-file") {
    only("file");
    return { kind, file: readText(rest["file"]) };
  }
  if (kind !== "keystore") {
    return refuse("Its kind is keystore, key-file, environment, rpc or page.");
  }
  only("file", "passphraseFile");
  const { passphraseFile } = rest;
  return {
    kind,
    file: readText(rest["file"]),
    ...(passphraseFile === undefined ? {} : { passphraseFile: readText(passphraseFile) }),
  };
}

function readObject(value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  return refuse("It must be a group of settings.");
}
