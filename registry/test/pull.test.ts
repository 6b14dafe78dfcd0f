import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { IpfsNode } from "../src/ipfs-node.ts";
import { readFileNode } from "../src/file-dag.ts";
import { buildManifest } from "../src/manifest.ts";
import type { Progress } from "../src/progress.ts";
import { publishModel } from "../src/publish-model.ts";
import { pullModel } from "../src/pull-model.ts";
import { ggufOf, ScratchNetwork } from "./scratch-network.ts";

const mib = 1024 * 1024;
const handle = "alice/llama:8b";

async function publishRandom(network: ScratchNetwork, builder: IpfsNode, bytes: number) {
  const source = await network.file("model.gguf", ggufOf(randomBytes(bytes)));
  const { names } = network;
  return { source, ...(await publishModel({ node: builder, names, source, handle })) };
}

test("a model is published, pulled, checked, and served by the puller", async (context) => {
  const network = await ScratchNetwork.open(context);
  const [builder, provider, other] = await Promise.all(
    ["builder", "provider", "other"].map((name) => network.node(name)),
  );
  assert.ok(builder && provider && other);
  const { source } = await publishRandom(network, builder, 5 * mib + 17);
  const seen: Progress[] = [];
  const names = network.names.as(undefined);
  const pulled = await pullModel({
    node: provider,
    names,
    handle,
    holders: [builder.gatewayUrl],
    onProgress: (progress) => seen.push(progress),
  });
  assert.ok(pulled.weightsPath);
  assert.ok((await readFile(source)).equals(await readFile(pulled.weightsPath)));
  assert.equal(pulled.manifest.facts.contextLength, 2048);
  const last = seen.at(-1);
  assert.equal(last?.phase, "done");
  assert.equal(last.bytes, last.totalBytes);
  assert.equal(last.peers, 1);
  assert.equal(last.blocksVerified, 6);

  await builder.stop();
  const again = await pullModel({ node: other, names, handle, holders: [provider.gatewayUrl] });
  assert.ok((await readFile(source)).equals(await readFile(again.weightsPath ?? "")));
});

test("publishing twice changes nothing, and a second tag shares every byte", async (context) => {
  const network = await ScratchNetwork.open(context);
  const builder = await network.node("builder");
  const { source, transactions } = await publishRandom(network, builder, mib);
  assert.equal(transactions.length, 1);
  const { names } = network;
  const second = await publishModel({ node: builder, names, source, handle });
  assert.deepEqual([second.alreadyPublished, second.transactions.length], [true, 0]);
  const tagged = await publishModel({ node: builder, names, source, handle: "alice/llama:new" });
  assert.equal(tagged.transactions.length, 1);

  const puller = await network.node("puller");
  const holders = [builder.gatewayUrl];
  await pullModel({ node: puller, names, handle, holders });
  const free = await pullModel({ node: puller, names, handle: "alice/llama:new", holders });
  assert.equal(free.fetchedBytes, 0);
  const stranger = names.as("0x00000000000000000000000000000000000000ff");
  await assert.rejects(publishModel({ node: builder, names: stranger, source, handle }), {
    code: "name-taken",
  });
});

test("a layer that two models share is fetched and stored once", async (context) => {
  const network = await ScratchNetwork.open(context);
  const { names } = network;
  const builder = await network.node("builder");
  const shared = ggufOf(randomBytes(2 * mib));
  const holders = [builder.gatewayUrl];
  const puller = await network.node("puller");
  let fetched = 0;
  for (const name of ["one", "two"]) {
    const folder = join(network.folder, name);
    await mkdir(folder);
    await writeFile(join(folder, "weights.gguf"), shared);
    await writeFile(join(folder, "README.md"), `This is ${name}.`);
    await publishModel({ node: builder, names, source: folder, handle: `alice/${name}` });
    const pulled = await pullModel({ node: puller, names, handle: `alice/${name}`, holders });
    if (name === "two") fetched = pulled.fetchedBytes;
    assert.equal(await readFile(join(pulled.folder, "README.md"), "utf8"), `This is ${name}.`);
  }
  assert.ok(fetched < 10_000, `${fetched} bytes were fetched for the second model`);
});

type Misdeed = (response: ServerResponse, honest: Buffer) => void;

