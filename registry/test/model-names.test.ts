import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test, type TestContext } from "node:test";
import type { Hex, ModelNames } from "@lake-travis/protocol";
import { systemRandom } from "@lake-travis/platform";
import { createModelNames } from "@lake-travis/platform/chain";
import { publishModel } from "../src/publish-model.ts";
import { pullModel } from "../src/pull-model.ts";
import { SimulatedModelNames } from "../src/simulated-model-names.ts";
import { fundedKey, openScratchChain } from "./scratch-chain.ts";
import { ggufOf, ScratchNetwork } from "./scratch-network.ts";

interface Accounts {
  readonly builder: ModelNames;
  readonly stranger: ModelNames;
  readonly reader: ModelNames;
  /** Lets the next epoch begin. */
  readonly nextEpoch: () => Promise<void>;
}

const kinds: Record<string, (context: TestContext) => Promise<Accounts>> = {
  "in memory": () => {
    const builder = new SimulatedModelNames("0x00000000000000000000000000000000000000b1");
    return Promise.resolve({
      builder,
      stranger: builder.as("0x00000000000000000000000000000000000000ff"),
      reader: builder.as(undefined),
      nextEpoch: () => Promise.resolve(),
    });
  },
  "on a chain": async (context) => {
    const chain = await openScratchChain(context);
    const account = async (): Promise<ModelNames> =>
      createModelNames(chain, systemRandom, chain.as(await fundedKey(chain)));
    return {
      builder: await account(),
      stranger: await account(),
      reader: createModelNames(chain, systemRandom),
      nextEpoch: async () => {
        await chain.provider.send("evm_increaseTime", [25]);
        await chain.provider.send("evm_mine", []);
      },
    };
  },
};

const digest = (): Hex => `0x${randomBytes(32).toString("hex")}`;

for (const [kind, open] of Object.entries(kinds)) {
  test(`the Model Registry ${kind} keeps names, versions, tags and prices`, async (context) => {
    const { builder, stranger, reader, nextEpoch } = await open(context);
    const name = "alice/llama";
    assert.equal(await reader.resolve({ name, tag: "latest" }), undefined);
    assert.equal(await reader.builderOf(name), undefined);
    assert.deepEqual(await reader.tags(name), []);

    await builder.claim(name);
    await builder.claim(name);
    assert.equal(await reader.builderOf(name), builder.account);
    await assert.rejects(stranger.claim(name), { code: "name-taken" });

    const [first, second] = [digest(), digest()];
    for (const [manifestDigest, tag] of [
      [first, "v1"],
      [second, "v2"],
    ] as const) {
      const manifestCid = manifestDigest;
      await builder.publish({ name, tag, manifestDigest, manifestCid, kind: "model" });
    }
    const found = await reader.resolve({ name, tag: "v2" });
    assert.equal(found?.manifestDigest, second);
    assert.equal(found.builder, builder.account);
    assert.deepEqual([found.kind, found.generation, found.weiPerSecond], ["model", 1, 0n]);
    assert.equal((await reader.version({ name, manifestDigest: first }))?.manifestCid, first);
    assert.equal(await reader.version({ name, manifestDigest: digest() }), undefined);
    assert.equal(await reader.resolve({ name, tag: "v3" }), undefined);

    const again = { name, tag: "v1", manifestDigest: first, manifestCid: first };
    await assert.rejects(builder.publish({ ...again, kind: "model" }), { code: "chain-refused" });
    await assert.rejects(stranger.moveTag({ name, tag: "v1", manifestDigest: second }), {
      code: "name-taken",
    });
    await builder.moveTag({ name, tag: "v1", manifestDigest: second });
    const history = await reader.tagHistory({ name, tag: "v1" });
    assert.deepEqual(
      history.map((move) => move.manifestDigest),
      [first, second],
    );
    assert.deepEqual(
      (await reader.tags(name)).map(({ tag, manifestDigest }) => [tag, manifestDigest]),
      [
        ["v1", second],
        ["v2", second],
      ],
    );

    await builder.setPrice({ name, weiPerSecond: 7n });
    await nextEpoch();
    assert.equal((await reader.resolve({ name, tag: "v1" }))?.weiPerSecond, 7n);
    await assert.rejects(reader.claim("bob/x"), { code: "argument-invalid" });
  });

  test(`a model and an agent on it are published and pulled ${kind}`, async (context) => {
    const network = await ScratchNetwork.open(context);
    const { builder: names, reader } = await open(context);
    const builder = await network.node("builder");
    const puller = await network.node("puller");
    const source = await network.file("model.gguf", ggufOf(randomBytes(100_000)));
    await publishModel({ node: builder, names, source, handle: "alice/llama" });
    const agent = await publishModel({
      node: builder,
      names,
      source: await network.file("instructions.md", Buffer.from("Be kind.")),
      handle: "alice/helper",
      kind: "agent",
      baseModel: "alice/llama",
    });
    assert.equal(agent.manifest.facts.baseModel, "alice/llama");
    const holders = [builder.gatewayUrl];
    const handle = "alice/helper";
    const pulled = await pullModel({ node: puller, names: reader, handle, holders });
    assert.equal(pulled.version.kind, "agent");
    const base = await reader.resolve({ name: "alice/llama", tag: "latest" });
    assert.equal(pulled.version.baseDigest, base?.manifestDigest);
  });
}
