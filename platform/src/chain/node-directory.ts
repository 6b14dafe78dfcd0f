import type { Address, NodeDirectory } from "@lake-travis/protocol";
import type { ChainClient } from "./chain-client.ts";

/** A rotated key is in force from the next epoch on, so this much staleness does no harm. */
const keptMs = 5_000;
/** Nodes whose keys are remembered; a client meets far fewer. */
const keptMax = 10_000;

/** The Node Registry on a chain, with answers kept for some seconds. */
export function createNodeDirectory(chain: ChainClient): NodeDirectory {
  const kept = new Map<Address, { key: Address | undefined; at: number }>();
  return {
    async signingKeyOf(account) {
      const known = kept.get(account);
      if (known !== undefined && Date.now() - known.at < keptMs) return known.key;
      const node = (await chain.read("nodeRegistry", "nodes", [account])) as {
        signingKey: string;
        slashed: boolean;
        stake: bigint;
      };
      const registered = node.stake > 0n && !node.slashed;
      const key = registered ? (node.signingKey.toLowerCase() as Address) : undefined;
      if (kept.size >= keptMax) kept.clear();
      kept.set(account, { key, at: Date.now() });
      return key;
    },
  };
}