const misdeeds: Record<string, { deed: Misdeed; dropped: RegExp | undefined }> = {
  "sends wrong bytes": {
    deed: (response, honest) => {
      honest[honest.length >> 1] = (honest[honest.length >> 1] ?? 0) ^ 1;
      response.writeHead(200, { "Content-Length": honest.length }).end(honest);
    },
    dropped: /wrong bytes/,
  },
  "sends too few bytes": {
    deed: (response, honest) => {
      response.writeHead(200, { "Content-Length": 10 }).end(honest.subarray(0, 10));
    },
    dropped: /wrong bytes/,
  },
  "announces too many bytes": {
    deed: (response) => response.writeHead(200, { "Content-Length": 1e9 }).flushHeaders(),
    dropped: /too many bytes/,
  },
  "sends without a length": {
    deed: (response, honest) => response.writeHead(200).end(honest),
    dropped: /no length/,
  },
  "sends endless headers": {
    deed: (response) => response.socket?.write(`HTTP/1.1 200 OK\r\nA: ${"a".repeat(20_000)}`),
    dropped: /endless headers/,
  },
  "cuts off in the middle": {
    deed: (response, honest) => {
      response.writeHead(200, { "Content-Length": honest.length });
      response.write(honest.subarray(0, 1000), () => response.destroy());
    },
    dropped: undefined,
  },
  "stalls in the middle": {
    deed: (response, honest) => {
      response.writeHead(200, { "Content-Length": honest.length });
      response.write(honest.subarray(0, 1000));
    },
    dropped: undefined,
  },
  "has nothing": { deed: (response) => response.writeHead(404).end(), dropped: undefined },
  "fails inside": { deed: (response) => response.writeHead(500).end(), dropped: undefined },
};

for (const [name, { deed, dropped }] of Object.entries(misdeeds)) {
  test(`a pull ends well beside a holder that ${name}`, { concurrency: true }, async (context) => {
    const network = await ScratchNetwork.open(context);
    const builder = await network.node("builder", { uploadBytesPerSecond: 40 * mib });
    const { source } = await publishRandom(network, builder, 12 * mib);
    let requests = 0;
    const liar = await network.server((request, response) => {
      requests += 1;
      void fetch(`${builder.gatewayUrl}${request.url}`)
        .then((answer) => answer.arrayBuffer())
        .then((honest) => deed(response, Buffer.from(honest)));
    });
    const { names } = network;
    const puller = await network.node("puller");
    const holders = [liar, builder.gatewayUrl];
    const pulled = await pullModel({ node: puller, names, handle, holders });
    assert.ok((await readFile(source)).equals(await readFile(pulled.weightsPath ?? "")));
    assert.ok(requests > 0, "the liar was never asked");
    const report = pulled.holders.find((holder) => holder.name === liar);
    if (dropped !== undefined) assert.match(report?.dropped ?? "in use", dropped);
    // The manifest and the root may fit in what a liar sends before its misdeed.
    assert.ok((report?.bytes ?? 0) < 4096, `${report?.bytes} bytes came from the liar`);
  });
}

test("with liars alone a pull fails, says why, and keeps nothing wrong", async (context) => {
  const network = await ScratchNetwork.open(context);
  const builder = await network.node("builder");
  await publishRandom(network, builder, 2 * mib);
  const liar = await network.server((_, response) => response.writeHead(200).end("lies"));
  const { names } = network;
  const puller = await network.node("puller");
  await assert.rejects(pullModel({ node: puller, names, handle, holders: [liar] }), {
    code: "holder-none",
    message: /announces no length|wrong bytes/,
  });
  await assert.rejects(pullModel({ node: puller, names, handle }), { code: "holder-none" });
  assert.deepEqual(puller.store.index.files(), []);
  await assert.rejects(pullModel({ node: puller, names, handle: "alice/nothing" }), {
    code: "model-unknown",
  });
});

test("a manifest with a wrong checksum is refused and its file removed", async (context) => {
  const network = await ScratchNetwork.open(context);
  const { names } = network;
  const builder = await network.node("builder");
  const { manifest } = await publishRandom(network, builder, mib);
  const layers = manifest.layers.map((layer) => ({
    ...layer,
    digest: `0x${"ab".repeat(32)}` as const,
  }));
  const wrong = buildManifest(manifest.facts, layers);
  builder.store.keepManifest(wrong);
  await names.publish({
    name: "alice/llama",
    tag: "wrong",
    manifestDigest: wrong.digest,
    manifestCid: wrong.digest,
    kind: "model",
  });
  const puller = await network.node("puller");
  const holders = [builder.gatewayUrl];
  const pull = pullModel({ node: puller, names, handle: "alice/llama:wrong", holders });
  await assert.rejects(pull, { code: "manifest-invalid", message: /SHA-256/ });
  const path = await puller.store.layerPath(`0x${"ab".repeat(32)}`);
  await assert.rejects(stat(path), { code: "ENOENT" });
});

