import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { LakeError } from "@lake-travis/protocol";
import type { LakeClient } from "../lake-client.ts";
import { SimulatedNetwork, simulatedModel } from "../test-support/simulated-network.ts";
import { createLake, type Lake } from "./index.ts";

const question = [{ role: "user" as const, content: "Count." }];

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LakeError && error.code === code;
}

describe("createLake", () => {
  const network = new SimulatedNetwork();
  let client: LakeClient;
  let inProcess: Lake;
  let overHttp: Lake;

  before(async () => {
    await network.start({});
    client = await network.client({ listen: { host: "127.0.0.1", port: 0 } });
    overHttp = createLake({ endpoint: client.endpoint });
    inProcess = createLake({
      transport: { base: "http://lake.localhost/v1/", fetch: (request) => client.fetch(request) },
    });
  });
  after(() => network.stop());

  it("streams an answer and says what it was served by, over HTTP and in the process", async () => {
    for (const lake of [overHttp, inProcess]) {
      const answer = lake.chat({ model: simulatedModel, messages: question });
      let text = "";
      const kinds = new Set<string>();
      for await (const piece of answer) {
        kinds.add(piece.type);
        if (piece.type === "text-delta") text += piece.text;
        if (piece.type !== "finish") continue;
        assert.match(piece.cost.sessionId, /^0x[0-9a-f]{64}$/);
        assert.ok(piece.cost.weiPerSecond > 0n);
      }
      assert.deepEqual([...kinds], ["text-delta", "finish"]);
      assert.ok(text.length > 0);
      await assert.rejects(answer.text(), hasCode("argument-invalid"));
    }
  });

  it("remembers a conversation and closes its Session", async () => {
    const session = overHttp.session({ model: simulatedModel, system: "Count." });
    await session.ask("One?").text();
    await session.ask("Two?").text();
    assert.deepEqual(
      session.messages.map(({ role }) => role),
      ["system", "user", "assistant", "user", "assistant"],
    );
    assert.ok(session.cost !== undefined);
    const closed = network.closes.length;
    await session.close();
    assert.equal(network.closes.length, closed + 1);
    session.clear();
    assert.equal(session.messages.length, 1);
  });

  it("lists what is offered", async () => {
    const [model] = await inProcess.models();
    assert.equal(model?.model, simulatedModel);
    assert.ok(model.weiPerSecond > 0n && model.providers > 0);
  });

  it("hands vectors over in the order of their texts", async () => {
    const data = [
      { index: 1, embedding: [3, 4] },
      { index: 0, embedding: [1, 2] },
    ];
    const fetch = (): Promise<Response> => Promise.resolve(Response.json({ data }));
    const lake = createLake({ transport: { base: "http://lake.localhost/v1/", fetch } });
    assert.deepEqual(await lake.embed({ model: "a/b", input: ["x", "y"] }), [
      [1, 2],
      [3, 4],
    ]);
  });

  it("throws the network's own failures, typed", async () => {
    const odd = { model: "Not A Handle", messages: question };
    await assert.rejects(overHttp.chat(odd).text(), hasCode("handle-invalid"));
    network.refuseWith = "mor-missing";
    const other = { model: `${simulatedModel}:latest`, messages: question, maxPrice: "1.9" };
    await assert.rejects(inProcess.chat(other).text(), hasCode("mor-missing"));
    network.refuseWith = undefined;
    const nobody = createLake({ endpoint: "http://127.0.0.1:1/v1" });
    await assert.rejects(nobody.models(), hasCode("router-unreachable"));
    assert.throws(() => createLake({ endpoint: "nowhere" }), hasCode("argument-invalid"));
  });

  it("stops when its signal fires or its reader leaves", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const reading = (async () => {
      for await (const piece of overHttp.chat({
        model: simulatedModel,
        messages: question,
        signal,
      })) {
        if (piece.type === "text-delta") controller.abort();
      }
    })();
    await assert.rejects(reading, (error) => (error as Error).name === "AbortError");
    const left = overHttp.chat({ model: simulatedModel, messages: question });
    for await (const piece of left) {
      assert.equal(piece.type, "text-delta");
      break;
    }
    assert.ok((await overHttp.chat({ model: simulatedModel, messages: question }).text()) !== "");
  });
});
