import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { unixfs } from "@helia/unixfs";
import { multiaddr } from "@multiformats/multiaddr";
import { startHelia } from "../bench/stock-helia.ts";
import { publishModel } from "../src/publish-model.ts";
import { pullModel } from "../src/pull-model.ts";
import { ggufOf, ScratchNetwork } from "./scratch-network.ts";

const fileBytes = 3 * 1024 * 1024 + 99;

test("a stock Helia node and ours give and take one another's files", async (context) => {
  const network = await ScratchNetwork.open(context);
  const node = await network.node("ours", { libp2p: { dht: "none" } });
  const helia = await startHelia();
  context.after(() => helia.stop());
  const fs = unixfs(helia);

  const ours = randomBytes(fileBytes);
  const { root } = await node.putRecord(ours);
  await helia.libp2p.dial(multiaddr(node.addresses[0] ?? ""));
  const got: Uint8Array[] = [];
  const signal = AbortSignal.timeout(20_000);
  // The type of a CID differs between copies of the same package version's declarations.
  for await (const chunk of fs.cat(root, { signal })) got.push(chunk);
  assert.ok(Buffer.concat(got).equals(ours));

  const theirs = randomBytes(fileBytes);
  const theirRoot = await fs.addBytes(theirs);
  const read = await node.readFile(theirRoot, { signal });
  assert.ok(theirs.equals(read));
  const same = await node.putRecord(theirs);
  assert.equal(same.root.toString(), theirRoot.toString(), "both name it by the same CID");
});

test("holders are found in the DHT, and their gateways used", async (context) => {
  const network = await ScratchNetwork.open(context);
  const { names } = network;
  const meeting = await network.node("meeting", { libp2p: {} });
  const libp2p = { bootstrap: meeting.addresses };
  const [builder, puller] = await Promise.all([
    network.node("builder", { libp2p }),
    network.node("puller", { libp2p }),
  ]);
  const source = await network.file("model.gguf", ggufOf(randomBytes(fileBytes)));
  await publishModel({ node: builder, names, source, handle: "a/llama" });
  const pulled = await pullModel({ node: puller, names, handle: "a/llama" });
  const gateway = pulled.holders.find((holder) => holder.name === builder.gatewayUrl);
  assert.ok((gateway?.blocks ?? 0) > 0, JSON.stringify(pulled.holders));
});
