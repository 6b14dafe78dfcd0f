/*
 * A chat answer as OpenAI's Responses API writes it: one object with output items, or its events.
 * Texts and calls become items in the order in which they begin; an item is closed when another one
 * begins or the answer ends.
 */
import type { LakeError } from "@lake-travis/protocol";
import { isObject, type JsonObject, openAiErrorBody } from "@lake-travis/protocol/inference";
import type { AnswerChunk } from "./delivered-answer.ts";

/** What every response object repeats of its request. */
export interface ResponseHead {
  readonly id: string;
  /** Unix seconds. */
  readonly createdAt: number;
  readonly request: JsonObject;
}

type Item = Record<string, unknown>;

/** Follows the chunks of a chat answer and writes the events of a streamed response. */
export class ResponseWriter {
  readonly #head: ResponseHead;
  readonly #items: Item[] = [];
  #sequence = 0;
  #open: { readonly item: Item; readonly index: number; text: string } | undefined;
  /** The tool call that a chunk's index means. */
  #callIndex: number | undefined;
  #finish: string | undefined;
  #usage: JsonObject | undefined;

  constructor(head: ResponseHead) {
    this.#head = head;
  }

  /** The events before anything is generated. */
  begin(): string {
    const response = this.response("in_progress");
    return (
      this.#event("response.created", { response }) +
      this.#event("response.in_progress", { response })
    );
  }

  /** The events that one chunk causes. */
  take(chunk: AnswerChunk): string {
    let events = "";
    if (isObject(chunk.usage)) this.#usage = chunk.usage;
    const [choice] = chunk.choices ?? [];
    if (typeof choice?.finish_reason === "string") this.#finish = choice.finish_reason;
    const { content, tool_calls: calls } = choice?.delta ?? {};
    if (typeof content === "string" && content !== "") events += this.#takeText(content);
    for (const call of Array.isArray(calls) ? (calls as unknown[]) : []) {
      if (isObject(call)) events += this.#takeCall(call);
    }
    return events;
  }

  /** The events that end the response; `failure` where its answer could not be ended. */
  end(failure?: LakeError): string {
    const closed = this.#closeItem();
    if (failure !== undefined) {
      const { code, message } = openAiErrorBody(failure).error;
      const response = { ...this.response("failed"), error: { code, message } };
      return closed + this.#event("response.failed", { response });
    }
    const isCut = this.#finish === "length" || this.#finish === "content_filter";
    const status = isCut ? "incomplete" : "completed";
    return closed + this.#event(`response.${status}`, { response: this.response(status) });
  }

