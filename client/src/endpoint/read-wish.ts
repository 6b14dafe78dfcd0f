/*
 * What a request wishes of its Provider: OpenRouter's `provider` object where its names fit, the
 * same by headers for clients that can set nothing but those. A header goes before the object.
 */
import {
  type Address,
  formatHandle,
  isHex,
  LakeError,
  parseHandle,
  parseMor,
  type RoutingWish,
  weiPerSecondDown,
  wishSorts,
} from "@lake-travis/protocol";
import { isObject, type JsonObject } from "@lake-travis/protocol/inference";
import type { Wish } from "../open-by-name.ts";

/** What holds where a request wishes nothing. */
export interface WishDefaults {
  /** The whole price that is paid at most. */
  readonly maxWeiPerSecond: bigint;
  /** Handles by short name. */
  readonly aliases: Readonly<Record<string, string>>;
}

/** Reads the wish of a request; throws `body-invalid` or `handle-invalid` naming the field. */
export function readWish(body: JsonObject, headers: Headers, defaults: WishDefaults): Wish {
  const provider = body["provider"] ?? {};
  if (!isObject(provider)) throw invalid("provider", "must be an object");
  const read = (field: string, header: string): unknown => headers.get(header) ?? provider[field];
  const price = read("max_price", "lake-max-price");
  const speed = read("preferred_min_throughput", "lake-min-throughput");
  const latency = read("preferred_max_latency", "lake-max-latency");
  const routing = readRouting(provider, read);
  return {
    model: readModel(body["model"], defaults.aliases),
    maxWeiPerSecond: price === undefined ? defaults.maxWeiPerSecond : readPrice(price),
    minMilliTps: speed === undefined ? 0 : readThousandths(speed, "preferred_min_throughput"),
    maxLatencyMs: latency === undefined ? 0 : readThousandths(latency, "preferred_max_latency"),
    maxSeconds: sessionSecondsWished,
    ...(Object.keys(routing).length === 0 ? {} : { routing }),
  };
}

/** Longest Session asked for; the Router shortens it to what the budget covers. */
const sessionSecondsWished = 600;

function readModel(model: unknown, aliases: Readonly<Record<string, string>>): string {
  if (typeof model !== "string") {
    throw new LakeError("body-invalid", "The field 'model' must name a model.", {
      advice: "GET /v1/models lists what the network offers now.",
      data: { param: "model" },
    });
  }
  const handle = parseHandle(Object.hasOwn(aliases, model) ? (aliases[model] ?? model) : model);
  const pin = handle.digest === undefined ? "" : `@sha256:${handle.digest.slice(2)}`;
  return formatHandle(handle) + pin;
}

function readPrice(price: unknown): bigint {
  if (typeof price !== "string" && typeof price !== "number") {
    throw invalid("provider.max_price", "must be an amount of MOR an hour");
  }
  return weiPerSecondDown(parseMor(String(price)));
}

/** Tokens per second and seconds: both go to the Router in thousandths. */
function readThousandths(value: unknown, name: string): number {
  const number = typeof value === "string" ? Number(value) : value;
  if (typeof number !== "number" || !(number >= 0 && number <= thousandthsMax)) {
    throw invalid(`provider.${name}`, `must be a number from 0 to ${thousandthsMax}`);
  }
  return Math.round(number * 1000);
}

/** Beyond a million tokens per second, or seconds of latency, a wish means nothing. */
const thousandthsMax = 1_000_000;

function readRouting(
  provider: JsonObject,
  read: (field: string, header: string) => unknown,
): RoutingWish {
  const order = readProviders(read("order", "lake-provider-order"), "order");
  const only = readProviders(read("only", "lake-provider-only"), "only");
  const ignore = readProviders(read("ignore", "lake-provider-ignore"), "ignore");
  const sort = readSort(read("sort", "lake-sort"));
  // OpenRouter's way to say that nobody but those in `order` will do.
  const closed = provider["allow_fallbacks"] === false && only === undefined;
  const allowed = closed ? order : only;
  return {
    ...(order === undefined ? {} : { order }),
    ...(allowed === undefined ? {} : { only: allowed }),
    ...(ignore === undefined ? {} : { ignore }),
    ...(sort === undefined ? {} : { sort }),
  };
}

function readProviders(value: unknown, name: string): readonly Address[] | undefined {
  if (value === undefined || value === null) return undefined;
  const list: unknown = typeof value === "string" ? value.split(",") : value;
  const items: readonly unknown[] | undefined = Array.isArray(list) ? list : undefined;
  const addresses = items?.map((item) => {
    const text = typeof item === "string" ? item.trim().toLowerCase() : undefined;
    if (text !== undefined && isHex(text, 20)) return text;
    throw invalid(`provider.${name}`, "must be a list of Providers' addresses");
  });
  if (addresses !== undefined) return addresses.length === 0 ? undefined : addresses;
  throw invalid(`provider.${name}`, "must be a list of Providers' addresses");
}

function readSort(value: unknown): RoutingWish["sort"] {
  if (value === undefined || value === null) return undefined;
  const sort = wishSorts.find((name) => name === value);
  if (sort === undefined) throw invalid("provider.sort", `must be ${wishSorts.join(", ")}`);
  return sort;
}

function invalid(param: string, expected: string): LakeError {
  return new LakeError("body-invalid", `The field '${param}' ${expected}.`, {
    advice: "GET /v1/models names the Providers of each model.",
    data: { param },
  });
}
