// A chain of our own with the contracts on it, for tests and benchmarks: anvil on a free port.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import {
  BaseWallet,
  Contract,
  getCreateAddress,
  JsonRpcProvider,
  Network,
  SigningKey,
} from "ethers";
import { AbiCoder, keccak256, toUtf8Bytes } from "ethers";
import {
  computeContractAbi,
  computeContractBytecode,
  devMorAbi,
  devMorBytecode,
  modelRegistryAbi,
  modelRegistryBytecode,
  nodeRegistryAbi,
  nodeRegistryBytecode,
} from "../src/index.ts";

/** The contracts on a chain of their own, and how to move its clock. */
export interface LocalChain {
  readonly provider: JsonRpcProvider;
  readonly deployer: BaseWallet;
  readonly mor: Contract;
  readonly nodeRegistry: Contract;
  readonly computeContract: Contract;
  readonly modelRegistry: Contract;
  /** Every MOR minted to capital belongs to the deployer. */
  readonly epochSeconds: number;
  readonly domain: { name: string; version: string; chainId: number; verifyingContract: string };
  /** Moves the chain's clock on by whole epochs and mines a block. */
  passEpochs(count: number): Promise<void>;
  /** Sends a transaction and waits; the result is its gas. */
  gasOf(contract: Contract, method: string, args: readonly unknown[]): Promise<number>;
  stop(): Promise<void>;
}

/** A wallet made from a word; the same word gives the same key. */
export function walletOf(word: string, provider: JsonRpcProvider): BaseWallet {
  return new BaseWallet(new SigningKey(keccak256(toUtf8Bytes(word))), provider);
}

const epochSeconds = 3600;
const chainId = 31_337;
const startMsMax = 20_000;
const mor = 10n ** 18n;

/** Starts anvil, deploys, and has the first day's emission in the pools. */
export async function startLocalChain(): Promise<LocalChain> {
  const port = await freePort();
  const child = spawn("anvil", ["--silent", "--port", String(port), "--chain-id", String(chainId)]);
  const network = Network.from(chainId);
  const provider = new JsonRpcProvider(`http://127.0.0.1:${String(port)}`, network, {
    staticNetwork: network,
    cacheTimeout: -1,
    pollingInterval: 20,
  });
  try {
    await answers(provider);
    return await deploy(provider, child);
  } catch (error) {
    provider.destroy();
    child.kill();
    throw error;
  }
}

async function deploy(provider: JsonRpcProvider, child: ChildProcess): Promise<LocalChain> {
  const deployer = walletOf("deployer", provider);
  await provider.send("anvil_setBalance", [deployer.address, "0xffffffffffffffffffff"]);
  const genesis = (await provider.getBlock("latest"))?.timestamp ?? 0;
  const addresses = [0, 1, 2, 3].map((nonce) =>
    getCreateAddress({ from: deployer.address, nonce }),
  );
  const [morAt, registryAt, computeAt, modelsAt] = addresses;
  const me = deployer.address;
  const plan = [
    [devMorAbi, devMorBytecode, [epochSeconds, genesis, me, me, me, computeAt]],
    [nodeRegistryAbi, nodeRegistryBytecode, [epochSeconds, genesis, morAt, computeAt, mor, mor]],
    [
      computeContractAbi,
      computeContractBytecode,
      [epochSeconds, genesis, morAt, registryAt, mor / 100n, mor],
    ],
    [modelRegistryAbi, modelRegistryBytecode, [epochSeconds, genesis, morAt, computeAt, 1, mor]],
  ] as const;
  for (const [abi, bytecode, args] of plan) {
    const types =
      abi.find((entry) => entry.type === "constructor")?.inputs.map((i) => i.type) ?? [];
    const data = bytecode + AbiCoder.defaultAbiCoder().encode(types, args).slice(2);
    await (await deployer.sendTransaction({ data, gasLimit: 12_000_000 })).wait();
  }
  const computeContract = new Contract(String(computeAt), computeContractAbi, deployer);
  const token = new Contract(String(morAt), devMorAbi, deployer);
  await send(token, "emitDue", []);
  await send(computeContract, "checkpoint", []);
  return {
    provider,
    deployer,
    mor: token,
    nodeRegistry: new Contract(String(registryAt), nodeRegistryAbi, deployer),
    computeContract,
    modelRegistry: new Contract(String(modelsAt), modelRegistryAbi, deployer),
    epochSeconds,
    domain: { name: "Lake Travis", version: "1", chainId, verifyingContract: String(computeAt) },
    passEpochs: async (count) => {
      await provider.send("evm_increaseTime", [count * epochSeconds]);
      await provider.send("evm_mine", []);
    },
    gasOf: send,
    stop: () => stop(provider, child),
  };
}

async function send(contract: Contract, method: string, args: readonly unknown[]): Promise<number> {
  const call = contract.getFunction(method);
  const receipt = await (await call.send(...args, { gasLimit: 20_000_000 })).wait();
  if (receipt === null) throw new Error(`${method} was not mined`);
  return Number(receipt.gasUsed);
}

async function stop(provider: JsonRpcProvider, child: ChildProcess): Promise<void> {
  provider.destroy();
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill();
  await ended;
}

async function answers(provider: JsonRpcProvider): Promise<void> {
  const until = Date.now() + startMsMax;
  for (;;) {
    try {
      await provider.send("eth_blockNumber", []);
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        resolve(port);
      });
    });
  });
}
