import { type Hex, parseHandle } from "@lake-travis/protocol";
import type { RouterState } from "./state.ts";

/** The `builder/name` of a handle; throws `handle-invalid`. */
export function nameIn(model: string): string {
  const handle = parseHandle(model);
  return `${handle.builder}/${handle.name}`;
}

/** The Builder's price in force in an epoch. */
export function builderPrice(state: RouterState, name: string, epoch: number): bigint {
  const prices = state.names.get(name)?.prices ?? [];
  return prices.findLast((price) => price.fromEpoch <= epoch)?.weiPerSecond ?? 0n;
}

/** The version that a handle without digest (`name:tag`) stands for now. */
export function taggedDigest(state: RouterState, model: string): Hex | undefined {
  return state.tags.get(model);
}
