import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import {
  type Address,
  isHex,
  LakeError,
  parseHandle,
  parseMor,
  weiPerSecondDown,
} from "@lake-travis/protocol";
import { type Document, parseDocument } from "yaml";
import { type ConfigKey, demandKeys, modelKeys, pricingKeys, topKeys } from "./config-keys.ts";
import { operateLimits } from "./limits.ts";

/** Where something listens. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** One model as its owner configured it. Prices are wei per second. */
export interface ConfiguredModel {
  readonly model: string;
  readonly weiPerSecond: bigint;
  readonly floorWeiPerSecond: bigint | undefined;
  readonly minSeconds: number;
  readonly slots: number;
  readonly engine:
    | {
        readonly baseUrl: string;
        readonly keyFile: string | undefined;
        readonly model: string | undefined;
      }
    | undefined;
  /** An npm package that computes instead. */
  readonly enginePackage: string | undefined;
}

/** What `--auto` may do. */
export interface DemandBounds {
  readonly modelsMax: number;
  readonly diskBytes: number;
  readonly memoryBytes: number | undefined;
  readonly weiPerSecond: bigint | undefined;
  readonly slots: number;
}

/** A Provider's whole configuration; paths are absolute. */
export interface ProviderConfig {
  readonly path: string;
  readonly deployment: string;
  readonly routers: readonly string[];
  readonly account: Address;
  readonly keystore: string | undefined;
  readonly passphraseFile: string | undefined;
  readonly dataDir: string;
  readonly listen: ListenAddress;
  readonly publicUrl: string | undefined;
  readonly storage: ListenAddress;
  readonly holders: readonly string[];
  readonly metrics: ListenAddress | undefined;
  readonly gpu: "auto" | false;
  readonly logFile: string | undefined;
  readonly logLevel: string;
  readonly models: readonly ConfiguredModel[];
  readonly pricing: { readonly mode: "fixed" | "auto"; readonly share: number };
  readonly demand: DemandBounds;
}

/** Reads and checks a configuration file; throws `config-invalid` naming line or key. */
export function readConfig(path: string): ProviderConfig {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new LakeError("config-invalid", `There is no configuration ${path} to read.`, {
      advice: "Run 'lake provider init' here, or name another file with --config.",
      cause,
    });
  }
  return parseConfig(text, resolve(path));
}

/** Checks a configuration's text; `path` is where it lies, for relative paths and errors. */
export function parseConfig(text: string, path: string): ProviderConfig {
  const root = rootOf(text, path);
  const { models, pricing, demand, ...rest } = root;
  const at = { file: path, where: "" };
  const top = readKeys(rest, topKeys, at);
  const sum: ProviderConfig = {
    path,
    deployment: pathOf(top.one("deployment"), path),
    routers: top.many("routers").map(urlOf),
    account: top.one("account").toLowerCase() as Address,
    keystore: maybe(top.maybe("keystore"), (value) => pathOf(value, path)),
    passphraseFile: maybe(top.maybe("passphraseFile"), (value) => pathOf(value, path)),
    dataDir: pathOf(top.one("dataDir"), path),
    listen: listenOf(top.one("listen")),
    publicUrl: maybe(top.maybe("publicUrl"), urlOf),
    storage: listenOf(top.one("storage")),
    holders: top.many("holders").map(urlOf),
    metrics: maybe(top.maybe("metrics"), listenOf),
    gpu: top.one("gpu") === "auto" ? "auto" : false,
    logFile: maybe(top.maybe("logFile"), (value) => pathOf(value, path)),
    logLevel: top.one("logLevel"),
    models: modelsOf(models, path),
    pricing: pricingOf(pricing, path),
    demand: demandOf(demand, path),
  };
  refuseTwice(sum.models, path);
  return sum;
}

/** A price in MOR an hour as wei per second; throws `argument-invalid`. */
export function weiOfPrice(text: string): bigint {
  return weiPerSecondDown(parseMor(text));
}

/** Reads `host:port`; an IPv6 host stands in brackets. */
function listenOf(text: string): ListenAddress {
  const [, host = "", port = ""] = /^(.+):([0-9]{1,5})$/.exec(text) ?? [];
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port) };
}

type Raw = Readonly<Record<string, unknown>>;

interface Place {
  readonly file: string;
  /** Such as `models[0].`. */
  readonly where: string;
}

