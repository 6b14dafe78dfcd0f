// Routers that co-sign settlements, and the sparse Merkle trees that a benchmark needs: a path of
// given depth costs the same gas as one in a tree of 2^depth leaves.
import { AbiCoder, Contract, keccak256, TypedDataEncoder } from "ethers";
import type { BaseWallet } from "ethers";
import { devMorAbi, nodeRegistryAbi } from "../src/index.ts";
import type { LocalChain } from "./local-chain.ts";
import { walletOf } from "./local-chain.ts";

/** Cumulative totals of a settlement, wei. */
export interface Totals {
  readonly allowanceCredits: bigint;
  readonly modelEmission: bigint;
  readonly agentEmission: bigint;
  readonly paidCredits: bigint;
  readonly debits: bigint;
  readonly deposits: bigint;
}

/** One Router: the cold account that staked and the key that signs. */
export interface RouterPair {
  readonly account: BaseWallet;
  readonly key: BaseWallet;
}

/** A leaf with its proof and the root it leads to. */
export interface Path {
  readonly root: string;
  readonly proof: readonly string[];
}

const settlementTypes = {
  Settlement: [
    { name: "epoch", type: "uint64" },
    { name: "round", type: "uint32" },
    ...[
      "previous",
      "sealsHash",
      "creditRoot",
      "debitRoot",
      "recordRoot",
      "recordCid",
      "rules",
      "baselineHash",
    ].map((name) => ({ name, type: "bytes32" })),
    { name: "totals", type: "Totals" },
  ],
  Totals: [
    ...["allowanceCredits", "modelEmission", "agentEmission", "paidCredits", "debits"].map(
      (name) => ({ name, type: "uint256" }),
    ),
    { name: "deposits", type: "uint64" },
  ],
};
const keyTypes = { SigningKey: [{ name: "account", type: "address" }] };
const coder = AbiCoder.defaultAbiCoder();
const stake = 10n ** 20n;

/** Registers `count` Routers of equal stake; they count from the next epoch on. */
export async function registerRouters(chain: LocalChain, count: number): Promise<RouterPair[]> {
  const registryAddress = await chain.nodeRegistry.getAddress();
  const pairs: RouterPair[] = [];
  for (let i = 0; i < count; ++i) {
    const account = walletOf(`router-${String(i)}`, chain.provider);
    const key = walletOf(`router-key-${String(i)}`, chain.provider);
    await chain.provider.send("anvil_setBalance", [account.address, "0xffffffffffffffff"]);
    await chain.gasOf(chain.mor, "transfer", [account.address, stake]);
    const mor = new Contract(await chain.mor.getAddress(), devMorAbi, account);
    await chain.gasOf(mor, "approve", [registryAddress, stake]);
    const consent = await key.signTypedData(chain.domain, keyTypes, { account: account.address });
    const registry = new Contract(registryAddress, nodeRegistryAbi, account);
    const nobody = "0x0000000000000000000000000000000000000000";
    await chain.gasOf(registry, "register", [2, key.address, consent, stake, nobody]);
    pairs.push({ account, key });
  }
  return pairs.sort((a, b) => (BigInt(a.account.address) < BigInt(b.account.address) ? -1 : 1));
}

/** Signs and posts a settlement for the epoch just ended; the result is its gas. */
export async function postSettlement(
  chain: LocalChain,
  routers: readonly RouterPair[],
  content: { creditRoot: string; debitRoot: string; totals: Totals },
): Promise<number> {
  const compute = chain.computeContract;
  const [epoch, last] = await Promise.all([
    compute.getFunction("currentEpoch")() as Promise<bigint>,
    compute.getFunction("finalSettlement")() as Promise<{ digest: string }>,
  ]);
  const word = (text: string): string =>
    keccak256(coder.encode(["string", "uint64"], [text, epoch]));
  const settlement = {
    epoch: epoch - 1n,
    round: 0,
    previous: last.digest,
    sealsHash: word("seals"),
    creditRoot: content.creditRoot,
    debitRoot: content.debitRoot,
    recordRoot: word("records"),
    recordCid: word("cid"),
    rules: word("rules"),
    baselineHash: word("baseline"),
    totals: content.totals,
  };
  const digest = TypedDataEncoder.hash(chain.domain, settlementTypes, settlement);
  const signatures = routers.map(({ account, key }) => {
    const { r, yParityAndS } = key.signingKey.sign(digest);
    return { router: account.address, r, vs: yParityAndS };
  });
  return chain.gasOf(compute, "settle", [settlement, signatures]);
}

/** A credit leaf at the end of a path of `depth` siblings. */
export function creditPath(account: string, cumulative: bigint, depth: number): Path {
  return pathOf(coder.encode(["address", "uint256"], [account, cumulative]), depth);
}

/** A debit leaf at the end of a path of `depth` siblings. */
export function debitPath(number: bigint, cumulative: bigint, salt: string, depth: number): Path {
  return pathOf(coder.encode(["uint256", "uint256", "bytes32"], [number, cumulative, salt]), depth);
}

function pathOf(encoded: string, depth: number): Path {
  let root = keccak256(keccak256(encoded));
  const proof: string[] = [];
  for (let level = 0; level < depth; ++level) {
    const sibling = keccak256(coder.encode(["uint256", "bytes32"], [level, root]));
    proof.push(sibling);
    const pair = BigInt(root) < BigInt(sibling) ? [root, sibling] : [sibling, root];
    root = keccak256(`0x${pair.map((node) => node.slice(2)).join("")}`);
  }
  return { root, proof };
}
