import type { Address } from "./hex.ts";
import type { EpochSchedule } from "./epochs.ts";
import type { Domain } from "./messages.ts";

/** Where one network lives on its chain: everything a node needs to know to join it. */
export interface Deployment {
  readonly chainId: number;
  readonly rpcUrl: string;
  /** The block in which the first contract was deployed; logs are read from here. */
  readonly deployBlock: number;
  readonly schedule: EpochSchedule;
  readonly mor: Address;
  readonly modelRegistry: Address;
  readonly nodeRegistry: Address;
  readonly computeContract: Address;
  /** IPFS gateways of nodes that hold this network's models, to begin with. */
  readonly holders?: readonly string[];
  /** URLs of Routers, to begin with. */
  readonly routers?: readonly string[];
}

/** The EIP-712 domain of a network's messages. */
export function domainOf(deployment: Deployment): Domain {
  return { chainId: deployment.chainId, computeContract: deployment.computeContract };
}
