import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { createServer, type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestContext } from "node:test";
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
import { connectChain, connectProvider, type ChainClient } from "@lake-travis/platform/chain";
import { ContractFactory, getCreateAddress, NonceManager, Wallet, type InterfaceAbi } from "ethers";

/** anvil's first well-known development account, which has coin on every anvil chain. */
const deployerKey = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const chainId = 31337;
const epochSeconds = 20;

/** A chain of its own with the four contracts; ends with the test. */
export async function openScratchChain(context: TestContext): Promise<ChainClient> {
  const rpcUrl = await startAnvil(context);
  const chain = connectChain(await deploy(rpcUrl));
  context.after(() => {
    chain.close();
  });
  return chain;
}

/** An account with coin for gas and MOR for bonds. */
export async function fundedKey(chain: ChainClient): Promise<Hex> {
  const wallet = Wallet.createRandom();
  const deployer = new Wallet(deployerKey, chain.provider);
  const sent = await deployer.sendTransaction({ to: wallet.address, value: 10n ** 18n });
  await sent.wait();
  await chain.as(deployerKey).send("mor", "transfer", [wallet.address, 100n * 10n ** 18n]);
  return wallet.privateKey as Hex;
}

async function startAnvil(context: TestContext): Promise<string> {
  const port = await freePort();
  const contracts = createRequire(import.meta.resolve("@lake-travis/contracts"));
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const name = `@foundry-rs/anvil-${process.platform}-${architecture}/bin/anvil`;
  // Blocks come by themselves too: a name is revealed some blocks after its commitment.
  const mining = ["--block-time", "1", "--mixed-mining"];
  const child = spawn(contracts.resolve(name), ["--port", String(port), "--silent", ...mining]);
  context.after(async () => {
    const ended = once(child, "exit");
    child.kill();
    await ended;
  });
  const rpcUrl = `http://127.0.0.1:${port}`;
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_chainId", params: [] });
  for (let tries = 0; tries < 200; tries += 1) {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(rpcUrl, { method: "POST", headers, body }).catch(() => undefined);
    if (answer?.ok === true) return rpcUrl;
    await sleep(50);
  }
  throw new Error("anvil did not start.");
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function deploy(rpcUrl: string): Promise<Deployment> {
  const provider = connectProvider(rpcUrl, chainId);
  const wallet = new Wallet(deployerKey, provider);
  const sender = new NonceManager(wallet);
  const latest = await provider.getBlock("latest");
  const genesis = (latest?.timestamp ?? 0) - epochSeconds;
  const [mor = "", nodeRegistry = "", computeContract = "", modelRegistry = ""] = [0, 1, 2, 3].map(
    (nonce) => getCreateAddress({ from: wallet.address, nonce }),
  );
  const clock = [epochSeconds, genesis] as const;
  const wei = 10n ** 18n;
  const rest = [wallet.address, wallet.address, wallet.address, computeContract];
  const parts: readonly [InterfaceAbi, string, readonly unknown[]][] = [
    [devMorAbi, devMorBytecode, [...clock, ...rest]],
    [nodeRegistryAbi, nodeRegistryBytecode, [...clock, mor, computeContract, wei, wei]],
    [computeContractAbi, computeContractBytecode, [...clock, mor, nodeRegistry, wei, wei]],
    [modelRegistryAbi, modelRegistryBytecode, [...clock, mor, computeContract, 2, wei]],
  ];
  for (const [abi, bytecode, args] of parts) {
    const contract = await new ContractFactory(abi, bytecode, sender).deploy(...args);
    await contract.waitForDeployment();
  }
  const lower = (address: string): Address => address.toLowerCase() as Address;
  const deployment = {
    chainId,
    rpcUrl,
    deployBlock: 0,
    schedule: { genesisMs: genesis * 1000, lengthMs: epochSeconds * 1000 },
    mor: lower(mor),
    modelRegistry: lower(modelRegistry),
    nodeRegistry: lower(nodeRegistry),
    computeContract: lower(computeContract),
  };
  const chain = connectChain(deployment);
  await chain.as(deployerKey).send("mor", "emitDue");
  chain.close();
  provider.destroy();
  return deployment;
}
