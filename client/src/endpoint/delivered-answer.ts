/*
 * What of an answer has reached its caller, so that another Provider can go on with it.
 *
 * An answer can go on where everything that was delivered is plain text: the text becomes the
 * beginning of the assistant's message, and the next Provider writes only what follows. A tool call
 * or a JSON document under way cannot: the next model's grammar would begin anew in the middle.
 */
import { isObject, type JsonObject } from "@lake-travis/protocol/inference";
import { clientLimits } from "../limits.ts";

/** Which kind of text an answer is. */
export type AnswerKind = "chat" | "completion";

/** One streamed chunk, as far as it is looked at here. */
export interface AnswerChunk {
  readonly id?: unknown;
  readonly created?: unknown;
  readonly model?: unknown;
  readonly choices?: readonly ChunkChoice[];
  readonly usage?: JsonObject | null;
}

interface ChunkChoice {
  readonly index?: number;
  readonly delta?: JsonObject;
  readonly text?: unknown;
  readonly finish_reason?: string | null;
}

/** Follows one answer from Provider to Provider. */
export class DeliveredAnswer {
  readonly kind: AnswerKind;
  readonly #body: JsonObject;
  #text = "";
  #tokens = 0;
  #earlierTokens = 0;
  #head: Pick<AnswerChunk, "id" | "created" | "model"> | undefined;
  #obstacle: string | undefined;
  /** A chunk said why the answer ended. */
  isFinished = false;

  constructor(kind: AnswerKind, body: JsonObject) {
    this.kind = kind;
    this.#body = body;
    this.#obstacle = obstacleIn(body);
  }

  /** Whether the caller has seen any of the answer's text. */
  get hasBegun(): boolean {
    return this.#text !== "" || this.isFinished || this.#hasOddDelta;
  }

  /** Why the answer cannot go on elsewhere; undefined where it can. */
  get obstacle(): string | undefined {
    return this.hasBegun ? this.#obstacle : undefined;
  }

  #hasOddDelta = false;

  /** Notes a chunk that is passed on; the result is how many pieces of text it brought. */
  note(chunk: AnswerChunk): number {
    this.#head ??= { id: chunk.id, created: chunk.created, model: chunk.model };
    let pieces = 0;
    for (const choice of chunk.choices ?? []) pieces += this.#noteChoice(choice);
    this.#tokens += pieces;
    return pieces;
  }

