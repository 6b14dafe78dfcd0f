import { parseArgs } from "node:util";
import { type Address, isHex, LakeError, parseHandle } from "@lake-travis/protocol";
import type { EnginePackage } from "./engine/create-engine-child.ts";

/** What the Provider's process is told on its command line. */
export interface ProviderFlags {
  readonly deployment: string;
  readonly dataDir: string;
  readonly router: string;
  readonly account: Address;
  readonly host: string;
  readonly port: number;
  readonly publicUrl: string | undefined;
  /** What is served, and for how much. */
  readonly models: readonly { readonly model: string; readonly weiPerSecond: bigint }[];
  readonly minSeconds: number;
  readonly slots: number;
  readonly holders: readonly string[];
  readonly gpu: "auto" | false;
  /** A server in OpenAI's language that computes instead of llama.cpp here. */
  readonly engine: EngineFlags | undefined;
  /** An npm package, installed under the data folder, that computes instead. */
  readonly enginePackage: EnginePackage | undefined;
}

/** Where an engine's server is, and how it lets this Provider in. */
export interface EngineFlags {
  readonly baseUrl: string;
  /** A file that holds the server's key, which no command line should show. */
  readonly keyFile: string | undefined;
  /** The server's own name for the model. */
  readonly model: string | undefined;
}

/** More slots than any engine batches well; each takes memory for a whole context. */
const slotsMax = 256;
const minSecondsMax = 3_600;

/** Reads the command line; throws `argument-invalid` naming the flag. */
export function readFlags(args: readonly string[]): ProviderFlags {
  const values = parse(args);
  const need = (name: keyof typeof values): string => {
    const value = values[name];
    if (typeof value === "string" && value !== "") return value;
    throw invalid(`--${name} is missing.`);
  };
  const account = need("account").toLowerCase();
  if (!isHex(account, 20)) throw invalid("--account must be an address of 20 bytes.");
  return {
    deployment: need("deployment"),
    dataDir: need("data-dir"),
    router: urlOf(need("router"), "router"),
    account,
    host: need("host"),
    port: wholeNumber(need("port"), { name: "port", min: 0, max: 65_535 }),
    publicUrl:
      values["public-url"] === undefined ? undefined : urlOf(values["public-url"], "public-url"),
    models: modelsOf(values.model, values["wei-per-second"]),
    minSeconds: wholeNumber(need("min-seconds"), {
      name: "min-seconds",
      min: 0,
      max: minSecondsMax,
    }),
    slots: wholeNumber(need("slots"), { name: "slots", min: 1, max: slotsMax }),
    holders: values.holder.map((url) => urlOf(url, "holder")),
    gpu: values["no-gpu"] ? false : "auto",
    engine: engineOf(values),
    enginePackage: packageOf(values, need("data-dir")),
  };
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        deployment: { type: "string" },
        "data-dir": { type: "string" },
        router: { type: "string" },
        account: { type: "string" },
        host: { type: "string", default: "127.0.0.1" },
        port: { type: "string", default: "0" },
        "public-url": { type: "string" },
        model: { type: "string", multiple: true, default: [] },
        "wei-per-second": { type: "string", multiple: true, default: [] },
        "min-seconds": { type: "string", default: "1" },
        slots: { type: "string", default: "4" },
        holder: { type: "string", multiple: true, default: [] },
        engine: { type: "string" },
        "engine-url": { type: "string" },
        "engine-key-file": { type: "string" },
        "engine-model": { type: "string" },
        "no-gpu": { type: "boolean", default: false },
      },
    });
    return values;
  } catch (cause) {
    throw invalid((cause as Error).message);
  }
}

// The first price is the first model's, and so on.
function modelsOf(names: readonly string[], prices: readonly string[]): ProviderFlags["models"] {
  if (names.length === 0) throw invalid("--model is missing.");
  if (names.length !== prices.length) {
    throw invalid("--wei-per-second must be given once for each --model.");
  }
  return names.map((model, index) => {
    parseHandle(model);
    const price = prices[index] ?? "";
    if (!/^[0-9]{1,78}$/.test(price))
      throw invalid("--wei-per-second must be a whole number of wei.");
    return { model, weiPerSecond: BigInt(price) };
  });
}

function engineOf(values: ReturnType<typeof parse>): EngineFlags | undefined {
  const url = values["engine-url"];
  if (url === undefined) return undefined;
  return {
    baseUrl: urlOf(url, "engine-url"),
    keyFile: values["engine-key-file"],
    model: values["engine-model"],
  };
}

function packageOf(
  values: ReturnType<typeof parse>,
  folder: string,
): ProviderFlags["enginePackage"] {
  const { engine } = values;
  if (engine === undefined) return undefined;
  const [kind, name = ""] = engine.split(/:(.*)/s, 2);
  if (kind !== "package" || name === "") {
    throw invalid("--engine must be package:<name of an npm package>.");
  }
  if (values["engine-url"] !== undefined) {
    throw invalid("--engine and --engine-url cannot both compute.");
  }
  return { name, folder };
}

function wholeNumber(
  text: string,
  range: { readonly name: string; readonly min: number; readonly max: number },
): number {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : -1;
  if (value >= range.min && value <= range.max) return value;
  throw invalid(`--${range.name} must be a whole number from ${range.min} to ${range.max}.`);
}

function urlOf(text: string, name: string): string {
  if (!URL.canParse(text)) throw invalid(`--${name} must be a URL.`);
  return text.replace(/\/+$/, "");
}

function invalid(sentence: string): LakeError {
  return new LakeError("argument-invalid", sentence);
}
