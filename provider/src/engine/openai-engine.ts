/*
 * Any server that speaks OpenAI's language (vLLM, llama-server, Ollama, TGI, SGLang) as an engine.
 *
 * Requests go there as the User wrote them, unknown fields included; answers come back as they are.
 * The server's key stays here: it is in no description, no log and no error text.
 */
import { type Clock, LakeError, type Signal } from "@lake-travis/protocol";
import {
  type ChatCompletionChunk,
  type Classifications,
  type ClassifyRequest,
  type Completion,
  type Embeddings,
  type EmbeddingRequest,
  type Engine,
  type EngineCapabilities,
  type EngineDescription,
  type FinishReason,
  type Generation,
  type GenerationEvent,
  isObject,
  type JsonObject,
  type Usage,
} from "@lake-travis/protocol/inference";
import { createServerCaller, type ServerAnswer } from "./call-server.ts";
import { describeHardware } from "./hardware.ts";
import { readEventStream } from "./read-event-stream.ts";

/** What an {@link OpenAiEngine} is started with. */
export interface OpenAiEngineOptions {
  /** Up to and without the `/chat/completions`: `http://127.0.0.1:8000/v1`. */
  readonly baseUrl: string;
  readonly apiKey?: string;
  /** The server's own name for the model; its only one where it is absent. */
  readonly model?: string;
  /** How many requests to send at once. */
  readonly slots: number;
  /** Tokens of prompt and answer; asked of the server where it is absent. */
  readonly contextLength?: number;
  /** A slug for Offers; this machine's own description where it is absent. */
  readonly hardwareClass?: string;
}

/** How often the server is asked whether it lives; Offers are withdrawn within a second. */
const healthMs = 300;
/** Failures in a row that make it trouble: one may be a hiccup. */
const healthFailuresMax = 2;
const probeMsMax = 10_000;
/** What is kept of a server's error text. */
const errorTextMax = 500;
/** The body of an unstreamed answer: 2,048 vectors of 4,096 numbers in text. */
const answerBytesMax = 256 * 1024 * 1024;

/** A server by its URL as an {@link Engine}. */
export class OpenAiEngine implements Engine {
  readonly #options: OpenAiEngineOptions;
  readonly #clock: Clock;
  readonly #server = createServerCaller();
  readonly #listeners = new Set<(trouble: string | undefined) => void>();
  #description: EngineDescription | undefined;
  #model = "";
  #trouble: string | undefined = "The engine is not running.";
  #failures = 0;
  #cancelHealth: () => void = () => undefined;

  constructor(options: OpenAiEngineOptions, clock: Clock) {
    this.#options = { ...options, baseUrl: options.baseUrl.replace(/\/+$/, "") };
    this.#clock = clock;
  }

  get description(): EngineDescription {
    if (this.#description === undefined) {
      throw new LakeError("engine-failed", "The engine is not running.");
    }
    return this.#description;
  }

  get trouble(): string | undefined {
    return this.#trouble;
  }