  /** The request with which another Provider goes on; the same request where nothing has begun. */
  continuation(): JsonObject {
    this.#earlierTokens = this.#tokens;
    if (!this.hasBegun) return this.#body;
    const body = { ...this.#body, ...this.#tokensLeft() };
    if (this.kind === "completion") {
      const { prompt, echo } = this.#body;
      const first: unknown = Array.isArray(prompt) ? prompt[0] : prompt;
      // With `echo` the prompt itself is a part of what was delivered.
      const begun = echo === true ? this.#text : String(first) + this.#text;
      return { ...body, prompt: begun, echo: false };
    }
    return {
      ...body,
      messages: withBeginning(this.#body, this.#text),
      continue_final_message: true,
      add_generation_prompt: false,
    };
  }

  /** Whether nothing more may be generated: the caller's `max_tokens` are used up. */
  get isFull(): boolean {
    const max = tokensMaxOf(this.#body);
    return max !== undefined && this.#tokens >= max;
  }

  /** A chunk of a later Provider as the caller expects it; undefined where it has nothing new. */
  adapt(chunk: AnswerChunk): AnswerChunk | undefined {
    const usage = chunk.usage;
    const choices = (chunk.choices ?? []).map((choice) => this.#withoutRole(choice));
    const isEmpty = choices.every((choice) => isSilent(choice)) && !isObject(usage);
    if (isEmpty) return undefined;
    return {
      ...chunk,
      ...this.#head,
      ...(chunk.choices === undefined ? {} : { choices }),
      ...(isObject(usage) ? { usage: this.#usageOf(usage) } : {}),
    };
  }

  /** The last chunk of an answer whose `max_tokens` were used up when its Provider died. */
  fullChunk(): AnswerChunk {
    const last = this.kind === "chat" ? { delta: {} } : { text: "" };
    const object = this.kind === "chat" ? "chat.completion.chunk" : "text_completion";
    const choices = [{ index: 0, ...last, finish_reason: "length" }];
    return { ...this.#head, ...{ object }, choices };
  }

  #noteChoice(choice: ChunkChoice): number {
    if ((choice.index ?? 0) !== 0) this.#obstacle ??= "it has several choices";
    if (typeof choice.finish_reason === "string") this.isFinished = true;
    const text = this.kind === "chat" ? choice.delta?.["content"] : choice.text;
    for (const [name, value] of Object.entries(choice.delta ?? {})) {
      if (name === "content" || name === "role" || value === null) continue;
      this.#hasOddDelta = true;
      this.#obstacle ??= `it has '${name}'`;
    }
    if (typeof text !== "string" || text === "") return 0;
    if (this.#text.length + text.length > clientLimits.continuableCharsMax) {
      this.#obstacle ??= "it is too long to be kept";
    } else this.#text += text;
    return 1;
  }

  #withoutRole(choice: ChunkChoice): ChunkChoice {
    if (choice.delta === undefined || !this.hasBegun) return choice;
    const { role, ...delta } = choice.delta;
    return role === undefined ? choice : { ...choice, delta };
  }

  // What was generated before counts as generated, not as the prompt that it became a part of.
  #usageOf(usage: JsonObject): JsonObject {
    const [prompt, made] = [usage["prompt_tokens"], usage["completion_tokens"]];
    if (typeof prompt !== "number" || typeof made !== "number") return usage;
    const earlier = this.#earlierTokens;
    const prompt_tokens = Math.max(0, prompt - earlier);
    const completion_tokens = made + earlier;
    const total_tokens = prompt_tokens + completion_tokens;
    return { ...usage, prompt_tokens, completion_tokens, total_tokens };
  }

  #tokensLeft(): JsonObject {
    const left: Record<string, number> = {};
    for (const name of tokenFields) {
      const max = this.#body[name];
      if (typeof max === "number") left[name] = Math.max(1, max - this.#tokens);
    }
    return left;
  }
}

const tokenFields = ["max_tokens", "max_completion_tokens"] as const;

function tokensMaxOf(body: JsonObject): number | undefined {
  const given = tokenFields.map((name) => body[name]).filter((max) => typeof max === "number");
  return given.length === 0 ? undefined : Math.min(...given);
}

/** Why an answer to this request could not go on elsewhere, from the request alone. */
function obstacleIn(body: JsonObject): string | undefined {
  const { n, tools, tool_choice: choice, functions, response_format: format, grammar } = body;
  if (typeof n === "number" && n > 1) return "it has several choices";
  const hasTools = Array.isArray(tools) && tools.length > 0 && choice !== "none";
  if (hasTools || Array.isArray(functions)) return "it may call tools";
  if (isObject(format) && format["type"] !== "text") return "it must be one JSON document";
  if (grammar !== undefined && grammar !== null) return "it must follow a grammar";
  return undefined;
}

function withBeginning(body: JsonObject, text: string): unknown[] {
  const messages = Array.isArray(body["messages"]) ? (body["messages"] as unknown[]) : [];
  const last = messages.at(-1);
  // The caller's own beginning of the answer and what followed it are one message.
  if (body["continue_final_message"] === true && isObject(last)) {
    const begun = typeof last["content"] === "string" ? last["content"] : "";
    return [...messages.slice(0, -1), { ...last, content: begun + text }];
  }
  return [...messages, { role: "assistant", content: text }];
}

function isSilent(choice: ChunkChoice): boolean {
  if (typeof choice.finish_reason === "string") return false;
  if (typeof choice.text === "string") return choice.text === "";
  const values = Object.values(choice.delta ?? {});
  return values.every((value) => value === null || value === "");
}
