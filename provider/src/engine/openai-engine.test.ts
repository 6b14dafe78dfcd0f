import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { LakeError } from "@lake-travis/protocol";
import type { GenerationEvent } from "@lake-travis/protocol/inference";
import { serveHttp, systemClock } from "@lake-travis/platform";
import { OpenAiServer } from "../test-support/openai-server.ts";
import { SimulatedEngine } from "../test-support/simulated-engine.ts";
import { OpenAiEngine } from "./openai-engine.ts";

const signal = new AbortController().signal;
const request = { model: "lake/x", messages: [{ role: "user", content: "hi" }] } as const;

async function collect(engine: OpenAiEngine, changes: object = {}): Promise<GenerationEvent[]> {
  const events: GenerationEvent[] = [];
  const generation = { kind: "chat", request: { ...request, ...changes } } as const;
  for await (const event of engine.generate(generation, signal)) events.push(event);
  return events;
}

/** A server that answers every chat with `answer`, and says that it has one model. */
async function cannedServer(context: TestContext, answer: () => Response): Promise<OpenAiEngine> {
  const server = await serveHttp({
    host: "127.0.0.1",
    port: 0,
    fetch: (call) =>
      call.method === "GET" ? Response.json({ data: [{ id: "m", max_model_len: 99 }] }) : answer(),
  });
  const baseUrl = `http://127.0.0.1:${server.port}/v1`;
  const engine = new OpenAiEngine({ baseUrl, apiKey: "sk-secret", slots: 1 }, systemClock);
  await engine.start();
  context.after(async () => {
    await engine.stop();
    await server.close(0);
  });
  return engine;
}

test("unknown fields reach the server, and its own name for the model", async (context) => {
  const server = new OpenAiServer(new SimulatedEngine());
  await server.start();
  const { baseUrl, apiKey } = server;
  const engine = new OpenAiEngine({ baseUrl, apiKey, slots: 2 }, systemClock);
  await engine.start();
  context.after(async () => {
    await engine.stop();
    await server.stop();
  });
  await collect(engine, { mirostat: 2, guided_regex: "a+" });
  const seen = server.requests.at(-1);
  assert.equal(seen?.["mirostat"], 2);
  assert.equal(seen?.["guided_regex"], "a+");
  assert.equal(seen?.["model"], "upstream");
  assert.equal(engine.description.contextLength, 4_096);
  assert.equal(engine.description.capabilities.embeddings, true);
});

test("tool calls and reasoning come through as the server wrote them", async (context) => {
  const chunk = (delta: object, finish: string | null = null): string =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const call = { index: 0, id: "c1", function: { name: "f", arguments: "{}" } };
  const engine = await cannedServer(
    context,
    () =>
      new Response(
        chunk({ role: "assistant", content: null, reasoning_content: "hm" }) +
          chunk({ tool_calls: [call] }) +
          chunk({}, "tool_calls") +
          'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9}}\n\n' +
          "data: [DONE]\n\n",
      ),
  );
  const events = await collect(engine);
  const extras = events.flatMap((event) => (event.type === "token-delta" ? [event.extra] : []));
  assert.deepEqual(extras, [{ reasoning_content: "hm" }, { tool_calls: [call] }, undefined]);
  assert.deepEqual(events.at(-1), {
    type: "generation-ended",
    finishReason: "tool_calls",
    promptTokens: 5,
    completionTokens: 9,
  });
});

const failures: readonly (readonly [string, () => Response, string])[] = [
  ["engine-failed", () => new Response("boom", { status: 500 }), "boom"],
  ["model-input-invalid", () => Response.json({ error: { message: "no" } }, { status: 400 }), "no"],
  [
    "context-length-exceeded",
    () => Response.json({ error: { message: "maximum context length is 8" } }, { status: 400 }),
    "maximum context length is 8",
  ],
  [
    "engine-failed",
    () => Response.json({ error: { message: "key sk-secret is bad" } }, { status: 401 }),
    "The engine's server refuses this Provider.",
  ],
  ["engine-failed", () => new Response("sk-secret leaked", { status: 503 }), "[key] leaked"],
  ["engine-failed", () => new Response('data: {"error":{"message":"died"}}\n\n'), "died"],
  ["engine-failed", () => new Response(""), "The engine's server broke off its answer."],
];

test("the server's failures: its status and text, never its key", async (context) => {
  let index = 0;
  const engine = await cannedServer(context, () => failures[index]?.[1]() ?? new Response(""));
  for (const [code, , sentence] of failures) {
    const error = await collect(engine).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof LakeError);
    assert.equal(error.code, code);
    assert.equal(error.message, sentence);
    assert.doesNotMatch(JSON.stringify(error.toBody()), /sk-secret/);
    index += 1;
  }
});

test("a server that goes away is trouble within a second, and well when it is back", async () => {
  const server = new OpenAiServer(new SimulatedEngine());
  await server.start();
  const { baseUrl, apiKey } = server;
  const engine = new OpenAiEngine({ baseUrl, apiKey, slots: 2 }, systemClock);
  await engine.start();
  const troubled = new Promise<string | undefined>((resolve) => engine.onTrouble(resolve));
  const goneAt = Date.now();
  await server.stop();
  assert.match((await troubled) ?? "", /does not answer/);
  assert.ok(Date.now() - goneAt < 1_300, `after ${Date.now() - goneAt} ms`);
  await engine.stop();
});
