/*
 * A tool that must be called (`tool_choice` names it, or asks for one where there is only one)
 * needs no template that knows of tools: its parameters are a JSON schema, so the engine is held to
 * that schema as a grammar and what it writes are the call's arguments.
 */
import { randomUUID } from "node:crypto";
import type { ChatRequest, Generation, GenerationEvent } from "@lake-travis/protocol/inference";
import { isObject, type JsonObject } from "@lake-travis/protocol/inference";

/** The one tool that a request forces, and the generation of its arguments. */
export interface ForcedToolCall {
  readonly name: string;
  readonly generation: Generation;
}

/** The call that a generation forces; undefined where the model may choose. */
export function forcedToolCall(generation: Generation): ForcedToolCall | undefined {
  if (generation.kind !== "chat") return undefined;
  const { request } = generation;
  const called = forcedFunction(request);
  const name = called?.["name"];
  if (called === undefined || typeof name !== "string") return undefined;
  const { tools: _tools, tool_choice: _choice, ...rest } = request;
  const schema = isObject(called["parameters"]) ? called["parameters"] : { type: "object" };
  const format = { type: "json_schema" as const, json_schema: { name, schema } };
  return { name, generation: { kind: "chat", request: { ...rest, response_format: format } } };
}

/** Turns the arguments' text into the deltas of a tool call. */
export async function* asToolCall(
  name: string,
  events: AsyncIterable<GenerationEvent>,
): AsyncGenerator<GenerationEvent> {
  let isFirst = true;
  for await (const event of events) {
    if (event.type === "token-delta" && event.text !== "") {
      const { logprobs: _logprobs, text, ...delta } = event;
      const head = { id: `call_${randomUUID().replaceAll("-", "")}`, type: "function" };
      const call = isFirst
        ? { index: 0, ...head, function: { name, arguments: text } }
        : { index: 0, function: { arguments: text } };
      isFirst = false;
      yield { ...delta, text: "", extra: { tool_calls: [call] } };
    } else if (event.type === "generation-ended" && event.finishReason === "stop") {
      yield { ...event, finishReason: "tool_calls" };
    } else yield event;
  }
}

function forcedFunction(request: ChatRequest): JsonObject | undefined {
  const functions = (request.tools ?? []).map((tool) => tool["function"]).filter(isObject);
  const { tool_choice: choice } = request;
  if (choice === "required") return functions.length === 1 ? functions[0] : undefined;
  const named = isObject(choice) && isObject(choice["function"]) ? choice["function"] : {};
  return functions.find(({ name }) => typeof name === "string" && name === named["name"]);
}
