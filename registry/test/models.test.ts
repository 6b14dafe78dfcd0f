import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { Command } from "commander";
import { registryCommands, type CommandContext } from "../src/cli/registry-commands.ts";
import { collectGarbage, listModels, removeModel } from "../src/held-models.ts";
import { publishModel } from "../src/publish-model.ts";
import { pullModel } from "../src/pull-model.ts";
import { ggufOf, ScratchNetwork } from "./scratch-network.ts";

const mib = 1024 * 1024;

/** Runs the commands as `lake` mounts them and returns what they printed. */
async function lake(
  network: ScratchNetwork,
  dataDir: string,
  json: boolean,
  ...words: string[]
): Promise<string> {
  const stdout = new PassThrough();
  const context: CommandContext = {
    dataDir,
    json,
    stdout,
    names: () => Promise.resolve(network.names),
  };
  const program = new Command("lake").exitOverride();
  for (const command of registryCommands(context)) program.addCommand(command);
  await program.parseAsync(words, { from: "user" });
  return String(stdout.read() ?? "");
}

test("the commands publish, pull, list, show, verify, pin and remove", async (context) => {
  const network = await ScratchNetwork.open(context);
  const source = await network.file("model.gguf", ggufOf(randomBytes(2 * mib)));
  const at = (name: string): string => join(network.folder, name);
  const published = JSON.parse(
    await lake(
      network,
      at("builder"),
      true,
      "publish",
      source,
      "a/llama:8b",
      "--no-serve",
      "--price",
      "0.5/h",
    ),
  ) as { manifestDigest: string; transactions: string[] };
  assert.equal(published.transactions.length, 2);

  const builder = await network.node("builder");
  const peer = ["--peer", builder.gatewayUrl];
  const path = (await lake(network, at("puller"), false, "pull", "a/llama:8b", ...peer)).trim();
  assert.ok((await readFile(path.split("\n").at(-1) ?? "")).equals(await readFile(source)));
  assert.match(path, /0\.4999\d+ MOR\/h|0\.5 MOR\/h/);

  const listed = await lake(network, at("puller"), false, "models", "ls");
  assert.match(listed, /^a\/llama:8b\t2\.10 MB\tpulled$/m);
  const shown = await lake(network, at("puller"), false, "models", "show", "a/llama:8b", ...peer);
  assert.match(shown, new RegExp(`sha256:${published.manifestDigest.slice(2)}`));
  assert.match(shown, new RegExp(`holders +${builder.gatewayUrl}`));
  assert.match(shown, /llama\.cpp/);
  assert.match(await lake(network, at("puller"), false, "models", "tags", "a/llama"), /^8b\t/);
  const shownJson = await lake(network, at("puller"), true, "models", "show", "a/llama:8b");
  assert.equal((JSON.parse(shownJson) as { history: unknown[] }).history.length, 1);

  await lake(network, at("puller"), false, "models", "pin", "a/llama:8b");
  await assert.rejects(lake(network, at("puller"), false, "models", "rm", "a/llama:8b"), {
    code: "session-busy",
  });
  await lake(network, at("puller"), false, "models", "pin", "--remove", "a/llama:8b");
  assert.match(
    await lake(network, at("puller"), false, "models", "verify", "a/llama:8b"),
    /^right/,
  );
  const freed = await lake(network, at("puller"), false, "models", "rm", "a/llama:8b");
  assert.match(freed, /2\.10 MB freed in 1 files/);
  assert.equal(await lake(network, at("puller"), false, "models", "ls"), "no models yet\n");

  await lake(network, at("builder"), false, "models", "rm", "a/llama:8b");
  assert.ok((await stat(source)).isFile(), "a published file stays");
  for (const [words, code] of [
    [["pull", "A/Llama"], "handle-invalid"],
    [["publish", source, "a/llama:8b", "--price", "cheap"], "argument-invalid"],
    [["models", "rm", "a/none"], "model-unknown"],
    [["models", "verify", "a/none"], "model-unknown"],
    [["models", "tags", "a/none"], "model-unknown"],
  ] as const) {
    await assert.rejects(lake(network, at("puller"), false, ...words), { code }, words.join(" "));
  }
});

test("what is served is never removed, what is damaged is found and mended", async (context) => {
  const network = await ScratchNetwork.open(context);
  const { names } = network;
  const source = await network.file("model.gguf", ggufOf(randomBytes(3 * mib)));
  const builder = await network.node("builder");
  await publishModel({ node: builder, names, source, handle: "a/llama:8b" });
  const puller = await network.node("puller");
  const request = { node: puller, names, handle: "a/llama:8b", holders: [builder.gatewayUrl] };
  const { manifest } = await pullModel(request);

  const release = puller.hold(manifest.digest);
  assert.equal((await listModels(puller.store))[0]?.served, true);
  const wanted = { name: "a/llama", tag: "8b" };
  await assert.rejects(removeModel(puller.store, wanted), { code: "session-busy" });
  puller.store.index.dropModel("a/llama", "8b");
  assert.deepEqual(await collectGarbage(puller.store), { files: 0, bytes: 0 });
  release();
  await pullModel(request);

  const path = await puller.store.layerPath(manifest.layers[0]?.digest ?? "0x");
  const handle = await open(path, "r+");
  await handle.write(Buffer.from("damage"), 0, 6, 2 * mib);
  await handle.close();
  const dataDir = join(network.folder, "puller");
  await assert.rejects(lake(network, dataDir, false, "models", "verify", "a/llama:8b"), {
    code: "content-missing",
  });
  const mended = await pullModel(request);
  assert.ok(mended.fetchedBytes <= mib + 2000, `${mended.fetchedBytes} bytes were fetched to mend`);
  assert.ok((await readFile(mended.weightsPath ?? "")).equals(await readFile(source)));
});

test("garbage is what no model needs: forgotten versions, dead holders", async (context) => {
  const network = await ScratchNetwork.open(context);
  const { names } = network;
  const source = await network.file("model.gguf", ggufOf(randomBytes(2 * mib)));
  const builder = await network.node("builder");
  const { manifest } = await publishModel({ node: builder, names, source, handle: "a/llama:8b" });
  const record = await builder.putRecord(Buffer.from("{}\n"));
  const puller = await network.node("puller");
  const holders = [builder.gatewayUrl];
  await pullModel({ node: puller, names, handle: "a/llama:8b", holders });
  // The number of a process that cannot be: a crashed Provider's hold does not last.
  puller.store.index.hold(2 ** 30, Buffer.from(manifest.digest.slice(2), "hex"));
  puller.store.index.dropModel("a/llama", "8b");
  const freed = await collectGarbage(puller.store);
  assert.equal(freed.files, 1);
  assert.equal(puller.store.ownedBytes(), 0);
  assert.equal(await puller.store.blocks.get(manifest.cid.multihash.digest), undefined);

  await collectGarbage(builder.store);
  assert.ok(await builder.store.blocks.get(record.root.multihash.digest), "a record stays");
});
