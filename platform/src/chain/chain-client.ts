/*
 * The chain as our own code sees it: reads, and transactions that are sent one after another per
 * account and waited for. Everything that can go wrong becomes `chain-unreachable` (try again) or
 * `chain-refused` (the contract says no, by its error's name).
 */
import {
  Contract,
  FetchRequest,
  type InterfaceAbi,
  isCallException,
  JsonRpcProvider,
  Network,
  Wallet,
} from "ethers";
import {
  computeContractAbi,
  devMorAbi,
  modelRegistryAbi,
  nodeRegistryAbi,
} from "@lake-travis/contracts";
import {
  type Address,
  type ChainReceipt,
  type Deployment,
  type Hex,
  LakeError,
} from "@lake-travis/protocol";

/** The contracts of one network, bound to its chain for reading. */
export interface Contracts {
  readonly mor: Contract;
  readonly modelRegistry: Contract;
  readonly nodeRegistry: Contract;
  readonly computeContract: Contract;
}

/** A connection to a network's chain. */
export interface ChainClient {
  readonly deployment: Deployment;
  readonly provider: JsonRpcProvider;
  readonly contracts: Contracts;
  /** Calls a view function; the result is ethers' own (bigints, addresses, tuples). */
  read(contract: keyof Contracts, method: string, args?: readonly unknown[]): Promise<unknown>;
  /** An account that sends transactions. */
  as(privateKey: Hex): ChainSender;
  close(): void;
}

/** Sends an account's transactions in order. */
export interface ChainSender {
  readonly address: Address;
  /** Sends and waits until it is mined. Throws `chain-refused` with the contract's reason. */
  send(contract: keyof Contracts, method: string, args?: readonly unknown[]): Promise<ChainReceipt>;
}

const requestMsMax = 15_000;
const minedMsMax = 60_000;

/** Opens a connection; nothing is asked of the chain before the first call. */
export function connectChain(deployment: Deployment): ChainClient {
  const provider = connectProvider(deployment.rpcUrl, deployment.chainId);
  const bind = (address: Address, abi: unknown): Contract =>
    new Contract(address, abi as InterfaceAbi, provider);
  const contracts: Contracts = {
    mor: bind(deployment.mor, devMorAbi),
    modelRegistry: bind(deployment.modelRegistry, modelRegistryAbi),
    nodeRegistry: bind(deployment.nodeRegistry, nodeRegistryAbi),
    computeContract: bind(deployment.computeContract, computeContractAbi),
  };
  return {
    deployment,
    provider,
    contracts,
    read: (name, method, args = []) =>
      named(contracts[name], () => contracts[name].getFunction(method).staticCall(...args)),
    as: (privateKey) => createSender(new Wallet(privateKey, provider), contracts),
    close: () => provider.destroy(),
  };
}

/** A JSON-RPC provider whose waits are short enough for a local chain. */
export function connectProvider(rpcUrl: string, chainId: number): JsonRpcProvider {
  const request = new FetchRequest(rpcUrl);
  request.timeout = requestMsMax;
  return new JsonRpcProvider(request, chainId, {
    staticNetwork: Network.from(chainId),
    pollingInterval: 250,
    cacheTimeout: -1,
    batchMaxCount: 50,
  });
}

/** Turns what ethers throws into a `LakeError`. */
export function chainError(error: unknown, contract?: Contract): LakeError {
  if (error instanceof LakeError) return error;
  if (isCallException(error)) {
    const reason = refusalOf(error.data, contract) ?? error.reason ?? error.shortMessage;
    return new LakeError("chain-refused", `The contract refused: ${reason}.`, {
      cause: error,
      data: { reason },
    });
  }
  const known = error as { shortMessage?: string; code?: string; message?: string };
  const reason = known.shortMessage ?? known.message ?? "unknown";
  if (known.code === "INSUFFICIENT_FUNDS") {
    return new LakeError("chain-refused", "The sending account cannot pay for gas.", {
      advice: "Send it some of the chain's coin.",
      cause: error,
    });
  }
  return new LakeError("chain-unreachable", `The chain does not answer (${reason}).`, {
    advice: "Check the RPC address and that the chain's node runs.",
    cause: error,
  });
}

function refusalOf(data: string | null, contract: Contract | undefined): string | undefined {
  if (data === null || contract === undefined) return undefined;
  const parsed = contract.interface.parseError(data);
  if (parsed === null) return undefined;
  return `${parsed.name}(${parsed.args.map(String).join(", ")})`;
}

async function named<T>(contract: Contract, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw chainError(error, contract);
  }
}

function createSender(wallet: Wallet, contracts: Contracts): ChainSender {
  // Two transactions of one account at once would take the same nonce.
  let last: Promise<unknown> = Promise.resolve();
  return {
    address: wallet.address.toLowerCase() as Address,
    send(name, method, args = []) {
      const { interface: abi, target } = contracts[name];
      const contract = new Contract(target, abi, wallet);
      const result = last.then(() => named(contract, () => sendOne(contract, method, args)));
      last = result.catch(() => undefined);
      return result;
    },
  };
}

async function sendOne(
  contract: Contract,
  method: string,
  args: readonly unknown[],
): Promise<ChainReceipt> {
  const sent = await contract.getFunction(method).send(...args);
  const receipt = await sent.wait(1, minedMsMax);
  if (receipt === null) throw new Error("the transaction was not mined");
  return {
    transaction: receipt.hash as Hex,
    block: receipt.blockNumber,
    gasUsed: Number(receipt.gasUsed),
  };
}
