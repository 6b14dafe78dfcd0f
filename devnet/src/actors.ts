import { join } from "node:path";
import type { Address, Hex } from "@lake-travis/protocol";
import { loadOrCreateKey, signerFromKey } from "@lake-travis/platform";
import { mkdirSync } from "node:fs";

/** The people of the local network: each has a wallet whose key lies in a file of its own. */
export const actorNames = [
  "deployer",
  "capital",
  "poster",
  "builder",
  "router",
  "provider-1",
  "provider-2",
  "user",
] as const;

/** See {@link actorNames}. */
export type ActorName = (typeof actorNames)[number];

/** One wallet of the local network. */
export interface Actor {
  readonly name: ActorName;
  readonly keyFile: string;
  readonly key: Hex;
  readonly account: Address;
}

/** Reads or makes the wallets of a local network. */
export function loadActors(dataDir: string): Readonly<Record<ActorName, Actor>> {
  const folder = join(dataDir, "wallets");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const entries = actorNames.map((name) => {
    const keyFile = join(folder, `${name}.key`);
    const key = loadOrCreateKey(keyFile);
    return [name, { name, keyFile, key, account: signerFromKey(key).address }] as const;
  });
  return Object.fromEntries(entries) as Record<ActorName, Actor>;
}

/** Where a node's process keeps its state, its signing key among it. */
export function nodeFolder(dataDir: string, name: ActorName | "client"): string {
  const folder = join(dataDir, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}
