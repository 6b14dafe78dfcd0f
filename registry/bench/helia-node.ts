import { createReadStream } from "node:fs";
import { unixfs } from "@helia/unixfs";
import { multiaddr } from "@multiformats/multiaddr";
import { CID } from "multiformats/cid";
import { startHelia } from "./stock-helia.ts";

// The peer of the comparison, as its documentation uses it:
// `node helia-node.ts add <file>` adds and serves; `node helia-node.ts cat <cid> <address>
// <seconds>` reads until the end or the time limit and prints {ms, bytes}.

const [mode = "", ...words] = process.argv.slice(2);
const helia = await startHelia();
const fs = unixfs(helia);
if (mode === "add") {
  const root = await fs.addByteStream(createReadStream(words[0] ?? ""));
  const address = String(helia.libp2p.getMultiaddrs()[0]);
  console.log(JSON.stringify({ root: root.toString(), address }));
  process.stdin.resume().on("end", () => process.exit());
} else {
  const [root = "", address = "", seconds = "60"] = words;
  await helia.libp2p.dial(multiaddr(address));
  const begun = performance.now();
  const signal = AbortSignal.timeout(Number(seconds) * 1000);
  let bytes = 0;
  try {
    for await (const chunk of fs.cat(CID.parse(root), { signal })) bytes += chunk.length;
  } catch (error) {
    // Reaching the time limit is a result: what came until then is what counts.
    if (!signal.aborted) throw error;
  }
  console.log(JSON.stringify({ ms: performance.now() - begun, bytes }));
  process.exit();
}
