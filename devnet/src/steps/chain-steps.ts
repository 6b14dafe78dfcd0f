import { existsSync, readFileSync } from "node:fs";
import { type Deployment, epochAt, formatMorShort, LakeError } from "@lake-travis/protocol";
import { type ChainClient, connectChain, requireContracts } from "@lake-travis/platform/chain";
import { requireSamePast } from "../chain-memory.ts";
import { deployContracts } from "../deploy.ts";
import { chainNow, fundPool, giveGas, giveMor, morOf, register } from "../ground-work.ts";
import { localChainId } from "../local-chain.ts";
import { localTerms } from "../local-terms.ts";
import { verify } from "../step-printer.ts";
import { until, type Workplace } from "../workplace.ts";

/** The chain is up and holds the contracts. */
export async function chainStep(place: Workplace): Promise<ChainClient> {
  let chain: ChainClient | undefined;
  await place.printer.step("chain", async () => {
    const { rpcUrl } = await place.network.startChain();
    const known = readKnown(place.network.deploymentPath);
    const { deployer, capital } = place.actors;
    const gas = connectChain({ ...(known ?? nowhere), rpcUrl });
    await giveGas(gas, place.actors);
    gas.close();
    const deployment =
      known === undefined
        ? await deployContracts({
            rpcUrl,
            chainId: localChainId,
            deployerKey: deployer.key,
            capital: capital.account,
          })
        : { ...known, rpcUrl };
    place.network.writeDeployment(deployment);
    chain = connectChain(deployment);
    if (known !== undefined) await requireSamePast(chain, place.network.dataDir);
    await requireContracts(chain);
    // The newest block may be as old as the last run; views tell the time by it.
    await chain.provider.send("evm_mine", []);
    const { computeContract } = deployment;
    const how = known === undefined ? "deployed" : "found again";
    return {
      line: `Local chain up, contracts ${how}: Compute Contract ${computeContract}`,
      figures: { rpcUrl, computeContract, epochSeconds: localTerms.epochSeconds },
    };
  });
  return chain as unknown as ChainClient;
}

/** The emission source has funded the compute and the community bucket. */
export async function fundingStep(place: Workplace, chain: ChainClient): Promise<void> {
  await place.printer.step("emission", async () => {
    const pool = await fundPool(chain, chain.as(place.actors.deployer.key));
    const supply = (await chain.read("mor", "totalSupply")) as bigint;
    verify(pool > 0n && pool < supply, "the compute pool holds a part of all MOR");
    const share = `${formatMorShort(pool)} of ${formatMorShort(supply)} MOR`;
    return {
      line: `Emission funded the buckets: compute pool ${share}`,
      figures: { computePoolWei: pool.toString(), supplyWei: supply.toString() },
    };
  });
}

/** Router and Providers have staked from cold accounts and named their signing keys. */
export async function stakingStep(place: Workplace, chain: ChainClient): Promise<void> {
  await place.printer.step("stakes", async () => {
    const { actors, network } = place;
    const capital = chain.as(actors.capital.key);
    const nodes = [
      [actors.router, 2, localTerms.routerStake],
      [actors["provider-1"], 1, localTerms.providerStake],
      [actors["provider-2"], 1, localTerms.providerStake],
    ] as const;
    for (const [actor, role, stake] of nodes) {
      const node = (await chain.read("nodeRegistry", "nodes", [actor.account])) as {
        stake: bigint;
      };
      if (node.stake === 0n) await giveMor(chain, capital, actor.account, stake);
      await register(chain, actor, { role, stake, dataDir: network.dataDir });
    }
    // Allowances follow what is held when an epoch begins, so the User has its MOR before that.
    const { user } = actors;
    if ((await morOf(chain, user.account)) === 0n) {
      await giveMor(chain, capital, user.account, localTerms.userMor);
    }
    const routers = Number(await chain.read("nodeRegistry", "activeRouters"));
    verify(routers === 1, "one Router is active");
    const [high, low] = [localTerms.routerStake, localTerms.providerStake].map(formatMorShort);
    return {
      line: `Router staked ${high} MOR, two Providers ${low} each; signing keys named`,
      figures: { routers, router: actors.router.account },
    };
  });
}

/** Waits until the Router's stake counts and the epoch has a budget. */
export async function budgetReady(chain: ChainClient): Promise<bigint> {
  return until("the epoch has a budget", 3_000 * localTerms.epochSeconds, async () => {
    const epoch = epochAt(chain.deployment.schedule, await chainNow(chain));
    const budget = (await chain.read("computeContract", "budgetOf", [epoch])) as bigint;
    return budget > 0n ? budget : undefined;
  });
}

// Only the coin for gas is given before there is a deployment.
const nowhere: Deployment = {
  chainId: localChainId,
  rpcUrl: "",
  deployBlock: 0,
  schedule: { genesisMs: 0, lengthMs: 1 },
  mor: "0x0000000000000000000000000000000000000001",
  modelRegistry: "0x0000000000000000000000000000000000000001",
  nodeRegistry: "0x0000000000000000000000000000000000000001",
  computeContract: "0x0000000000000000000000000000000000000001",
};

function readKnown(path: string): Deployment | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Deployment;
  } catch (cause) {
    throw new LakeError("folder-unusable", `${path} cannot be read.`, {
      advice: "Remove the data folder to begin a new local network.",
      cause,
    });
  }
}
