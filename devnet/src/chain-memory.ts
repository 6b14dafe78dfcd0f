/*
 * anvil writes its state every few seconds, so a machine that loses power loses its newest blocks,
 * while the nodes have their journals on disk to the last event. A network whose parts remember
 * different pasts cannot go on; this notices it at the next start.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LakeError } from "@lake-travis/protocol";
import type { ChainClient } from "@lake-travis/platform/chain";

const noteEveryMs = 1_000;
const fileName = "chain-head.json";

/** Throws `folder-unusable` where the chain no longer has the block that was noted last. */
export async function requireSamePast(chain: ChainClient, dataDir: string): Promise<void> {
  const path = join(dataDir, fileName);
  if (!existsSync(path)) return;
  const noted = JSON.parse(readFileSync(path, "utf8")) as { number: number; hash: string };
  const block = await chain.provider.getBlock(noted.number);
  if (block?.hash === noted.hash) return;
  throw new LakeError("folder-unusable", "The local chain lost its last blocks in a crash.", {
    advice: `Remove ${dataDir} to begin a new local network, or name another with --data-dir.`,
    data: { block: noted.number },
  });
}

/** Notes the newest block from now on; the result stops it. */
export function noteChainHead(chain: ChainClient, dataDir: string): () => void {
  const path = join(dataDir, fileName);
  const note = async (): Promise<void> => {
    const block = await chain.provider.getBlock("latest");
    if (block === null) return;
    writeFileSync(`${path}.new`, JSON.stringify({ number: block.number, hash: block.hash }));
    renameSync(`${path}.new`, path);
  };
  const timer = setInterval(() => {
    // A chain that does not answer is reported by whoever needs it.
    note().catch(() => undefined);
  }, noteEveryMs);
  return () => clearInterval(timer);
}
