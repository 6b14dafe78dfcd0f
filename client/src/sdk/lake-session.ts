import type { AnswerCost, ChatAnswer, ChatPiece } from "./chat-answer.ts";
import type { ChatMessage, ChatRequest } from "./lake.ts";
import type { LakeTransport } from "./lake-transport.ts";

/** How a conversation begins. */
export interface SessionOptions {
  readonly model: string;
  /** Instructions that come before everything. */
  readonly system?: string;
  readonly maxTokens?: number;
  readonly maxPrice?: string;
}

/** A conversation. `await using` closes it. */
export interface LakeSession {
  /** All that was said, the instructions first. */
  readonly messages: readonly ChatMessage[];
  /** What the last answer was served by and cost; undefined before the first. */
  readonly cost: AnswerCost | undefined;
  /**
   * Says something; the answer is remembered once it was read to its end.
   *
   * @example
   * const session = lake.session({ model: "lake/travis-tiny", system: "Answer briefly." });
   * for await (const piece of session.ask("What is a tick?")) {
   *   if (piece.type === "text-delta") process.stdout.write(piece.text);
   * }
   * await session.close();
   */
  ask(text: string, options?: { readonly signal?: AbortSignal }): ChatAnswer;
  /** Forgets what was said; the instructions stay. */
  clear(): void;
  /** Closes the paid Session now instead of when it has been idle for a while. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What a conversation works with. */
interface SessionParts {
  readonly chat: (request: ChatRequest) => ChatAnswer;
  readonly transport: LakeTransport;
}

/** Begins a conversation. */
export function createLakeSession(parts: SessionParts, options: SessionOptions): LakeSession {
  const { model, system, maxPrice, maxTokens } = options;
  const first: readonly ChatMessage[] =
    system === undefined ? [] : [{ role: "system", content: system }];
  let messages = first;
  let cost: AnswerCost | undefined;
  const close = async (): Promise<void> => {
    if (cost !== undefined) await closeSession(parts.transport, cost.sessionId);
    cost = undefined;
  };
  const ask: LakeSession["ask"] = (text, { signal } = {}) => {
    const asked = [...messages, { role: "user" as const, content: text }];
    const answer = parts.chat({
      model,
      messages: asked,
      ...(maxPrice === undefined ? {} : { maxPrice }),
      ...(maxTokens === undefined ? {} : { maxTokens }),
      ...(signal === undefined ? {} : { signal }),
    });
    return listened(answer, (said, paid) => {
      messages = [...asked, { role: "assistant", content: said }];
      cost = paid;
    });
  };
  return {
    get messages() {
      return messages;
    },
    get cost() {
      return cost;
    },
    ask,
    clear: () => {
      messages = first;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The same answer, whose text and cost somebody is told at its end. */
function listened(answer: ChatAnswer, onEnd: (text: string, cost: AnswerCost) => void): ChatAnswer {
  async function* pieces(): AsyncGenerator<ChatPiece> {
    let text = "";
    for await (const piece of answer) {
      if (piece.type === "text-delta") text += piece.text;
      if (piece.type === "finish") onEnd(text, piece.cost);
      yield piece;
    }
  }
  return {
    [Symbol.asyncIterator]: pieces,
    async text() {
      let text = "";
      for await (const piece of pieces()) if (piece.type === "text-delta") text += piece.text;
      return text;
    },
  };
}

/** Sessions are the endpoint's own, not OpenAI's, so their path is not below `/v1`. */
async function closeSession(transport: LakeTransport, sessionId: string): Promise<void> {
  const url = new URL(`/lake/v1/sessions/${sessionId}`, transport.base);
  const answer = await transport.fetch(new Request(url, { method: "DELETE" }));
  // It may have been closed for idleness meanwhile, or go on under a successor's id.
  await answer.body?.cancel();
}