  /** The response object as it is now. */
  response(status: "in_progress" | "completed" | "incomplete" | "failed"): Item {
    const { createdAt, id, request } = this.#head;
    const reason = this.#finish === "length" ? "max_output_tokens" : "content_filter";
    return {
      id,
      object: "response",
      created_at: createdAt,
      status,
      background: false,
      error: null,
      incomplete_details: status === "incomplete" ? { reason } : null,
      instructions: request["instructions"] ?? null,
      max_output_tokens: request["max_output_tokens"] ?? null,
      metadata: request["metadata"] ?? {},
      model: request["model"],
      output: [...this.#items],
      parallel_tool_calls: request["parallel_tool_calls"] ?? true,
      previous_response_id: null,
      store: false,
      temperature: request["temperature"] ?? null,
      text: request["text"] ?? { format: { type: "text" } },
      tool_choice: request["tool_choice"] ?? "auto",
      tools: request["tools"] ?? [],
      top_p: request["top_p"] ?? null,
      truncation: "disabled",
      usage: this.#usage === undefined ? null : usageOf(this.#usage),
    };
  }

  #takeText(text: string): string {
    let events = "";
    if (this.#open?.item["type"] !== "message") {
      events += this.#closeItem();
      const id = this.#itemId("msg");
      const item: Item = { id, type: "message", role: "assistant", status: "in_progress" };
      events += this.#openItem({ ...item, content: [] });
      const part = { type: "output_text", text: "", annotations: [], logprobs: [] };
      events += this.#event("response.content_part.added", { ...this.#place(), part });
    }
    if (this.#open !== undefined) this.#open.text += text;
    const delta = { ...this.#place(), delta: text, logprobs: [] };
    return events + this.#event("response.output_text.delta", delta);
  }

  #takeCall(call: JsonObject): string {
    const { function: called, id, index } = call;
    const { arguments: given, name } = isObject(called) ? called : {};
    let events = "";
    const isNew = this.#open?.item["type"] !== "function_call" || this.#callIndex !== index;
    if (isNew && typeof name === "string") {
      events += this.#closeItem();
      this.#callIndex = typeof index === "number" ? index : undefined;
      const callId = typeof id === "string" ? id : this.#itemId("call");
      const item: Item = { id: this.#itemId("fc"), type: "function_call", status: "in_progress" };
      events += this.#openItem({ ...item, call_id: callId, name, arguments: "" });
    }
    if (typeof given !== "string" || given === "" || this.#open === undefined) return events;
    this.#open.text += given;
    const { item_id, output_index } = this.#place();
    const delta = { item_id, output_index, delta: given };
    return events + this.#event("response.function_call_arguments.delta", delta);
  }

  #openItem(item: Item): string {
    const index = this.#items.length;
    this.#open = { item, index, text: "" };
    this.#items.push(item);
    return this.#event("response.output_item.added", { output_index: index, item });
  }

  #closeItem(): string {
    const open = this.#open;
    if (open === undefined) return "";
    const place = this.#place();
    this.#open = undefined;
    const { index, text } = open;
    let events = "";
    let done: Item;
    if (open.item["type"] === "message") {
      const part = { type: "output_text", text, annotations: [], logprobs: [] };
      done = { ...open.item, status: "completed", content: [part] };
      events += this.#event("response.output_text.done", { ...place, text, logprobs: [] });
      events += this.#event("response.content_part.done", { ...place, part });
    } else {
      done = { ...open.item, status: "completed", arguments: text };
      const { item_id, output_index } = place;
      const whole = { item_id, output_index, name: open.item["name"], arguments: text };
      events += this.#event("response.function_call_arguments.done", whole);
    }
    this.#items[index] = done;
    return events + this.#event("response.output_item.done", { output_index: index, item: done });
  }

  #place(): { item_id: unknown; output_index: number; content_index: number } {
    const { index = 0, item } = this.#open ?? {};
    return { item_id: item?.["id"], output_index: index, content_index: 0 };
  }

  #itemId(kind: string): string {
    return `${kind}_${this.#head.id.slice(5)}_${this.#items.length}`;
  }

  #event(type: string, data: Item): string {
    const event = { type, sequence_number: this.#sequence, ...data };
    this.#sequence += 1;
    return `event: ${type}\ndata: ${JSON.stringify(event)}\n\n`;
  }
}

/** An unstreamed chat completion as one response object. */
export function responseOf(head: ResponseHead, completion: unknown): Item {
  const writer = new ResponseWriter(head);
  const whole = isObject(completion) ? completion : {};
  const [choice] = Array.isArray(whole["choices"]) ? (whole["choices"] as unknown[]) : [];
  const { finish_reason: finish, message } = isObject(choice) ? choice : {};
  const { content, tool_calls: calls } = isObject(message) ? message : {};
  const delta = {
    content,
    tool_calls: (Array.isArray(calls) ? (calls as unknown[]) : []).map((call, index) => ({
      ...(isObject(call) ? call : {}),
      index,
    })),
  };
  const reason = typeof finish === "string" ? finish : "stop";
  const usage = isObject(whole["usage"]) ? whole["usage"] : null;
  writer.take({ choices: [{ delta, finish_reason: reason }], usage });
  writer.end();
  const isCut = reason === "length" || reason === "content_filter";
  return writer.response(isCut ? "incomplete" : "completed");
}

function usageOf(usage: JsonObject): Item {
  return {
    input_tokens: usage["prompt_tokens"] ?? 0,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: usage["completion_tokens"] ?? 0,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: usage["total_tokens"] ?? 0,
  };
}
