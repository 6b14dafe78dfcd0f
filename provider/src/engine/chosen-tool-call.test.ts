import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { GenerationEvent } from "@lake-travis/protocol/inference";
import { mayCallTools, withToolCalls } from "./chosen-tool-call.ts";

interface Seen {
  readonly text: string;
  readonly calls: readonly (readonly [number, string, string])[];
  readonly finishReason: string;
  readonly tokens: number;
}

async function* eventsOf(pieces: readonly string[]): AsyncGenerator<GenerationEvent> {
  await Promise.resolve();
  yield { type: "prompt-read", promptTokens: 3 };
  for (const text of pieces) yield { type: "token-delta", text, tokens: 1 };
  const completionTokens = pieces.length;
  yield { type: "generation-ended", finishReason: "stop", promptTokens: 3, completionTokens };
}

async function read(pieces: readonly string[]): Promise<Seen> {
  let text = "";
  let tokens = 0;
  let finishReason = "";
  const calls: (readonly [number, string, string])[] = [];
  for await (const event of withToolCalls(eventsOf(pieces))) {
    if (event.type === "generation-ended") ({ finishReason } = event);
    if (event.type !== "token-delta") continue;
    text += event.text;
    tokens += event.tokens;
    const made = (event.extra?.["tool_calls"] ?? []) as readonly {
      readonly index: number;
      readonly function: { readonly name: string; readonly arguments: string };
    }[];
    for (const call of made) calls.push([call.index, call.function.name, call.function.arguments]);
  }
  return { text, calls, finishReason, tokens };
}

const call = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>';

async function check(answer: string, expected: Omit<Seen, "tokens">): Promise<void> {
  for (const pieces of [[answer], Array.from(answer)]) {
    assert.deepEqual(await read(pieces), { ...expected, tokens: pieces.length });
  }
}

test("calls become deltas, whole and in order, however the tokens fall", async () => {
  const add = (index: number) => [index, "add", '{"a":1}'] as const;
  await check(call, { text: "", calls: [add(0)], finishReason: "tool_calls" });
  await check(`Well: ${call}${call}`, {
    text: "Well: ",
    calls: [add(0), add(1)],
    finishReason: "tool_calls",
  });
  const open = call.replace("</tool_call>", "");
  await check(open, { text: "", calls: [add(0)], finishReason: "tool_calls" });
});

test("what only looks like a call is shown as it was written", async () => {
  for (const text of ["a < b", "<tool", "<tool_call>", "<tool_call>no</tool_call> x", "plain"]) {
    await check(text, { text, calls: [], finishReason: "stop" });
  }
});

test("no text is lost and no token is counted twice", async () => {
  const piece = fc.constantFrom("<", "<tool_", "call>", "</tool_call>", "{}", "x", " ");
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const seen = await read(pieces);
      assert.equal(seen.text, pieces.join(""));
      assert.equal(seen.tokens, pieces.length);
    }),
  );
});

test("tools may be called unless there are none or the User says so", () => {
  const ask = (request: object): boolean =>
    mayCallTools({ kind: "chat", request: { model: "a/b", messages: [], ...request } });
  const tools = [{ type: "function", function: { name: "add" } }];
  assert.equal(ask({}), false);
  assert.equal(ask({ tools: [] }), false);
  assert.equal(ask({ tools }), true);
  assert.equal(ask({ tools, tool_choice: "auto" }), true);
  assert.equal(ask({ tools, tool_choice: "none" }), false);
});