// Every scalar stays the text that its owner wrote: 0.36 must not become a binary fraction.
function rootOf(text: string, path: string): Raw {
  if (Buffer.byteLength(text) > operateLimits.configBytesMax) {
    throw invalid(path, "it is too large for a configuration");
  }
  const document = parseDocument(text, { schema: "failsafe", prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined)
    throw invalid(path, (error.message.split("\n")[0] ?? "").replace(/:$/, ""));
  const root = plainValues(document, path);
  if (!isObject(root)) throw invalid(path, "it holds no keys");
  return root;
}

function plainValues(document: Document.Parsed, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch {
    // The only thing that a document without errors cannot become is one that copies itself.
    throw invalid(path, "it uses a YAML alias, which is not needed here");
  }
}

interface ReadKeys {
  one(key: string): string;
  maybe(key: string): string | undefined;
  many(key: string): readonly string[];
}

function readKeys(raw: Raw, keys: readonly ConfigKey[], place: Place): ReadKeys {
  const unknown = Object.keys(raw).find((key) => !keys.some((known) => known.key === key));
  if (unknown !== undefined) {
    const names = keys.map(({ key }) => key).join(", ");
    throw invalid(place.file, `${place.where}${unknown} is no key; there are ${names}`);
  }
  const values = new Map<string, readonly string[]>();
  for (const known of keys) values.set(known.key, valuesOf(raw[known.key], known, place));
  const many = (key: string): readonly string[] => values.get(key) ?? [];
  return { many, maybe: (key) => many(key)[0], one: (key) => many(key)[0] ?? "" };
}

function valuesOf(raw: unknown, known: ConfigKey, place: Place): readonly string[] {
  const name = place.where + known.key;
  const isMissing = raw === undefined || raw === "" || raw === null;
  const given = isMissing ? known.fallback : raw;
  if (given === undefined) {
    if (known.isRequired === true) throw invalid(place.file, `${name} is missing`);
    return [];
  }
  const listed = Array.isArray(given) ? (given as unknown[]) : [given];
  if (Array.isArray(given) && known.isList !== true) {
    throw invalid(place.file, `${name} takes one value, not a list`);
  }
  if (listed.length > operateLimits.listedMax) {
    throw invalid(place.file, `${name} lists more than ${operateLimits.listedMax} values`);
  }
  if (listed.length === 0 && known.isRequired === true) {
    throw invalid(place.file, `${name} is empty`);
  }
  return listed.map((value) => {
    const fault = typeof value === "string" ? faultOfValue(value, known) : "must be a plain value";
    if (fault !== undefined) throw invalid(place.file, `${name} ${fault}`);
    return value as string;
  });
}

/** What is wrong with a value of a key; undefined where nothing is. */
function faultOfValue(value: string, known: ConfigKey): string | undefined {
  switch (known.form) {
    case "text":
    case "path":
      return value.length <= operateLimits.textMax ? undefined : "is too long";
    case "url":
      return isUrl(value) ? undefined : "must be a URL such as https://host:8790";
    case "address":
      return isHex(value.toLowerCase(), 20) ? undefined : "must be an address of 20 bytes, 0x…";
    case "handle":
      return faultOf(() => parseHandle(value));
    case "price":
      return faultOf(() => weiOfPrice(value));
    case "listen": {
      const { host, port } = listenOf(value);
      return host !== "" && port <= 65_535 ? undefined : "must be host:port";
    }
    case "whole": {
      const isWhole = /^[0-9]{1,9}$/.test(value);
      const isIn = isWhole && Number(value) >= known.min && Number(value) <= known.max;
      return isIn ? undefined : `must be a whole number from ${known.min} to ${known.max}`;
    }
    case "choice":
      return known.of.includes(value) ? undefined : `must be one of ${known.of.join(", ")}`;
  }
}

function isUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

function faultOf(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof LakeError) return `is wrong: ${error.message}`;
    throw error;
  }
}

function modelsOf(raw: unknown, file: string): readonly ConfiguredModel[] {
  const list = raw === undefined || raw === "" ? [] : raw;
  if (!Array.isArray(list) || list.length > operateLimits.modelsMax) {
    throw invalid(file, `models must be a list of at most ${operateLimits.modelsMax} models`);
  }
  return list.map((item: unknown, index) => {
    const where = `models[${index}].`;
    if (!isObject(item)) throw invalid(file, `models[${index}] must have keys such as model`);
    const read = readKeys(item, modelKeys, { file, where });
    const baseUrl = read.maybe("engineUrl");
    return {
      model: read.one("model"),
      weiPerSecond: weiOfPrice(read.one("price")),
      floorWeiPerSecond: maybe(read.maybe("floor"), weiOfPrice),
      minSeconds: Number(read.one("minSeconds")),
      slots: Number(read.one("slots")),
      engine:
        baseUrl === undefined
          ? undefined
          : {
              baseUrl: urlOf(baseUrl),
              keyFile: maybe(read.maybe("engineKeyFile"), (value) => pathOf(value, file)),
              model: read.maybe("engineModel"),
            },
      enginePackage: read.maybe("enginePackage"),
    };
  });
}

function pricingOf(raw: unknown, file: string): ProviderConfig["pricing"] {
  const read = readKeys(sectionOf(raw, "pricing", file), pricingKeys, { file, where: "pricing." });
  return {
    mode: read.one("mode") === "auto" ? "auto" : "fixed",
    share: Number(read.one("share")),
  };
}

function demandOf(raw: unknown, file: string): DemandBounds {
  const read = readKeys(sectionOf(raw, "demand", file), demandKeys, { file, where: "demand." });
  return {
    modelsMax: Number(read.one("modelsMax")),
    diskBytes: Number(read.one("diskGb")) * 1e9,
    memoryBytes: maybe(read.maybe("memoryGb"), (value) => Number(value) * 1e9),
    weiPerSecond: maybe(read.maybe("price"), weiOfPrice),
    slots: Number(read.one("slots")),
  };
}

function sectionOf(raw: unknown, name: string, file: string): Raw {
  if (raw === undefined || raw === "") return {};
  if (isObject(raw)) return raw;
  throw invalid(file, `${name} must have keys`);
}

function refuseTwice(models: readonly ConfiguredModel[], file: string): void {
  const names = models.map(({ model }) => {
    const { builder, name, tag } = parseHandle(model);
    return `${builder}/${name}:${tag}`;
  });
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalid(file, `models names ${twice} twice`);
}

function pathOf(text: string, file: string): string {
  if (text === "~" || text.startsWith("~/")) return join(homedir(), text.slice(1));
  return resolve(dirname(file), text);
}

function urlOf(text: string): string {
  return text.replace(/\/+$/, "");
}

function maybe<In, Out>(value: In | undefined, read: (value: In) => Out): Out | undefined {
  return value === undefined ? undefined : read(value);
}

function isObject(value: unknown): value is Raw {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(file: string, what: string): LakeError {
  return new LakeError("config-invalid", `The configuration ${file} cannot be used: ${what}.`, {
    advice: "Every key is explained in docs/operate.md.",
  });
}
