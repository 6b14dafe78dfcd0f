/*
 * Puts the contracts on the local chain. They name each other, so their addresses are computed from
 * the deployer's nonces before the first one is there.
 */
import { ContractFactory, getCreateAddress, type InterfaceAbi, NonceManager, Wallet } from "ethers";
import {
  computeContractAbi,
  computeContractBytecode,
  devMorAbi,
  devMorBytecode,
  modelRegistryAbi,
  modelRegistryBytecode,
  nodeRegistryAbi,
  nodeRegistryBytecode,
} from "@lake-travis/contracts";
import type { Address, Deployment, Hex } from "@lake-travis/protocol";
import { connectProvider } from "@lake-travis/platform/chain";
import { localTerms } from "./local-terms.ts";

/** Who deploys and who gets the emissions that do not go to the Compute Contract. */
export interface DeployPlan {
  readonly rpcUrl: string;
  readonly chainId: number;
  readonly deployerKey: Hex;
  /** Receives 24% for capital: the local network's faucet. */
  readonly capital: Address;
}

// Epoch 0 holds nothing but the start; the network works from epoch 1 on.
const epochZeroSeconds = 8;

/** Deploys DevMor and the three contracts; the result says where everything is. */
export async function deployContracts(plan: DeployPlan): Promise<Deployment> {
  const provider = connectProvider(plan.rpcUrl, plan.chainId);
  const wallet = new Wallet(plan.deployerKey, provider);
  const sender = new NonceManager(wallet);
  const [nonce, latest] = await Promise.all([sender.getNonce(), provider.getBlock("latest")]);
  if (latest === null) throw new Error("the chain has no block yet");
  const addressAt = (index: number): string =>
    getCreateAddress({ from: wallet.address, nonce: nonce + index });
  const [mor, nodeRegistry, computeContract, modelRegistry] = [0, 1, 2, 3].map(addressAt);
  const { epochSeconds } = localTerms;
  const genesis = latest.timestamp - epochSeconds + epochZeroSeconds;
  const clock = [epochSeconds, genesis] as const;
  const parts: readonly [InterfaceAbi, string, readonly unknown[]][] = [
    [
      devMorAbi,
      devMorBytecode,
      [...clock, plan.capital, wallet.address, wallet.address, computeContract],
    ],
    [nodeRegistryAbi, nodeRegistryBytecode, [...clock, mor, computeContract, ...stakes]],
    [computeContractAbi, computeContractBytecode, [...clock, mor, nodeRegistry, ...bonds]],
    [modelRegistryAbi, modelRegistryBytecode, [...clock, mor, computeContract, ...naming]],
  ];
  for (const [abi, bytecode, args] of parts) {
    const contract = await new ContractFactory(abi, bytecode, sender).deploy(...args);
    await contract.waitForDeployment();
  }
  provider.destroy();
  const lower = (address: string | undefined): Address => String(address).toLowerCase() as Address;
  return {
    chainId: plan.chainId,
    rpcUrl: plan.rpcUrl,
    deployBlock: latest.number + 1,
    schedule: { genesisMs: genesis * 1000, lengthMs: epochSeconds * 1000 },
    mor: lower(mor),
    modelRegistry: lower(modelRegistry),
    nodeRegistry: lower(nodeRegistry),
    computeContract: lower(computeContract),
  };
}

const stakes = [localTerms.routerStake, localTerms.providerStake];
const bonds = [localTerms.posterRepayment, localTerms.demandBond];
const naming = [localTerms.revealDelayBlocks, localTerms.nameBond];
