/*
 * Other people's clients, unmodified, against the whole network on this machine: whoever points
 * their base URL here must not notice the difference. At the end a Provider is killed while it
 * answers, which they must not notice either.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { embed, generateText, jsonSchema, Output, streamText } from "ai";
import OpenAI from "openai";
import { createRouterClient } from "@lake-travis/client";
import type { Hex } from "@lake-travis/protocol";
import { startNetwork, type StartedNetwork } from "./test-support/started-network.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "lake-travis-clients-"));
const dataDir = join(folder, "devnet");
const model = "lake/travis-tiny";
const question = "What is a tick?";
const messages = [{ role: "user" as const, content: question }];
const schema = {
  type: "object" as const,
  properties: {
    name: { type: "string" as const, maxLength: 12 },
    known: { type: "boolean" as const },
  },
  required: ["name", "known"],
  additionalProperties: false,
};
const weather = {
  name: "weather",
  description: "The weather at a place.",
  parameters: {
    type: "object" as const,
    properties: { place: { type: "string" as const, maxLength: 12 } },
    required: ["place"],
    additionalProperties: false,
  },
};

let network: StartedNetwork;
let endpoint = "";
let routerUrl = "";
let openai: OpenAI;

before(async () => {
  network = startNetwork(["--data-dir", dataDir, "--port", "0", "--json"]);
  const up = await network.step("up");
  endpoint = String(up["endpoint"]);
  routerUrl = String(up["routerUrl"]);
  openai = new OpenAI({ baseURL: endpoint, apiKey: "unused", maxRetries: 0 });
});

after(async () => {
  network.process.kill("SIGTERM");
  await network.exited;
  rmSync(folder, { recursive: true, force: true });
});

describe("openai", () => {
  it("streams, with usage at the end", async () => {
    const stream = await openai.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 24,
    });
    let text = "";
    let tokens = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      tokens = chunk.usage?.completion_tokens ?? tokens;
    }
    assert.ok(text.length > 0);
    assert.ok(tokens > 0 && tokens <= 24);
  });

  it("gets JSON that fits a schema", async () => {
    const format = { type: "json_schema" as const, json_schema: { name: "pair", schema } };
    const { choices } = await openai.chat.completions.create({
      model,
      messages,
      response_format: format,
      max_completion_tokens: 120,
    });
    checkPair(JSON.parse(choices[0]?.message.content ?? ""));
  });

  it("has a tool called", async () => {
    const { choices } = await openai.chat.completions.create({
      model,
      messages,
      tools: [{ type: "function", function: weather }],
      tool_choice: { type: "function", function: { name: "weather" } },
      max_completion_tokens: 120,
    });
    const [call] = choices[0]?.message.tool_calls ?? [];
    assert.ok(call?.type === "function");
    assert.equal(call.function.name, "weather");
    assert.equal(
      typeof (JSON.parse(call.function.arguments) as { place: unknown }).place,
      "string",
    );
  });

  it("has a tool called in a stream", async () => {
    const stream = openai.chat.completions.stream({
      model,
      messages,
      tools: [{ type: "function", function: weather }],
      tool_choice: { type: "function", function: { name: "weather" } },
      max_completion_tokens: 120,
    });
    const message = await stream.finalMessage();
    const [call] = message.tool_calls ?? [];
    assert.ok(call?.type === "function");
    assert.equal(call.function.name, "weather");
    JSON.parse(call.function.arguments);
  });

  it("embeds, asking for base64 as it does", async () => {
    const { data } = await openai.embeddings.create({ model, input: ["a tick", "a lake"] });
    assert.equal(data.length, 2);
    assert.ok((data[0]?.embedding.length ?? 0) > 8);
  });

  it("completes a text", async () => {
    const { choices } = await openai.completions.create({ model, prompt: "A tick", max_tokens: 8 });
    assert.ok((choices[0]?.text ?? "").length > 0);
  });

  it("speaks the Responses API, in one piece and streamed", async () => {
    const whole = await openai.responses.create({ model, input: question, max_output_tokens: 16 });
    assert.ok(whole.output_text.length > 0);
    let text = "";
    const stream = openai.responses.stream({ model, input: question, max_output_tokens: 16 });
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    assert.equal((await stream.finalResponse()).output_text, text);
  });

  it("finds a model that it names", async () => {
    assert.equal((await openai.models.retrieve(model)).id, model);
  });

  it("may leave in the middle, and the next answer comes at once", async () => {
    const stream = await openai.chat.completions.create({ model, messages, stream: true });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta.content) stream.controller.abort();
    }
    const next = await openai.chat.completions.create({
      model,
      messages,
      max_completion_tokens: 4,
    });
    assert.ok(next.choices.length > 0);
  });

  it("asks many things at once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () =>
        openai.chat.completions.create({ model, messages, max_completion_tokens: 16 }),
      ),
    );
    assert.ok(answers.every(({ choices }) => (choices[0]?.message.content ?? "") !== ""));
  });

  it("gets typed errors", async () => {
    const unknown = openai.chat.completions.create({ model: "nobody/nothing", messages });
    await assert.rejects(unknown, (error) => error instanceof OpenAI.NotFoundError);
  });
});

describe("Vercel's ai", () => {
  const lake = () => {
    const settings = { name: "lake", baseURL: endpoint, supportsStructuredOutputs: true };
    return createOpenAICompatible(settings);
  };

  it("generates and streams text", async () => {
    const chat = lake()(model);
    const { text } = await generateText({ model: chat, prompt: question, maxOutputTokens: 16 });
    assert.ok(text.length > 0);
    const stream = streamText({ model: chat, prompt: question, maxOutputTokens: 16 });
    let streamed = "";
    for await (const piece of stream.textStream) streamed += piece;
    assert.ok(streamed.length > 0);
  });

  it("generates an object that fits a schema", async () => {
    const { output } = await generateText({
      model: lake()(model),
      output: Output.object({ schema: jsonSchema<object>(schema) }),
      prompt: question,
      maxOutputTokens: 120,
    });
    checkPair(output);
  });

  it("has a tool called", async () => {
    const { toolCalls } = await generateText({
      model: lake()(model),
      prompt: question,
      tools: { weather: { inputSchema: jsonSchema<object>(weather.parameters) } },
      toolChoice: { type: "tool", toolName: "weather" },
      maxOutputTokens: 120,
    });
    assert.equal(toolCalls[0]?.toolName, "weather");
  });

  it("embeds", async () => {
    const { embedding } = await embed({ model: lake().embeddingModel(model), value: "a tick" });
    assert.ok(embedding.length > 8);
  });
});

describe("LangChain", () => {
  const chat = (maxTokens = 16): ChatOpenAI =>
    new ChatOpenAI({
      model,
      maxTokens,
      apiKey: "unused",
      maxRetries: 0,
      configuration: { baseURL: endpoint },
    });

  it("invokes and streams", async () => {
    const answer = await chat().invoke(question);
    assert.ok(answer.text.length > 0);
    let text = "";
    for await (const chunk of await chat().stream(question)) text += chunk.text;
    assert.ok(text.length > 0);
  });

  it("gets output that fits a schema", async () => {
    const titled = { title: "pair", ...schema };
    const structured = chat(120).withStructuredOutput(titled, { method: "jsonSchema" });
    checkPair(await structured.invoke(question));
  });

  it("has a tool called", async () => {
    const tools = [{ type: "function" as const, function: weather }];
    const bound = chat(120).bindTools(tools, { tool_choice: "weather" });
    const { tool_calls: calls } = await bound.invoke(question);
    assert.equal(calls?.[0]?.name, "weather");
  });

  it("embeds", async () => {
    const settings = { model, apiKey: "unused", configuration: { baseURL: endpoint } };
    const vectors = await new OpenAIEmbeddings(settings).embedDocuments(["a tick", "a lake"]);
    assert.equal(vectors.length, 2);
    assert.ok((vectors[0]?.length ?? 0) > 8);
  });
});

describe("curl", () => {
  it("streams", async (t) => {
    const body = JSON.stringify({ model, messages, stream: true, max_tokens: 8 });
    const args = ["-sN", "-i", "-H", "content-type: application/json", "-d", body];
    try {
      const { stdout } = await run("curl", [...args, `${endpoint}/chat/completions`]);
      assert.match(stdout, /^lake-cost-mor: 0\.0/m);
      assert.match(stdout, /^: lake-cost session=0x/m);
      assert.match(stdout, /^data: \[DONE\]/m);
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") throw error;
      t.skip("no curl on this machine");
    }
  });
});

describe("a Provider that is killed while it answers", () => {
  it("is not noticed by the client, and is not paid", async () => {
    const long = {
      model,
      messages,
      temperature: 0,
      max_completion_tokens: 300,
      ignore_eos: true,
    } as const;
    const reference = await openai.chat.completions.create(long);
    const whole = reference.choices[0]?.message.content ?? "";
    const { data: stream, response } = await openai.chat.completions
      .create({ ...long, stream: true })
      .withResponse();
    const provider = response.headers.get("lake-provider");
    const session = response.headers.get("lake-session") as Hex;
    const actor = network.steps.find((step) => step.name === "session")?.["provider"] === provider;
    const name = actor ? "provider-1" : "provider-2";
    let text = "";
    let killedAt = -1;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      if (killedAt >= 0 || text === "") continue;
      killedAt = text.length;
      process.kill(pidOf(name), "SIGKILL");
    }
    assert.ok(text.length > killedAt, "the answer went on");
    assert.equal(text.slice(0, killedAt + 1), whole.slice(0, killedAt + 1));
    const { moves } = (await (
      await fetch(endpoint.replace(/\/v1$/, "/lake/v1/sessions"))
    ).json()) as { moves: { midAnswer: number } };
    assert.equal(moves.midAnswer, 1);
    const router = createRouterClient(routerUrl);
    const ended = await untilEnded(async () => router.session(session));
    await router.stop();
    assert.deepEqual([ended.endReason, ended.charge], ["provider-gone", "0"]);
  });
});

function checkPair(value: unknown): void {
  const { known, name } = value as { known: unknown; name: unknown };
  assert.equal(typeof known, "boolean");
  assert.equal(typeof name, "string");
}

function pidOf(name: string): number {
  const notes = JSON.parse(readFileSync(join(dataDir, "processes.json"), "utf8")) as {
    name: string;
    pid: number;
  }[];
  return notes.find((note) => note.name === name)?.pid ?? 0;
}

async function untilEnded<T extends { readonly charge: string | null }>(
  read: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const state = await read();
    if (state.charge !== null) return state;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error("the Session did not end");
}
