import { AbiCoder, keccak256, type EventLog, type Log } from "ethers";
import {
  LakeError,
  toHex,
  type Address,
  type Hex,
  type ModelNames,
  type ModelVersion,
  type Random,
  type Signal,
  type TagMove,
  type VersionToPublish,
} from "@lake-travis/protocol";
import { systemClock } from "../clock.ts";
import type { ChainClient, ChainSender } from "./chain-client.ts";

/** How often the chain is asked whether a commitment may be revealed. */
const pollMs = 250;
/** REVEAL_DELAY_MAX of the contract in blocks of 12 s, so that no chain of that pace is cut off. */
const revealMsMax = 7_200 * 12_000;
/** The contract's enum Kind {None, Model, Agent}. */
const kindNumber = { model: 1n, agent: 2n } as const;
/** What the contract's reads say where there is nothing. */
const nothing = /^(?:TagUnknown|VersionUnknown|NameUnknown)\b/;

interface Resolution {
  readonly manifestDigest: Hex;
  readonly manifestCid: Hex;
  readonly kind: bigint;
  readonly builder: string;
  readonly weiPerSecond: bigint;
  readonly generation: bigint;
  readonly publishedAt: bigint;
  readonly baseDigest: Hex;
}

/**
 * The Model Registry on a chain; see {@link ModelNames}.
 *
 * @param writer the account that publishes; without it names can only be read.
 */
export function createModelNames(
  chain: ChainClient,
  random: Random,
  writer?: ChainSender,
): ModelNames {
  const reads = createReads(chain);
  return {
    account: writer?.address,
    ...reads,
    async claim(name, signal) {
      const account = writerOf(writer).address;
      const owner = await reads.builderOf(name);
      if (owner === account) return;
      if (owner !== undefined) throw taken(name);
      await claim(chain, writerOf(writer), { name, salt: toHex(random.bytes(32)), signal });
    },
    publish: (version) => publish(writerOf(writer), version),
    async moveTag({ name, tag, manifestDigest }) {
      return await send(writerOf(writer), name, "moveTag", [name, tag, manifestDigest]);
    },
    async setPrice({ name, weiPerSecond }) {
      return await send(writerOf(writer), name, "setPrice", [name, weiPerSecond]);
    },
  };
}

type Reads = Pick<ModelNames, "resolve" | "version" | "builderOf" | "tags" | "tagHistory">;

function createReads(chain: ChainClient): Reads {
  const currentEpoch = (): Promise<unknown> => chain.read("modelRegistry", "currentEpoch");
  const tagHistory: Reads["tagHistory"] = async ({ name, tag }) => {
    const moves = await allMoves(chain, name);
    return moves.filter((move) => move.tag === tag);
  };
  return {
    tagHistory,
    async resolve({ name, tag }) {
      const epoch = await currentEpoch();
      return await versionOf(name, chain.read("modelRegistry", "resolve", [name, tag, epoch]));
    },
    async version({ name, manifestDigest }) {
      const args = [name, manifestDigest, await currentEpoch()];
      return await versionOf(name, chain.read("modelRegistry", "resolveDigest", args));
    },
    async builderOf(name) {
      return await ownerOf(chain, name);
    },
    async tags(name) {
      const newest = new Map((await allMoves(chain, name)).map((move) => [move.tag, move]));
      return [...newest.values()].sort((one, other) => (one.tag < other.tag ? -1 : 1));
    },
  };
}

async function versionOf(name: string, read: Promise<unknown>): Promise<ModelVersion | undefined> {
  let found: Resolution;
  try {
    found = (await read) as Resolution;
  } catch (error) {
    const reason = error instanceof LakeError ? error.data?.["reason"] : undefined;
    if (typeof reason === "string" && nothing.test(reason)) return undefined;
    throw error;
  }
  return {
    name,
    manifestDigest: found.manifestDigest,
    manifestCid: found.manifestCid,
    kind: found.kind === kindNumber.agent ? "agent" : "model",
    baseDigest: found.baseDigest,
    builder: found.builder.toLowerCase() as Address,
    weiPerSecond: found.weiPerSecond,
    generation: Number(found.generation),
    publishedAtSeconds: Number(found.publishedAt),
  };
}

