import { LakeError } from "@lake-travis/protocol";
import type { ChatRequest } from "./lake.ts";
import { failureIn, type LakeTransport, postJson, requireAnswer } from "./lake-transport.ts";
import { readEvents } from "./read-events.ts";

/** What an answer was served by and has cost. Amounts are wei of MOR. */
export interface AnswerCost {
  readonly sessionId: string;
  readonly provider: string;
  readonly weiPerSecond: bigint;
  /** What the Session, which later requests may share, had cost when the answer began. */
  readonly sessionCostWei: bigint;
}

/** Tokens as the Provider counted them. */
export interface AnswerUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** One piece of an answer on its way. */
export type ChatPiece =
  | { readonly type: "text-delta"; readonly text: string }
  /** A part of a call of one of the request's tools, in OpenAI's form. */
  | { readonly type: "tool-call-delta"; readonly delta: unknown }
  | {
      readonly type: "finish";
      /** `stop`, `length`, `tool_calls`. */
      readonly reason: string;
      readonly usage: AnswerUsage | null;
      readonly cost: AnswerCost;
    };

/** An answer: read it piece by piece or as one text, but only once. */
export interface ChatAnswer extends AsyncIterable<ChatPiece> {
  /** Reads to the end and joins the text. Throws a `LakeError`. */
  text(): Promise<string>;
}

/** Asks as soon as the first piece is wanted. */
export function createChatAnswer(transport: LakeTransport, request: ChatRequest): ChatAnswer {
  let isRead = false;
  const pieces = (): AsyncGenerator<ChatPiece> => {
    if (isRead) {
      throw new LakeError("argument-invalid", "This answer was read already.", {
        advice: "Keep its text, or ask again.",
      });
    }
    isRead = true;
    return readPieces(transport, request);
  };
  return {
    [Symbol.asyncIterator]: pieces,
    async text() {
      let text = "";
      for await (const piece of pieces()) if (piece.type === "text-delta") text += piece.text;
      return text;
    },
  };
}

interface Chunk {
  readonly error?: unknown;
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string | null; readonly tool_calls?: readonly unknown[] };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null;
}

async function* readPieces(
  transport: LakeTransport,
  request: ChatRequest,
): AsyncGenerator<ChatPiece> {
  const answer = await postJson(transport, {
    path: "chat/completions",
    body: bodyOf(request),
    signal: request.signal,
    ...(request.maxPrice === undefined ? {} : { headers: { "lake-max-price": request.maxPrice } }),
  });
  await requireAnswer(answer);
  let reason: string | undefined;
  let usage: AnswerUsage | null = null;
  for await (const payload of readEvents(answer)) {
    // What has arrived already is not read on either.
    request.signal?.throwIfAborted();
    if (payload === "[DONE]") break;
    const chunk = chunkIn(payload);
    if (chunk.error !== undefined) throw failureIn(chunk.error, 502);
    usage = usageIn(chunk) ?? usage;
    const [choice] = chunk.choices ?? [];
    reason = choice?.finish_reason ?? reason;
    const { content, tool_calls: calls = [] } = choice?.delta ?? {};
    if (typeof content === "string" && content !== "") yield { type: "text-delta", text: content };
    for (const delta of calls) yield { type: "tool-call-delta", delta };
  }
  if (reason === undefined) {
    throw new LakeError("answer-interrupted", "The answer ended in the middle.", {
      advice: "Ask again.",
    });
  }
  yield { type: "finish", reason, usage, cost: costIn(answer) };
}

function bodyOf(request: ChatRequest): Record<string, unknown> {
  const { extra, maxTokens, messages, model, temperature } = request;
  return {
    ...extra,
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    ...(maxTokens === undefined ? {} : { max_completion_tokens: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
  };
}

function chunkIn(payload: string): Chunk {
  try {
    return JSON.parse(payload) as Chunk;
  } catch (cause) {
    throw new LakeError("answer-interrupted", "A piece of the answer is not JSON.", { cause });
  }
}

function usageIn({ usage }: Chunk): AnswerUsage | undefined {
  if (usage === undefined || usage === null) return undefined;
  return {
    promptTokens: usage.prompt_tokens ?? 0,
    completionTokens: usage.completion_tokens ?? 0,
  };
}

function costIn({ headers }: Response): AnswerCost {
  const wei = (name: string): bigint => {
    const text = headers.get(name) ?? "";
    return /^\d{1,78}$/.test(text) ? BigInt(text) : 0n;
  };
  return {
    sessionId: headers.get("lake-session") ?? "",
    provider: headers.get("lake-provider") ?? "",
    weiPerSecond: wei("lake-price-wei-per-second"),
    sessionCostWei: wei("lake-cost-wei"),
  };
}