  onTrouble(listener: (trouble: string | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    const { slots, contextLength, model, hardwareClass } = this.#options;
    const listed = await this.#json("GET", "/models", undefined, AbortSignal.timeout(probeMsMax));
    const entry = modelEntry(listed, model);
    this.#model = String(entry["id"]);
    this.#description = {
      engineClass: "openai-compatible",
      hardwareClass: hardwareClass ?? describeHardware().hardwareClass,
      contextLength: contextLength ?? contextLengthOf(entry),
      slots,
      capabilities: { ...(await this.#probe()), continues: continuesFinalMessage(entry) },
    };
    this.#setTrouble(undefined);
    this.#watch();
  }

  stop(): Promise<void> {
    this.#cancelHealth();
    this.#description = undefined;
    this.#setTrouble("The engine is not running.");
    this.#server.close();
    return Promise.resolve();
  }

  async *generate(generation: Generation, signal: Signal): AsyncGenerator<GenerationEvent> {
    const path = generation.kind === "chat" ? "/chat/completions" : "/completions";
    const body = {
      ...generation.request,
      model: this.#model,
      stream: true,
      stream_options: { ...generation.request.stream_options, include_usage: true },
    };
    const controller = new AbortController();
    const onAbort = (): void => controller.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      if (signal.aborted) throw signal.reason;
      const answer = await this.#send("POST", path, body, controller.signal);
      const groups = readEventStream(answer.body);
      for await (const event of readGeneration(groups, (text) => this.#streamError(text))) {
        // Several events may have come in one piece; nothing is passed on to who has left.
        if (signal.aborted) throw signal.reason;
        yield event;
      }
    } catch (error) {
      throw signal.aborted ? signal.reason : asEngineError(error);
    } finally {
      signal.removeEventListener("abort", onAbort);
      // Closes the connection where the reader left early, which is how such servers are told.
      controller.abort();
    }
  }

  async embed(request: EmbeddingRequest, signal: Signal): Promise<Embeddings> {
    if (!this.description.capabilities.embeddings) throw unsupported("embed");
    const controller = new AbortController();
    signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
    const { encoding_format: _format, ...rest } = request;
    const body = { ...rest, model: this.#model, encoding_format: "float" };
    const json = await this.#json("POST", "/embeddings", body, controller.signal);
    return readEmbeddings(json);
  }

  classify(_request: ClassifyRequest): Promise<Classifications> {
    return Promise.reject(unsupported("classify"));
  }

  // What a server can do is asked of it, since none of them says so in its own words.
  async #probe(): Promise<EngineCapabilities> {
    const messages = [{ role: "user", content: "Hi" }];
    const schema = { type: "object", properties: { a: { type: "boolean" } }, required: ["a"] };
    const format = { type: "json_schema", json_schema: { name: "probe", schema } };
    const chat = await this.#answers("/chat/completions", { messages, max_tokens: 1 });
    const tool = { type: "function", function: { name: "probe", parameters: schema } };
    return {
      chat,
      completions: await this.#answers("/completions", { prompt: "Hi", max_tokens: 1 }),
      embeddings: await this.#answers("/embeddings", { input: "Hi" }),
      classify: false,
      jsonSchema:
        chat &&
        (await this.#answers("/chat/completions", {
          messages,
          max_tokens: 32,
          response_format: format,
        })),
      // Its name for grammars differs from server to server, so none is promised.
      grammar: false,
      logprobs:
        chat &&
        (await this.#answers("/chat/completions", { messages, max_tokens: 1, logprobs: true })),
      tools:
        chat &&
        (await this.#answers("/chat/completions", { messages, max_tokens: 1, tools: [tool] })),
      continues: chat && (await this.#continues(messages)),
    };
  }

  // Who reads `continue_final_message` refuses a contradiction to it; who ignores it does not.
  async #continues(messages: readonly object[]): Promise<boolean> {
    const begun = [...messages, { role: "assistant", content: "He" }];
    const going = { messages: begun, max_tokens: 1, continue_final_message: true };
    const path = "/chat/completions";
    const contradiction = { ...going, add_generation_prompt: true };
    if (await this.#answers(path, contradiction)) return false;
    return this.#answers(path, { ...going, add_generation_prompt: false });
  }

  async #answers(path: string, body: object): Promise<boolean> {
    try {
      const probe = { ...body, model: this.#model };
      await this.#json("POST", path, probe, AbortSignal.timeout(probeMsMax));
      return true;
    } catch {
      // Whatever the reason, this server did not do it, so it is not offered.
      return false;
    }
  }

  #watch(): void {
    this.#cancelHealth = this.#clock.after(healthMs, () => {
      void this.#look().then(() => {
        if (this.#description !== undefined) this.#watch();
      });
    });
  }

  async #look(): Promise<void> {
    try {
      await this.#json("GET", "/models", undefined, AbortSignal.timeout(healthMs));
      this.#failures = 0;
    } catch {
      this.#failures += 1;
    }
    if (this.#description === undefined) return;
    if (this.#failures === 0) this.#setTrouble(undefined);
    else if (this.#failures >= healthFailuresMax) {
      this.#setTrouble("The engine's server does not answer.");
    }
  }

  #setTrouble(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    for (const listener of this.#listeners) listener(trouble);
  }

  async #json(method: string, path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#send(method, path, body, signal);
    return JSON.parse(await readText(answer, answerBytesMax)) as unknown;
  }

  async #send(
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<ServerAnswer> {
    const { baseUrl, apiKey } = this.#options;
    const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
    const url = baseUrl + path;
    const answer = await this.#server.send({ method, url, body, headers, signal });
    if (answer.status < 300) return answer;
    throw this.#refusal(answer.status, await readText(answer, errorTextMax * 8));
  }

  #refusal(status: number, body: string): LakeError {
    const { text, code } = readError(body);
    const data = { status };
    const said = this.#scrub(text);
    if (isContextOverflow(`${code} ${text}`)) {
      return new LakeError("context-length-exceeded", said, { data });
    }
    if (status === 401 || status === 403) {
      // Its text may name the key or the account: the User gets none of it.
      return new LakeError("engine-failed", "The engine's server refuses this Provider.", { data });
    }
    const isUsers = status === 400 || status === 404 || status === 413 || status === 422;
    return new LakeError(isUsers ? "model-input-invalid" : "engine-failed", said, { data });
  }

  #streamError(text: string): LakeError {
    return this.#refusal(500, text);
  }

  #scrub(text: string): string {
    const { apiKey } = this.#options;
    const clean = apiKey === undefined ? text : text.replaceAll(apiKey, "[key]");
    return clean.slice(0, errorTextMax) || "The engine's server refuses this.";
  }
}

