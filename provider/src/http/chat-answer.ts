import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatRequest,
  FinishReason,
  GenerationEvent,
  TokenLogprob,
  Usage,
} from "@lake-travis/protocol/inference";
import type { AnswerHead } from "./answer-head.ts";

type Events = AsyncIterable<GenerationEvent>;

/** Writes events of a generation as the chunks of a streamed chat completion. */
export function createChatWriter(
  head: AnswerHead,
  request: ChatRequest,
  index = 0,
): (event: GenerationEvent) => readonly string[] {
  const base = { ...head, object: "chat.completion.chunk" as const };
  const withUsage = request.stream_options?.include_usage === true;
  const usageField = withUsage ? { usage: null } : {};
  const write = (choice: Omit<ChatCompletionChunk["choices"][number], "index">): string => {
    const chunk: ChatCompletionChunk = {
      ...base,
      choices: [{ index, ...choice }],
      ...usageField,
    };
    return JSON.stringify(chunk);
  };
  // Nearly every chunk is plain text, and all of it but the text is known beforehand.
  const plain = write({ delta: { content: "" }, finish_reason: null });
  const at = plain.indexOf('"content":""') + '"content":'.length;
  const [before, behind] = [plain.slice(0, at), plain.slice(at + 2)];
  return (event) => {
    if (event.type === "prompt-read") {
      return [write({ delta: { role: "assistant", content: "" }, finish_reason: null })];
    }
    if (event.type === "generation-ended") {
      const last = write({ delta: {}, finish_reason: event.finishReason });
      const usage = usageOf(event.promptTokens, event.completionTokens);
      return withUsage ? [last, JSON.stringify({ ...base, choices: [], usage })] : [last];
    }
    const { text, extra, logprobs } = event;
    if (extra === undefined && logprobs === undefined) {
      return text === "" ? [] : [before + JSON.stringify(text) + behind];
    }
    const delta = { ...(text === "" ? {} : { content: text }), ...extra };
    const likely = logprobs === undefined ? {} : { logprobs: { content: logprobs } };
    return [write({ delta, ...likely, finish_reason: null })];
  };
}

/** Gathers the events of a generation into an unstreamed chat completion. */
export async function chatCompletion(head: AnswerHead, events: Events): Promise<ChatCompletion> {
  let content = "";
  const extras: Record<string, unknown> = {};
  const logprobs: TokenLogprob[] = [];
  let finish: FinishReason = "stop";
  let usage = usageOf(0, 0);
  for await (const event of events) {
    if (event.type === "token-delta") {
      content += event.text;
      logprobs.push(...(event.logprobs ?? []));
      mergeExtra(extras, event.extra ?? {});
    } else if (event.type === "generation-ended") {
      finish = event.finishReason;
      usage = usageOf(event.promptTokens, event.completionTokens);
    }
  }
  const hasCalls = Array.isArray(extras["tool_calls"]);
  return {
    ...head,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: content === "" && hasCalls ? null : content,
          ...extras,
        },
        logprobs: logprobs.length === 0 ? null : { content: logprobs },
        finish_reason: finish,
      },
    ],
    usage,
  };
}

/** Tokens of a request in OpenAI's form. */
export function usageOf(promptTokens: number, completionTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

// Deltas of further fields add up as OpenAI's do: texts are joined, tool calls by their index.
function mergeExtra(
  target: Record<string, unknown>,
  extra: Readonly<Record<string, unknown>>,
): void {
  for (const [name, value] of Object.entries(extra)) {
    const known = target[name];
    if (typeof known === "string" && typeof value === "string" && !fixedFields.has(name)) {
      target[name] = known + value;
    } else if (name === "tool_calls" && Array.isArray(value)) {
      target[name] = mergeToolCalls(Array.isArray(known) ? known : [], value);
    } else if (isRecord(known) && isRecord(value)) {
      mergeExtra(known, value);
    } else {
      target[name] = value;
    }
  }
}

// These are said once or repeated whole, never in pieces.
const fixedFields = new Set(["id", "type", "role"]);

function mergeToolCalls(known: readonly unknown[], deltas: readonly unknown[]): unknown[] {
  const calls = [...known] as Record<string, unknown>[];
  for (const delta of deltas) {
    if (!isRecord(delta)) continue;
    const { index, ...rest } = delta;
    const at = typeof index === "number" && index >= 0 && index <= calls.length ? index : 0;
    const call = calls[at] ?? {};
    mergeExtra(call, rest);
    calls[at] = call;
  }
  return calls;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