async function ownerOf(chain: ChainClient, name: string): Promise<Address | undefined> {
  const record = (await chain.read("modelRegistry", "nameRecord", [name])) as { owner: string };
  return /^0x0{40}$/.test(record.owner) ? undefined : (record.owner.toLowerCase() as Address);
}

/** Moves of all tags, oldest first: only the contract's log lists its tags. */
async function allMoves(chain: ChainClient, name: string): Promise<TagMove[]> {
  const { modelRegistry } = chain.contracts;
  const record = (await chain.read("modelRegistry", "nameRecord", [name])) as {
    generation: bigint;
  };
  const key = await chain.read("modelRegistry", "nameKey", [name, record.generation]);
  const filter = modelRegistry.filters["TagMoved"]?.(key);
  if (filter === undefined) throw new LakeError("internal", "The ABI has no TagMoved.");
  const logs = await modelRegistry
    .queryFilter(filter, chain.deployment.deployBlock)
    .catch((cause: unknown) => {
      throw new LakeError("chain-unreachable", "The chain did not give its logs.", { cause });
    });
  return await Promise.all(logs.map(moveOf));
}

async function moveOf(log: EventLog | Log): Promise<TagMove> {
  const { args } = log as EventLog;
  const block = await log.getBlock();
  return {
    tag: String(args["tag"]),
    manifestDigest: String(args["manifestDigest"]) as Hex,
    movedAtSeconds: block.timestamp,
  };
}

async function claim(
  chain: ChainClient,
  writer: ChainSender,
  wanted: { name: string; salt: Hex; signal: Signal | undefined },
): Promise<void> {
  const { name, salt, signal } = wanted;
  const bond = (await chain.read("modelRegistry", "nameBond")) as bigint;
  const registry = chain.deployment.modelRegistry;
  const allowed = (await chain.read("mor", "allowance", [writer.address, registry])) as bigint;
  if (allowed < bond) await writer.send("mor", "approve", [registry, bond]);
  const coder = AbiCoder.defaultAbiCoder();
  const packed = coder.encode(["address", "string", "bytes32"], [writer.address, name, salt]);
  const { block } = await writer.send("modelRegistry", "commit", [keccak256(packed)]);
  const delay = Number(await chain.read("modelRegistry", "revealDelayBlocks"));
  const deadlineMs = performance.now() + revealMsMax;
  // A transaction sent now is mined in the next block at the earliest.
  while ((await chain.provider.getBlockNumber()) + 1 < block + delay) {
    if (performance.now() > deadlineMs) {
      throw new LakeError("chain-unreachable", "The chain makes no new blocks.");
    }
    await systemClock.sleep(pollMs, signal);
  }
  await send(writer, name, "claim", [name, salt]);
}

async function publish(writer: ChainSender, version: VersionToPublish): Promise<Hex> {
  const { name, tag, kind, manifestDigest, manifestCid } = version;
  const baseDigest = version.baseDigest ?? `0x${"0".repeat(64)}`;
  const base = [version.baseName ?? "", baseDigest];
  const words = [name, tag, kindNumber[kind], manifestDigest, manifestCid, ...base];
  return await send(writer, name, "publish", words);
}

async function send(
  writer: ChainSender,
  name: string,
  method: string,
  args: readonly unknown[],
): Promise<Hex> {
  try {
    return (await writer.send("modelRegistry", method, args)).transaction;
  } catch (error) {
    const reason = error instanceof LakeError ? String(error.data?.["reason"]) : "";
    if (/^(?:NameTaken|NamespaceTaken|NotOwner)\b/.test(reason)) throw taken(name, error);
    throw error;
  }
}

function writerOf(writer: ChainSender | undefined): ChainSender {
  if (writer !== undefined) return writer;
  throw new LakeError("argument-invalid", "Writing to the Model Registry needs an account.", {
    advice: "Name a wallet.",
  });
}

function taken(name: string, cause?: unknown): LakeError {
  return new LakeError("name-taken", `The name ${name} belongs to somebody else.`, {
    cause,
    advice: "Choose another name, or another builder in front of it.",
    data: { name },
  });
}