test("a killed pull goes on where it was", async (context) => {
  const network = await ScratchNetwork.open(context);
  const bytes = 24 * mib;
  const builder = await network.node("builder", { uploadBytesPerSecond: 12 * mib });
  const { manifest, source } = await publishRandom(network, builder, bytes);
  const [layer] = manifest.layers;
  assert.ok(layer);
  const words = [layer.root.toString(), layer.digest.slice(2), String(layer.bytes)];
  const script = fileURLToPath(new URL("../bench/puller.ts", import.meta.url));
  const dataDir = join(network.folder, "killed");
  const child = spawn(process.execPath, [script, "gateway", dataDir, ...words, builder.gatewayUrl]);
  while (builder.sentBytes < bytes / 2) await sleep(20);
  child.kill("SIGKILL");
  await once(child, "exit");
  await sleep(200);

  // The disk is what counts: without its index the pull goes on all the same.
  for (const file of ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"]) {
    await rm(join(dataDir, "models", file), { force: true });
  }
  const before = builder.sentBytes;
  const puller = await network.node("killed");
  const { names } = network;
  const pulled = await pullModel({ node: puller, names, handle, holders: [builder.gatewayUrl] });
  assert.ok((await readFile(source)).equals(await readFile(pulled.weightsPath ?? "")));
  // At most the blocks that were under way when it was killed came twice, and those in sockets.
  const twice = before + pulled.fetchedBytes - bytes;
  assert.ok(twice <= 9 * mib, `${twice} bytes came twice`);
  assert.ok(pulled.fetchedBytes < bytes * 0.75, `${pulled.fetchedBytes} bytes came again`);
});

test("blocks are served while they are still being pulled", async (context) => {
  const network = await ScratchNetwork.open(context);
  const { names } = network;
  const builder = await network.node("builder", { uploadBytesPerSecond: 6 * mib });
  const { source } = await publishRandom(network, builder, 12 * mib);
  const first = await network.node("first");
  const second = await network.node("second");
  const pulling = pullModel({ node: first, names, handle, holders: [builder.gatewayUrl] });
  while (first.store.index.files().length === 0) await sleep(10);
  await sleep(500);
  const holders = [first.gatewayUrl];
  const pulled = await pullModel({ node: second, names, handle, holders });
  await pulling;
  assert.ok((await readFile(source)).equals(await readFile(pulled.weightsPath ?? "")));
  assert.ok(first.sentBytes > 0);
});

test("a model whose file was moved is served from its new place", async (context) => {
  const network = await ScratchNetwork.open(context);
  const { names } = network;
  const builder = await network.node("builder");
  const { source } = await publishRandom(network, builder, 2 * mib);
  const moved = join(network.folder, "moved");
  await mkdir(moved);
  await rename(source, join(moved, "model.gguf"));
  const again = { node: builder, names, source: join(moved, "model.gguf"), handle };
  assert.equal((await publishModel(again)).alreadyPublished, true);
  const puller = await network.node("puller");
  const pulled = await pullModel({ node: puller, names, handle, holders: [builder.gatewayUrl] });
  assert.ok((await readFile(again.source)).equals(await readFile(pulled.weightsPath ?? "")));
});

test("a file that was changed is not served any more", async (context) => {
  const network = await ScratchNetwork.open(context);
  const { names } = network;
  const builder = await network.node("builder");
  const { source, manifest } = await publishRandom(network, builder, mib);
  const [layer] = manifest.layers;
  assert.ok(layer);
  const node = await builder.store.blocks.get(layer.root.multihash.digest);
  const [first] = readFileNode(node ?? new Uint8Array(), layer.bytes);
  assert.ok(first);
  const bytes = await readFile(source);
  // As long as before, and changed where the second leaf lies: the first one is right still, but
  // nobody can know without reading all of it.
  await writeFile(source, bytes.fill(0, bytes.length - 4));
  assert.equal(await builder.store.blocks.get(first.cid.multihash.digest), undefined);
  const puller = await network.node("puller");
  const stop = AbortSignal.timeout(1500);
  const holders = [builder.gatewayUrl];
  await assert.rejects(pullModel({ node: puller, names, handle, holders, signal: stop }));
  assert.equal(
    (await publishModel({ node: builder, names, source, handle })).alreadyPublished,
    false,
  );
});

test("the quota and a full disk are told before anything is fetched", async (context) => {
  const network = await ScratchNetwork.open(context);
  const { names } = network;
  const builder = await network.node("builder");
  await publishRandom(network, builder, 2 * mib);
  const puller = await network.node("puller", { quotaBytes: mib });
  const holders = [builder.gatewayUrl];
  await assert.rejects(pullModel({ node: puller, names, handle, holders }), {
    code: "quota-exceeded",
  });
  assert.deepEqual(puller.store.index.files(), []);
});

test("an abort ends a pull at once", async (context) => {
  const network = await ScratchNetwork.open(context);
  const { names } = network;
  const builder = await network.node("builder", { uploadBytesPerSecond: mib });
  await publishRandom(network, builder, 8 * mib);
  const puller = await network.node("puller");
  const begun = performance.now();
  const signal = AbortSignal.timeout(500);
  const pull = pullModel({ node: puller, names, handle, holders: [builder.gatewayUrl], signal });
  await assert.rejects(pull, { name: "TimeoutError" });
  assert.ok(performance.now() - begun < 2000);
});
