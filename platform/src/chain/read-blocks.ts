import type { Contract, Log } from "ethers";
import {
  type Address,
  type ChainBlock,
  type ChainEvent,
  epochAt,
  epochStartMs,
  type Hex,
} from "@lake-travis/protocol";
import { chainError, type ChainClient, type Contracts } from "./chain-client.ts";

/**
 * Reads the blocks `from`..`to` that hold an event of ours or begin an epoch, and `to` itself.
 * Throws `chain-unreachable`.
 */
export async function readBlocks(
  chain: ChainClient,
  from: number,
  to: number,
): Promise<ChainBlock[]> {
  try {
    const address = Object.values(chain.contracts).map((contract: Contract) => contract.target);
    const logs = await chain.provider.getLogs({
      address: address as string[],
      fromBlock: from,
      toBlock: to,
    });
    const byBlock = new Map<number, ChainEvent[]>();
    const events = await Promise.all(logs.map((log) => decode(chain, log)));
    logs.forEach((log, index) => {
      const event = events[index];
      if (event === undefined) return;
      byBlock.set(log.blockNumber, [...(byBlock.get(log.blockNumber) ?? []), event]);
    });
    for (const first of await firstBlocksOfEpochs(chain, from, to)) {
      if (!byBlock.has(first)) byBlock.set(first, []);
    }
    if (!byBlock.has(to)) byBlock.set(to, []);
    const numbers = [...byBlock.keys()].sort((a, b) => a - b);
    return await Promise.all(
      numbers.map(async (number) => ({
        ...(await headOf(chain, number)),
        events: byBlock.get(number) ?? [],
      })),
    );
  } catch (error) {
    throw chainError(error);
  }
}

interface Head {
  readonly number: number;
  readonly hash: Hex;
  readonly timestampMs: number;
}

async function headOf(chain: ChainClient, number: number): Promise<Head> {
  const block = await chain.provider.getBlock(number);
  if (block === null) throw new Error(`block ${number} is not there`);
  return { number, hash: block.hash as Hex, timestampMs: block.timestamp * 1000 };
}

/** More epochs than this in one batch are those of a network that slept; only the last matters. */
const epochsPerBatchMax = 64;

// Timestamps never fall, so the first block of each epoch is found by halving.
async function firstBlocksOfEpochs(
  chain: ChainClient,
  from: number,
  to: number,
): Promise<readonly number[]> {
  const { schedule } = chain.deployment;
  const [before, last] = await Promise.all([
    headOf(chain, Math.max(0, from - 1)),
    headOf(chain, to),
  ]);
  const lastEpoch = epochAt(schedule, last.timestampMs);
  const firstEpoch = Math.max(
    epochAt(schedule, before.timestampMs) + 1,
    lastEpoch - epochsPerBatchMax,
  );
  const found: number[] = [];
  let low = from;
  for (let epoch = firstEpoch; epoch <= lastEpoch; epoch += 1) {
    const startMs = epochStartMs(schedule, epoch);
    low = await firstBlockFrom(chain, startMs, low, to);
    found.push(low);
  }
  return found;
}

async function firstBlockFrom(
  chain: ChainClient,
  startMs: number,
  lowest: number,
  highest: number,
): Promise<number> {
  let low = lowest;
  let high = highest;
  while (low < high) {
    const middle = (low + high) >> 1;
    const { timestampMs } = await headOf(chain, middle);
    if (timestampMs >= startMs) high = middle;
    else low = middle + 1;
  }
  return low;
}

async function decode(chain: ChainClient, log: Log): Promise<ChainEvent | undefined> {
  const name = contractAt(chain, log.address);
  const parsed = name === undefined ? null : chain.contracts[name].interface.parseLog(log);
  if (name === undefined || parsed === null) return undefined;
  return decoders[`${name}.${parsed.name}`]?.(parsed.args, chain);
}

function contractAt(chain: ChainClient, address: string): keyof Contracts | undefined {
  const names = Object.keys(chain.contracts) as (keyof Contracts)[];
  const wanted = address.toLowerCase();
  return names.find((name) => (chain.contracts[name].target as string).toLowerCase() === wanted);
}

type Arguments = Readonly<Record<string, unknown>>;
type Decoder = (args: Arguments, chain: ChainClient) => ChainEvent | Promise<ChainEvent>;

const lower = (value: unknown): Hex => String(value).toLowerCase() as Hex;

const depositChanged: Decoder = async (args, chain) => {
  const record = (await chain.read("computeContract", "depositOf", [args["number"]])) as {
    owner: Address;
    deposited: bigint;
    withdrawn: bigint;
  };
  return {
    type: "deposit-changed",
    number: args["number"] as bigint,
    owner: lower(record.owner),
    balance: record.deposited - record.withdrawn,
  };
};

const paidByHatch: Decoder = async (args, chain) => {
  const changed = await depositChanged(args, chain);
  return { ...changed, paidByHatch: args["amount"] } as ChainEvent;
};

const demandOf = (type: "deposit-demanded" | "demand-answered"): Decoder => {
  return ({ number, digest }) => ({ type, number: number as bigint, hash: lower(digest) });
};

