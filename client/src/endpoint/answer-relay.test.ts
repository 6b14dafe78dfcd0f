import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { closeReasons } from "@lake-travis/protocol";
import type { LakeClient } from "../lake-client.ts";
import { SimulatedNetwork, simulatedModel } from "../test-support/simulated-network.ts";
import { type ProviderScript, wordsOf } from "../test-support/simulated-provider.ts";

let network = new SimulatedNetwork();
afterEach(() => network.stop());

async function networkOf(...scripts: readonly Partial<ProviderScript>[]): Promise<LakeClient> {
  network = new SimulatedNetwork();
  await network.start(...scripts);
  return network.client();
}

function ask(client: LakeClient, body: object, path = "chat/completions"): Promise<Response> {
  const whole = { model: simulatedModel, messages: [{ role: "user", content: "count" }], ...body };
  return client.fetch(
    new Request(`http://lake/v1/${path}`, { method: "POST", body: JSON.stringify(whole) }),
  );
}

interface Heard {
  readonly text: string;
  readonly ids: ReadonlySet<string>;
  readonly isDone: boolean;
  readonly error: { readonly code: string; readonly message: string } | undefined;
  readonly comments: readonly string[];
}

/** Reads a stream as a client does, event by event. */
async function hear(response: Response): Promise<Heard> {
  const events = (await response.text()).split("\n\n");
  const comments = events.filter((event) => event.startsWith(":"));
  const payloads = events.filter((event) => event.startsWith("data: ")).map((e) => e.slice(6));
  const chunks = payloads
    .filter((payload) => payload !== "[DONE]")
    .map((payload) => JSON.parse(payload) as Record<string, never>);
  const choice = (chunk: Record<string, { delta?: { content?: string }; text?: string }[]>) =>
    chunk["choices"]?.[0]?.delta?.content ?? chunk["choices"]?.[0]?.text ?? "";
  return {
    text: chunks.map(choice).join(""),
    ids: new Set(chunks.filter((chunk) => "id" in chunk).map(({ id }) => String(id))),
    isDone: payloads.at(-1) === "[DONE]",
    error: chunks.map(({ error }) => error as Heard["error"]).find((error) => error !== undefined),
    comments,
  };
}

const whole = wordsOf(0, 20);

describe("an answer whose Provider dies", () => {
  it("goes on at another Provider without a lost or a doubled word", async () => {
    const client = await networkOf({ dieAfter: 7 }, {});
    const heard = await hear(await ask(client, { stream: true }));
    assert.equal(heard.text, whole);
    assert.equal(heard.ids.size, 1, "one answer, one id");
    assert.ok(heard.isDone);
    assert.match(heard.comments.join(), /lake-moved 1 session=0x.*lake-cost session=.* moves=1/);
    const [dead, next] = network.providers;
    assert.deepEqual(next?.requests[0]?.["messages"], [
      { role: "user", content: "count" },
      { role: "assistant", content: wordsOf(0, 7) },
    ]);
    assert.deepEqual(network.rfcs[1]?.wish, { ignore: [dead?.account] });
  });

  it("is told to the Router as its fault", async () => {
    const client = await networkOf({ dieAfter: 3 }, {});
    await (await ask(client, { stream: true })).text();
    const [dead] = network.providers[0]?.sessions ?? [];
    const close = network.closes.find(({ sessionId }) => sessionId === dead?.sessionId);
    assert.equal(closeReasons[close?.reason ?? 0], "provider-gone");
  });

  it("goes on through two deaths, and counts them", async () => {
    const client = await networkOf({ dieAfter: 4 }, { dieAfter: 11 }, {});
    const heard = await hear(await ask(client, { stream: true }));
    assert.equal(heard.text, whole);
    const sessions = await client.fetch(new Request("http://lake/lake/v1/sessions"));
    const { moves } = (await sessions.json()) as { moves: unknown };
    assert.deepEqual(moves, { total: 2, midAnswer: 2 });
  });

  it("goes on as a plain completion, and within max_tokens", async () => {
    const client = await networkOf({ dieAfter: 7 }, {});
    const body = { stream: true, prompt: "count ", max_tokens: 12 };
    const heard = await hear(await ask(client, body, "completions"));
    assert.equal(heard.text, wordsOf(0, 12));
    assert.equal(network.providers[1]?.requests[0]?.["prompt"], `count ${wordsOf(0, 7)}`);
  });

  it("begins anew where no text was heard yet", async () => {
    const client = await networkOf({ dieAfter: 0 }, {});
    const tools = [{ type: "function", function: { name: "f" } }];
    const heard = await hear(await ask(client, { stream: true, tools }));
    assert.equal(heard.text, whole);
    assert.equal((network.providers[1]?.requests[0]?.["messages"] as unknown[]).length, 1);
  });

  it("goes on when the engine fails but the Provider lives", async () => {
    const client = await networkOf({ failAfter: 5 }, {});
    assert.equal((await hear(await ask(client, { stream: true }))).text, whole);
  });

  it("comes whole from another Provider where it is not streamed", async () => {
    const client = await networkOf({ refuseWith: 502 }, {});
    const response = await ask(client, {});
    const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
    assert.equal(choices[0]?.message.content, whole);
    assert.equal(response.headers.get("lake-moves"), "1");
  });
});

describe("an answer that cannot go on elsewhere", () => {
  async function failsClearly(body: object, why: RegExp): Promise<void> {
    const client = await networkOf({ dieAfter: 7 }, {});
    const heard = await hear(await ask(client, { stream: true, ...body }));
    assert.equal(heard.text, wordsOf(0, 7), "nothing wrong after what was right");
    assert.equal(heard.error?.code, "answer-interrupted");
    assert.match(heard.error.message, why);
    assert.ok(!heard.isDone);
    await network.stop();
  }

  it("ends with a clear error", async () => {
    await failsClearly({ tools: [{ type: "function" }] }, /it may call tools\. Ask again\.$/);
    const format = { type: "json_schema", json_schema: { schema: {} } };
    await failsClearly({ response_format: format }, /one JSON document/);
    await failsClearly({ n: 2 }, /several choices/);
    network = new SimulatedNetwork();
  });

  it("ends so where the next Provider would begin a new answer", async () => {
    const client = await networkOf({ dieAfter: 7 }, { continues: false });
    const heard = await hear(await ask(client, { stream: true }));
    assert.equal(heard.text, wordsOf(0, 7));
    assert.match(heard.error?.message ?? "", /cannot go on with the answer/);
  });

  it("ends so where nobody else is there", async () => {
    const client = await networkOf({ dieAfter: 7 });
    const heard = await hear(await ask(client, { stream: true }));
    assert.equal(heard.text, wordsOf(0, 7));
    assert.equal(heard.error?.code, "provider-none");
  });

  it("passes on what is the caller's own mistake, and tries nobody else", async () => {
    const client = await networkOf({ refuseWith: 400 }, {});
    const response = await ask(client, { stream: true });
    assert.equal(response.status, 400);
    assert.equal(network.providers[1]?.requests.length, 0);
  });
});

describe("a caller that leaves", () => {
  it("stops the Provider and gives the slot back", async () => {
    const client = await networkOf({ wordMs: 20, slots: 1 });
    const response = await ask(client, { stream: true });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await reader.cancel();
    const again = await hear(await ask(client, { stream: true }));
    assert.equal(again.text, whole);
    assert.equal(network.providers[0]?.sessions.length, 1);
  });
});
