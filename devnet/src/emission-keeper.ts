import { setTimeout as sleep } from "node:timers/promises";
import { type Hex, LakeError } from "@lake-travis/protocol";
import { connectChain, readDeployment } from "@lake-travis/platform/chain";
import { fundPool } from "./ground-work.ts";
import type { LocalNetwork } from "./local-network.ts";
import { localTerms } from "./local-terms.ts";

/** Sends each new epoch's emission to the Compute Contract while the network is up. */
export function startEmissionKeeper(
  network: LocalNetwork,
  deployerKey: Hex,
): { stop(): Promise<void> } {
  const chain = connectChain(readDeployment(network.deploymentPath));
  const deployer = chain.as(deployerKey);
  const stopping = new AbortController();
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await sleep(localTerms.epochSeconds * 1000, undefined, { signal: stopping.signal }).catch(
        () => undefined,
      );
      if (stopping.signal.aborted) return;
      await fundPool(chain, deployer).catch((error: unknown) => {
        // A chain that is away gets its emission with the next epoch; nothing is lost.
        if (!(error instanceof LakeError)) throw error;
      });
    }
  })();
  return {
    stop: async () => {
      stopping.abort();
      await running;
      chain.close();
    },
  };
}
