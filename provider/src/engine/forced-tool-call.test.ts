import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Generation, GenerationEvent } from "@lake-travis/protocol/inference";
import { asToolCall, forcedToolCall } from "./forced-tool-call.ts";

const parameters = { type: "object", properties: { place: { type: "string" } } };
const tools = ["weather", "time"].map((name) => ({
  type: "function",
  function: { name, parameters },
}));

function chat(fields: object): Generation {
  return { kind: "chat", request: { model: "a/b", messages: [], ...fields } };
}

describe("forcedToolCall", () => {
  it("finds the tool that must be called, and its schema", () => {
    const named = { type: "function", function: { name: "time" } };
    const call = forcedToolCall(chat({ tools, tool_choice: named }));
    assert.equal(call?.name, "time");
    assert.deepEqual(call.generation.request["response_format"], {
      type: "json_schema",
      json_schema: { name: "time", schema: parameters },
    });
    assert.equal(call.generation.request["tools"], undefined);
    const only = forcedToolCall(chat({ tools: tools.slice(0, 1), tool_choice: "required" }));
    assert.equal(only?.name, "weather");
  });

  it("leaves the choice where there is one", () => {
    const unknown = { type: "function", function: { name: "nothing" } };
    for (const choice of ["auto", "none", "required", undefined, unknown]) {
      assert.equal(forcedToolCall(chat({ tools, tool_choice: choice })), undefined);
    }
  });
});

describe("asToolCall", () => {
  it("writes the arguments as one call, named once", async () => {
    async function* events(): AsyncGenerator<GenerationEvent> {
      yield { type: "prompt-read", promptTokens: 1 };
      yield { type: "token-delta", text: '{"place":', tokens: 1 };
      yield { type: "token-delta", text: '"x"}', tokens: 1 };
      const counts = { promptTokens: 1, completionTokens: 2 };
      yield { type: "generation-ended", finishReason: "stop", ...counts };
    }
    const made: GenerationEvent[] = [];
    for await (const event of asToolCall("weather", events())) made.push(event);
    const calls = made.flatMap((event) =>
      event.type === "token-delta" ? (event.extra?.["tool_calls"] as { function: object }[]) : [],
    );
    assert.deepEqual(
      calls.map((call) => call.function),
      [{ name: "weather", arguments: '{"place":' }, { arguments: '"x"}' }],
    );
    const end = made.at(-1);
    assert.ok(end?.type === "generation-ended" && end.finishReason === "tool_calls");
  });
});
