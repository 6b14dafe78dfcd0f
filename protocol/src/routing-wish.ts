import canonicalize from "canonicalize";
import { LakeError } from "./errors.ts";
import { type Address, type Hex, isHex, zeroBytes32 } from "./hex.ts";
import { keccak256Hex } from "./keccak.ts";

/** What a ranking puts first among the Offers that fit; the names are those of OpenRouter. */
export const wishSorts = ["price", "throughput", "latency"] as const;

/**
 * What a User wishes beyond price, speed and time. It travels beside its RFC, which signs its hash.
 * Naming Providers in `only` or `order` makes a Session payable from a deposit alone.
 */
export interface RoutingWish {
  /** Providers to ask first, in this order. */
  readonly order?: readonly Address[];
  /** No other Providers than these. */
  readonly only?: readonly Address[];
  /** None of these Providers. */
  readonly ignore?: readonly Address[];
  /** What to put first; the default is the Router's own order. */
  readonly sort?: (typeof wishSorts)[number];
}

/** Providers that one list of a wish may name: more is not a wish but a directory. */
const listedMax = 32;

/** The keccak-256 of the wish's RFC 8785 bytes; zero where there is none. */
export function routingWishHash(wish: RoutingWish | undefined): Hex {
  if (wish === undefined) return zeroBytes32;
  // Every field is ASCII by its grammar, so bytes and characters are the same.
  const text = canonicalize(wish) as string;
  return keccak256Hex(Uint8Array.from(text, (char) => char.charCodeAt(0)));
}

/** Reads a wish from outside; throws `message-invalid` where it is none. */
export function routingWishFromJson(value: unknown): RoutingWish {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid("wish must be an object.");
  }
  const { order, only, ignore, sort, ...rest } = value as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) throw invalid("wish has a field that is not known.");
  return {
    ...(order === undefined ? {} : { order: providersFromJson(order, "wish.order") }),
    ...(only === undefined ? {} : { only: providersFromJson(only, "wish.only") }),
    ...(ignore === undefined ? {} : { ignore: providersFromJson(ignore, "wish.ignore") }),
    ...(sort === undefined ? {} : { sort: sortFromJson(sort) }),
  };
}

function providersFromJson(value: unknown, where: string): readonly Address[] {
  const ok = Array.isArray(value) && value.length <= listedMax;
  if (!ok || !value.every((item) => isHex(item, 20))) {
    throw invalid(`${where} must be a list of at most ${listedMax} addresses in lower case.`);
  }
  return value;
}

function sortFromJson(value: unknown): (typeof wishSorts)[number] {
  const sort = wishSorts.find((name) => name === value);
  if (sort === undefined) throw invalid(`wish.sort must be one of ${wishSorts.join(", ")}.`);
  return sort;
}

function invalid(sentence: string): LakeError {
  return new LakeError("message-invalid", sentence);
}
