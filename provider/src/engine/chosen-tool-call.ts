/*
 * Tools that the model may call or not. A template that knows of tools tells the model to write a
 * call as `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` (Hermes and Qwen, the most
 * common form in GGUF files). Such calls become deltas of `tool_calls`; what only looks like one
 * is shown as it was written. Nothing else is held back, and each token stays an event of its own.
 */
import { randomUUID } from "node:crypto";
import {
  type Generation,
  type GenerationEvent,
  isObject,
  type JsonObject,
} from "@lake-travis/protocol/inference";

const opening = "<tool_call>";
const closing = "</tool_call>";

/** Whether the model may answer a request by calling one of its tools. */
export function mayCallTools(generation: Generation): boolean {
  if (generation.kind !== "chat") return false;
  const { tools = [], tool_choice: choice } = generation.request;
  return tools.length > 0 && choice !== "none";
}

/** Turns the calls in an answer's text into deltas of `tool_calls`. */
export async function* withToolCalls(
  events: AsyncIterable<GenerationEvent>,
): AsyncGenerator<GenerationEvent> {
  const reader = createCallReader();
  for await (const event of events) {
    if (event.type === "token-delta") {
      const { text, extra } = reader.push(event.text);
      yield { ...event, text, ...(extra === undefined ? {} : { extra }) };
    } else if (event.type === "generation-ended") {
      const { text, extra } = reader.flush();
      if (text !== "" || extra !== undefined) {
        yield { type: "token-delta", text, tokens: 0, ...(extra === undefined ? {} : { extra }) };
      }
      const isCall = reader.calls > 0 && event.finishReason === "stop";
      yield isCall ? { ...event, finishReason: "tool_calls" } : event;
    } else yield event;
  }
}

interface ReadText {
  readonly text: string;
  readonly extra: { readonly tool_calls: readonly JsonObject[] } | undefined;
}

function createCallReader() {
  let held = "";
  let isInside = false;
  let calls = 0;
  const read = (raw: string, asWritten: string, made: JsonObject[]): string => {
    const call = callOf(raw, calls);
    if (call === undefined) return asWritten;
    calls += 1;
    made.push(call);
    return "";
  };
  const told = (text: string, made: readonly JsonObject[]): ReadText => {
    return { text, extra: made.length === 0 ? undefined : { tool_calls: made } };
  };
  return {
    get calls() {
      return calls;
    },
    push(piece: string): ReadText {
      const made: JsonObject[] = [];
      let shown = "";
      held += piece;
      for (;;) {
        const tag = isInside ? closing : opening;
        const index = held.indexOf(tag);
        if (index < 0) break;
        const before = held.slice(0, index);
        held = held.slice(index + tag.length);
        shown += isInside ? read(before, opening + before + closing, made) : before;
        isInside = !isInside;
      }
      if (!isInside) {
        const kept = beginningOf(opening, held);
        shown += held.slice(0, held.length - kept);
        held = held.slice(held.length - kept);
      }
      return told(shown, made);
    },
    // Many models end their turn instead of the tag.
    flush(): ReadText {
      const made: JsonObject[] = [];
      const text = isInside ? read(held, opening + held, made) : held;
      held = "";
      return told(text, made);
    },
  };
}

/** A call as OpenAI writes it; undefined for text that is none. */
function callOf(raw: string, index: number): JsonObject | undefined {
  const json = parsed(raw);
  if (!isObject(json) || typeof json["name"] !== "string") return undefined;
  const given = json["arguments"] ?? json["parameters"] ?? {};
  const text = typeof given === "string" ? given : JSON.stringify(given);
  const id = `call_${randomUUID().replaceAll("-", "")}`;
  return { index, id, type: "function", function: { name: json["name"], arguments: text } };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // A model may write anything; what is no JSON is no call.
    return undefined;
  }
}

/** How many characters at the end of `text` may be the beginning of `tag`. */
function beginningOf(tag: string, text: string): number {
  let length = Math.min(tag.length - 1, text.length);
  while (!text.endsWith(tag.slice(0, length))) length -= 1;
  return length;
}
