import { type Address, fromHex, keccak256Hex } from "@lake-travis/protocol";
import type { RouterState } from "./state.ts";

/**
 * The shard that owns a User: the highest keccak(user, shard). With one shard more, each User moves
 * to that one or stays where it is.
 */
export function shardOf(user: Address, count: number): number {
  let best = 0;
  let highest = "";
  const bytes = new Uint8Array(24);
  bytes.set(fromHex(user), 0);
  for (let shard = 0; shard < count; shard += 1) {
    new DataView(bytes.buffer).setUint32(20, shard);
    const weight = keccak256Hex(bytes);
    if (weight <= highest) continue;
    highest = weight;
    best = shard;
  }
  return best;
}

/** Whether the other shards have handed over all Records up to the end of an epoch. Reads only. */
export function isHandedOver(state: RouterState, epoch: number): boolean {
  for (let shard = 1; shard < state.shard.count; shard += 1) {
    if ((state.sealed.get(shard) ?? -1) < epoch) return false;
  }
  return true;
}
