import { Command } from "commander";
import { formatMorShort } from "@lake-travis/protocol";
import { type ChainClient, chainError, readBlocks } from "@lake-travis/platform/chain";
import { formatTable } from "./format-table.ts";
import type { LakeContext } from "./lake-context.ts";
import { askOffered } from "./network-models.ts";

/** `lake search`: published names, and which of them are offered now. */
export function createSearchCommand(context: LakeContext): Command {
  return new Command("search")
    .description("find published models and agents by a part of their name")
    .argument("[words...]", "all of them must be in builder/name:tag; none lists everything")
    .addHelpText("after", "\nExamples:\n  lake search llama\n  lake --json search alice")
    .action((words: string[]) => search(context, words));
}

/** Blocks read in one call; public RPC servers refuse more. */
const blocksPerCallMax = 2_000;

async function search(context: LakeContext, words: readonly string[]): Promise<void> {
  const chain = await context.chain();
  const published = await listPublished(chain, (done) => {
    if (context.terminal.isInteractive && !context.json) {
      context.terminal.output.write(`\r\u001b[2Kreading the registry ${done}%`);
    }
  });
  if (context.terminal.isInteractive && !context.json) context.terminal.output.write("\r\u001b[2K");
  const offered = new Map((await askOffered(context)).map((each) => [each.model, each]));
  const wanted = words.map((word) => word.toLowerCase());
  const found = [...published]
    .filter(([handle]) => wanted.every((word) => handle.includes(word)))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([handle, manifestDigest]) => ({ handle, manifestDigest, offer: offered.get(handle) }));
  const rows = found.map(({ handle, offer }) => [
    handle,
    offer === undefined ? "not offered now" : `${formatMorShort(offer.weiPerSecond * 3600n)} MOR/h`,
    String(offer?.providers ?? 0),
  ]);
  const json = found.map(({ handle, manifestDigest, offer }) => ({
    handle,
    manifestDigest,
    weiPerSecond: offer?.weiPerSecond.toString() ?? null,
    providers: offer?.providers ?? 0,
  }));
  const text =
    rows.length === 0
      ? "Nothing has such a name."
      : formatTable(["handle", "price", "Providers"], rows);
  context.terminal.result({ found: json }, text);
}

async function listPublished(
  chain: ChainClient,
  onProgress: (percent: number) => void,
): Promise<ReadonlyMap<string, string>> {
  const published = new Map<string, string>();
  try {
    const newest = await chain.provider.getBlockNumber();
    const { deployBlock } = chain.deployment;
    for (let from = deployBlock; from <= newest; from += blocksPerCallMax) {
      const to = Math.min(newest, from + blocksPerCallMax - 1);
      for (const { events } of await readBlocks(chain, from, to)) {
        for (const event of events) {
          if (event.type !== "tag-moved") continue;
          published.set(`${event.name}:${event.tag}`, event.manifestDigest);
        }
      }
      onProgress(Math.round(((to - deployBlock) * 100) / Math.max(1, newest - deployBlock)));
    }
    return published;
  } catch (error) {
    throw chainError(error);
  }
}