async function* readGeneration(
  groups: AsyncIterable<readonly string[]>,
  errorOf: (text: string) => LakeError,
): AsyncGenerator<GenerationEvent> {
  let finishReason: FinishReason | undefined;
  let usage: Usage | undefined;
  let tokens = 0;
  let isFirst = true;
  for await (const group of groups) {
    for (const payload of group) {
      const chunk = JSON.parse(payload) as Partial<ChatCompletionChunk> & {
        readonly error?: unknown;
      };
      if (chunk.error !== undefined) throw errorOf(payload);
      usage = chunk.usage ?? usage;
      const [choice] = chunk.choices ?? [];
      if (choice === undefined) continue;
      if (isFirst) yield { type: "prompt-read", promptTokens: usage?.prompt_tokens ?? 0 };
      isFirst = false;
      finishReason = choice.finish_reason ?? finishReason;
      const event = deltaOf(choice);
      if (event === undefined) continue;
      tokens += event.tokens;
      yield event;
    }
  }
  if (isFirst) yield { type: "prompt-read", promptTokens: usage?.prompt_tokens ?? 0 };
  if (finishReason === undefined) {
    throw new LakeError("engine-failed", "The engine's server broke off its answer.");
  }
  const completionTokens = Math.max(tokens, usage?.completion_tokens ?? 0);
  // Some servers put several tokens into one chunk; the usage at the end tells how many they were.
  if (completionTokens > tokens) {
    yield { type: "token-delta", text: "", tokens: completionTokens - tokens };
  }
  const promptTokens = usage?.prompt_tokens ?? 0;
  yield { type: "generation-ended", finishReason, promptTokens, completionTokens };
}

type Choice = ChatCompletionChunk["choices"][number];

function deltaOf(choice: Choice): Extract<GenerationEvent, { type: "token-delta" }> | undefined {
  const { delta } = choice as Partial<Choice>;
  const plain = (choice as Partial<Completion["choices"][number]>).text;
  const content = delta?.content;
  const text = typeof content === "string" ? content : (plain ?? "");
  const logprobs = choice.logprobs?.content;
  const said: Record<string, unknown> = {};
  let hasExtra = false;
  const given: Readonly<Record<string, unknown>> = delta ?? {};
  for (const name in given) {
    if (name === "content" || name === "role" || given[name] === null) continue;
    said[name] = given[name];
    hasExtra = true;
  }
  if (text === "" && !hasExtra) return undefined;
  return {
    type: "token-delta",
    text,
    tokens: 1,
    ...(Array.isArray(logprobs) ? { logprobs } : {}),
    ...(hasExtra ? { extra: said } : {}),
  };
}

function modelEntry(listed: unknown, wanted: string | undefined): JsonObject {
  const data = isObject(listed) && Array.isArray(listed["data"]) ? listed["data"] : [];
  const entries = data.filter(isObject);
  const entry = wanted === undefined ? entries[0] : entries.find(({ id }) => id === wanted);
  if (entry !== undefined && (wanted !== undefined || entries.length === 1)) return entry;
  throw new LakeError("engine-failed", "The engine's server does not have that model.", {
    advice: "Name one of its models.",
    data: {
      models: entries
        .map(({ id }) => String(id))
        .join(", ")
        .slice(0, errorTextMax),
    },
  });
}

// vLLM and SGLang say `max_model_len`, our own endpoint `context_length`, llama-server `meta`.
function contextLengthOf(entry: JsonObject): number {
  const meta = isObject(entry["meta"]) ? entry["meta"] : {};
  const found = [
    entry["max_model_len"],
    entry["context_length"],
    meta["n_ctx"],
    meta["n_ctx_train"],
  ];
  return found.find((value): value is number => Number.isSafeInteger(value)) ?? 0;
}

// The three that are known to; others begin a new answer without a word.
function continuesFinalMessage(entry: JsonObject): boolean {
  return ["vllm", "sglang", "llamacpp"].includes(String(entry["owned_by"]).toLowerCase());
}

function readEmbeddings(json: unknown): Embeddings {
  const source = isObject(json) ? json : {};
  const rows = Array.isArray(source["data"]) ? source["data"].filter(isObject) : [];
  const vectors = rows.map(({ embedding }) =>
    Array.isArray(embedding) ? (embedding as number[]) : [],
  );
  const usage = isObject(source["usage"]) ? source["usage"] : {};
  return { vectors, promptTokens: Number(usage["prompt_tokens"] ?? 0) };
}

function readError(body: string): { readonly text: string; readonly code: string } {
  try {
    const json = JSON.parse(body) as { error?: unknown; message?: unknown; code?: unknown };
    const error = isObject(json.error) ? json.error : json;
    const said = typeof error.message === "string" ? error.message : body;
    const text = typeof json.error === "string" ? json.error : said;
    return { text, code: typeof error.code === "string" ? error.code : "" };
  } catch {
    // Not JSON: some servers answer in plain text.
    return { text: body, code: "" };
  }
}

function isContextOverflow(text: string): boolean {
  return /context.length.exceeded|maximum context length|exceed_context_size|context size/i.test(
    text,
  );
}

function asEngineError(error: unknown): LakeError {
  if (error instanceof LakeError) return error;
  const sentence = "The engine's server broke off its answer.";
  return new LakeError("engine-failed", sentence, { cause: error });
}

function unsupported(verb: string): LakeError {
  return new LakeError("model-input-invalid", `This model cannot ${verb}.`);
}

async function readText(answer: ServerAnswer, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of answer.body) {
    chunks.push(chunk);
    total += chunk.length;
    if (total > bytesMax) break;
  }
  return Buffer.concat(chunks).subarray(0, bytesMax).toString("utf8");
}
