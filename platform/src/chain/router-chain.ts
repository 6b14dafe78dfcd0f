import { Signature } from "ethers";
import {
  type ChainBlock,
  type Hex,
  LakeError,
  type RouterChain,
  type SettlementState,
  zeroBytes32,
} from "@lake-travis/protocol";
import { systemClock } from "../clock.ts";
import { chainError, type ChainClient, type ChainSender } from "./chain-client.ts";
import { readBlocks } from "./read-blocks.ts";

/** Blocks read in one call, so that a long absence is caught up in bounded bites. */
const blocksPerReadMax = 2_000;
const pollEveryMs = 250;

/** The Router's port on a real chain; `poster` pays settlements' gas and signs nothing else. */
export function createRouterChain(chain: ChainClient, poster: ChainSender): RouterChain {
  return {
    follow: (options) => follow(chain, options),
    budgetOf: async (epoch) => (await chain.read("computeContract", "budgetOf", [epoch])) as bigint,
    settlementState: () => settlementState(chain),
    settle: (settlement, signatures) => {
      const sorted = [...signatures].sort((a, b) => (a.router < b.router ? -1 : 1));
      const compact = sorted.map(({ router, signature }) => {
        const { r, yParityAndS } = Signature.from(signature);
        return { router, r, vs: yParityAndS };
      });
      return poster.send("computeContract", "settle", [settlement, compact]);
    },
    collect: (number, leaf) => poster.send("computeContract", "collect", [number, leaf]),
    answerDemand: (number, leaf, { message, signature }) =>
      poster.send("computeContract", "answerDemand", [number, leaf, message, signature]),
    answerUnchanged: (number, leaf, finalLeaf) => {
      const args = [number, leaf, finalLeaf ?? { ...leaf, proof: [] }];
      return poster.send("computeContract", "answerUnchanged", args);
    },
  };
}

async function follow(
  chain: ChainClient,
  options: Parameters<RouterChain["follow"]>[0],
): Promise<void> {
  const { onBlocks, signal } = options;
  let next = options.fromBlock;
  while (!signal.aborted) {
    let blocks: readonly ChainBlock[] = [];
    try {
      const newest = await chain.provider.getBlockNumber();
      if (newest >= next) {
        const to = Math.min(newest, next + blocksPerReadMax - 1);
        blocks = await readBlocks(chain, next, to);
        next = to + 1;
      }
    } catch (error) {
      // The chain may be away for a while; the Router goes on with what it knows and asks again.
      if (chainError(error).code !== "chain-unreachable") throw error;
    }
    if (blocks.length > 0) await onBlocks(blocks);
    else await systemClock.sleep(pollEveryMs, signal).catch(() => undefined);
  }
}

interface Book {
  readonly digest: Hex;
  readonly creditRoot: Hex;
  readonly epoch: bigint;
  readonly postedAt: bigint;
}

async function settlementState(chain: ChainClient): Promise<SettlementState> {
  const [final, [pending, finalAt]] = await Promise.all([
    chain.read("computeContract", "finalSettlement") as Promise<Book>,
    chain.read("computeContract", "pendingSettlement") as Promise<[Book, bigint]>,
  ]);
  const { schedule } = chain.deployment;
  const postedAtMs = Number(pending.postedAt) * 1000;
  return {
    final: final.digest === zeroBytes32 ? null : summary(final),
    pending:
      finalAt === 0n
        ? null
        : {
            ...summary(pending),
            postedInEpoch: Math.floor((postedAtMs - schedule.genesisMs) / schedule.lengthMs),
            finalAt: Number(finalAt) * 1000,
          },
  };
}

function summary(book: Book): { epoch: number; hash: Hex; creditRoot: Hex } {
  return { epoch: Number(book.epoch), hash: book.digest, creditRoot: book.creditRoot };
}

/** Throws `chain-wrong` unless the contracts of the deployment are on this chain. */
export async function requireContracts(chain: ChainClient): Promise<void> {
  const { deployment } = chain;
  const code = await chain.provider.getCode(deployment.computeContract).catch((error: unknown) => {
    throw chainError(error);
  });
  if (code !== "0x") return;
  throw new LakeError("chain-wrong", "The contracts of this network are not on this chain.", {
    advice: "Check the deployment file and its RPC address.",
  });
}