/** Names that events mention by key; a key never gets another name. */
const namesByKey = new WeakMap<ChainClient, Map<string, string>>();

async function nameOf(chain: ChainClient, key: unknown): Promise<string> {
  const nameKey = String(key);
  const known = namesByKey.get(chain) ?? new Map<string, string>();
  namesByKey.set(chain, known);
  const cached = known.get(nameKey);
  if (cached !== undefined) return cached;
  const { modelRegistry } = chain.contracts;
  const filter = modelRegistry.filters["NameClaimed"]?.(nameKey);
  if (filter === undefined) throw new Error("the ABI has no NameClaimed");
  const [claimed] = await modelRegistry.queryFilter(filter, chain.deployment.deployBlock);
  const parsed = claimed === undefined ? null : modelRegistry.interface.parseLog(claimed);
  if (parsed === null) throw new Error(`no name was claimed under ${nameKey}`);
  const name = String(parsed.args["name"]);
  known.set(nameKey, name);
  return name;
}

async function ownerOf(chain: ChainClient, name: string): Promise<Address> {
  const record = (await chain.read("modelRegistry", "nameRecord", [name])) as { owner: string };
  return lower(record.owner);
}

const nodeChanged: Decoder = async (args, chain) => {
  const account = lower(args["account"]);
  const node = (await chain.read("nodeRegistry", "nodes", [account])) as {
    role: bigint;
    slashed: boolean;
    signingKey: string;
    stake: bigint;
  };
  if (node.stake === 0n || node.slashed) return { type: "node-left", account };
  return {
    type: "node-registered",
    account,
    kind: node.role === routerRole ? "router" : "provider",
    signingKey: lower(node.signingKey),
    stake: node.stake,
  };
};

/** The contract's enum Role {None, Provider, Router}. */
const routerRole = 2n;
/** The contract's enum Kind {None, Model, Agent}. */
const agentKind = 2n;

const decoders: Readonly<Record<string, Decoder>> = {
  "mor.Transfer": (args) => ({
    type: "mor-transferred",
    from: lower(args["from"]),
    to: lower(args["to"]),
    wei: args["value"] as bigint,
  }),
  "computeContract.Deposited": depositChanged,
  "computeContract.Withdrawn": depositChanged,
  "computeContract.SessionPaidByHatch": paidByHatch,
  "computeContract.Demanded": demandOf("deposit-demanded"),
  "computeContract.DemandAnswered": demandOf("demand-answered"),
  "computeContract.Collected": (args) => ({
    type: "deposit-collected",
    number: args["number"] as bigint,
    collected: args["collected"] as bigint,
  }),
  "computeContract.WithdrawalAnnounced": (args) => ({
    type: "withdrawal-announced",
    number: args["number"] as bigint,
    wei: args["amount"] as bigint,
  }),
  "computeContract.RevokedBelow": (args) => ({
    type: "delegations-revoked",
    user: lower(args["user"]),
    below: Number(args["nonce"]),
  }),
  "computeContract.SettlementPosted": (args) => ({
    type: "settlement-posted",
    epoch: Number(args["epoch"]),
    hash: lower(args["digest"]),
    creditRoot: lower((args["settlement"] as { creditRoot: string }).creditRoot),
  }),
  "computeContract.SettlementFinalised": (args) => ({
    type: "settlement-final",
    epoch: Number(args["epoch"]),
    hash: lower(args["digest"]),
  }),
  "computeContract.SettlementVoided": (args) => ({
    type: "settlement-void",
    epoch: Number(args["epoch"]),
    hash: lower(args["digest"]),
  }),
  "modelRegistry.Published": async (args, chain) => {
    const name = await nameOf(chain, args["nameKey"]);
    const version = args["record"] as { kind: bigint; baseDigest: string };
    return {
      type: "model-published",
      name,
      manifestDigest: lower(args["manifestDigest"]),
      kind: version.kind === agentKind ? "agent" : "model",
      builder: await ownerOf(chain, name),
      baseDigest: lower(version.baseDigest),
    };
  },
  "modelRegistry.TagMoved": async (args, chain) => ({
    type: "tag-moved",
    name: await nameOf(chain, args["nameKey"]),
    tag: String(args["tag"]),
    manifestDigest: lower(args["manifestDigest"]),
  }),
  "modelRegistry.OwnershipAccepted": async (args, chain) => ({
    type: "builder-changed",
    name: await nameOf(chain, args["nameKey"]),
    builder: lower(args["owner"]),
  }),
  "modelRegistry.PriceSet": async (args, chain) => ({
    type: "builder-price-changed",
    name: await nameOf(chain, args["nameKey"]),
    weiPerSecond: args["weiPerSecond"] as bigint,
    fromEpoch: Number(args["fromEpoch"]),
  }),
  "nodeRegistry.Registered": nodeChanged,
  "nodeRegistry.StakeChanged": nodeChanged,
  "nodeRegistry.Slashed": nodeChanged,
  "nodeRegistry.KeyRotated": (args) => ({
    type: "signing-key-rotated",
    account: lower(args["account"]),
    signingKey: lower(args["signingKey"]),
  }),
};
