import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { IpfsNode } from "../src/ipfs-node.ts";
import { BlockFetcher } from "../src/fetch-blocks.ts";
import { parseContentId } from "../src/content-id.ts";
import { ProgressMeter } from "../src/progress.ts";
import { pullFile } from "../src/pull-file.ts";

// One pull in a process of its own, so that its memory is its own:
// `node puller.ts gateway <dataDir> <root> <digest> <bytes> <url>...` or
// `node puller.ts http <target> <url>`. Prints {ms, rssBytes, fetchedBytes, digest}.

const [mode = "", ...words] = process.argv.slice(2);
const begun = performance.now();
const { fetchedBytes, digest } =
  mode === "http" ? await pullPlain(words[0] ?? "", words[1] ?? "") : await pullBlocks(words);
const ms = performance.now() - begun;
const rssBytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ ms, rssBytes, fetchedBytes, digest }));
process.exit();

async function pullBlocks(
  words: readonly string[],
): Promise<{ fetchedBytes: number; digest: string }> {
  const [dataDir = "", root = "", digest = "", bytes = "0", ...urls] = words;
  const node = new IpfsNode({ dataDir });
  const { signal } = new AbortController();
  const rootCid = parseContentId(root);
  const fetcher = new BlockFetcher(await node.sources(rootCid, urls), signal);
  const { index, blocks } = node.store;
  const path = await node.store.layerPath(`0x${digest}`);
  await pullFile(
    { root: rootCid, bytes: Number(bytes), digest: Buffer.from(digest, "hex"), path },
    { index, store: blocks, fetcher, meter: new ProgressMeter(undefined), signal },
  );
  const fetchedBytes = fetcher.report().reduce((sum, holder) => sum + holder.bytes, 0);
  await fetcher.close();
  return { fetchedBytes, digest };
}

async function pullPlain(
  target: string,
  url: string,
): Promise<{ fetchedBytes: number; digest: string }> {
  const handle = await open(target, "w");
  const hash = createHash("sha256");
  let fetchedBytes = 0;
  const [response] = (await once(get(url), "response")) as [IncomingMessage];
  for await (const chunk of response) {
    hash.update(chunk as Buffer);
    await handle.write(chunk as Buffer);
    fetchedBytes += (chunk as Buffer).length;
  }
  // As the pull does, so that both end with the bytes on the disk.
  await handle.sync();
  await handle.close();
  return { fetchedBytes, digest: hash.digest("hex") };
}
