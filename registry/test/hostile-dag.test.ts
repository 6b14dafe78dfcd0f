import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { encode, prepare } from "@ipld/dag-pb";
import { UnixFS } from "ipfs-unixfs";
import type { CID } from "multiformats/cid";
import { contentId, sha256 } from "../src/content-id.ts";
import type { IpfsNode } from "../src/ipfs-node.ts";
import { buildManifest, type Layer } from "../src/manifest.ts";
import { pullModel } from "../src/pull-model.ts";
import { ScratchNetwork } from "./scratch-network.ts";

const gib = 1024 ** 3;

/** Keeps a block at the hostile Builder and returns its CID. */
function keep(node: IpfsNode, codec: "raw" | "dag-pb", bytes: Uint8Array): CID {
  const digest = sha256(bytes);
  node.store.index.addNode("hostile", { digest, bytes });
  return contentId(codec, digest);
}

/** A UnixFS node of parts that say to have these lengths. */
function nodeOf(node: IpfsNode, parts: readonly { cid: CID; length: number }[]): CID {
  const blockSizes = parts.map(({ length }) => BigInt(length));
  const Data = new UnixFS({ type: "file", blockSizes }).marshal();
  const Links = parts.map(({ cid, length }) => ({ Name: "", Tsize: length, Hash: cid }));
  return keep(node, "dag-pb", encode(prepare({ Data, Links })));
}

/** Node upon node, each with `width` links to the one below: width ** depth leaves. */
function tower(node: IpfsNode, width: number, depth: number): { cid: CID; length: number } {
  let part = { cid: keep(node, "raw", Buffer.from("x")), length: 1 };
  for (let level = 0; level < depth; level += 1) {
    const cid = nodeOf(node, Array<typeof part>(width).fill(part));
    part = { cid, length: part.length * width };
  }
  return part;
}

const bombs: Record<string, (node: IpfsNode) => { cid: CID; length: number; reason: RegExp }> = {
  "ten million leaves of one byte": (node) => ({
    ...tower(node, 216, 3),
    reason: /more than [\d.]+ parts/,
  }),
  "a tower of nodes with one link each": (node) => ({ ...tower(node, 1, 12), reason: /too deep/ }),
  "a block that says to be a terabyte": (node) => {
    const part = { cid: keep(node, "raw", Buffer.from("x")), length: 200 * gib };
    return { cid: nodeOf(node, [part]), length: part.length, reason: /larger than a block/ };
  },
  "parts that are shorter than they say": (node) => {
    const part = { cid: keep(node, "raw", Buffer.from("x")), length: 1000 };
    return { cid: nodeOf(node, [part, part]), length: 2000, reason: /wrong bytes/ };
  },
  "a root that is longer than the manifest says": (node) => ({
    ...tower(node, 10, 1),
    length: 9,
    reason: /10 bytes where 9/,
  }),
  "a node that is no node": (node) => ({
    cid: keep(node, "dag-pb", Buffer.from("not a node")),
    length: 10,
    reason: /no UnixFS node/,
  }),
};

for (const [name, make] of Object.entries(bombs)) {
  test(`a model made of ${name} is refused and leaves nothing behind`, async (context) => {
    const network = await ScratchNetwork.open(context);
    const builder = await network.node("builder");
    const puller = await network.node("puller");
    const { cid, length, reason } = make(builder);
    const layer: Layer = {
      role: "weight",
      path: "model.gguf",
      bytes: length,
      digest: `0x${"ab".repeat(32)}`,
      root: cid,
    };
    const needs = { engine: "llama.cpp", ramBytes: 1, vramBytes: 0, instructionSets: [] };
    const facts = { kind: "model" as const, task: "other" as const, format: "gguf", needs };
    const manifest = buildManifest(facts, [layer]);
    builder.store.keepManifest(manifest);
    const { names } = network;
    await names.claim("eve/bomb");
    await names.publish({
      name: "eve/bomb",
      tag: "latest",
      manifestDigest: manifest.digest,
      manifestCid: manifest.digest,
      kind: "model",
    });
    const begun = performance.now();
    const holders = [builder.gatewayUrl];
    const pull = pullModel({ node: puller, names, handle: "eve/bomb", holders });
    await assert.rejects(pull, { message: reason });
    assert.ok(performance.now() - begun < 5_000);
    const folder = join(network.folder, "puller", "models", "by-name");
    assert.deepEqual(await readdir(folder).catch(() => []), []);
    assert.ok(puller.store.index.files().every((file) => !file.whole));
  });
}
