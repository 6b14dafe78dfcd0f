import { createChatAnswer, type ChatAnswer } from "./chat-answer.ts";
import { createLakeSession, type LakeSession, type SessionOptions } from "./lake-session.ts";
import { answerJson, endpointTransport, type LakeTransport, postJson } from "./lake-transport.ts";

/** Whose words a message holds. */
export type ChatRole = "system" | "user" | "assistant" | "tool";

/** One message of a conversation, in OpenAI's form. */
export interface ChatMessage {
  readonly role: ChatRole;
  readonly content: string;
}

/** What to ask. Fields that are not named here are passed on as they are. */
export interface ChatRequest {
  /** A handle such as `builder/name` or `builder/name:tag`. */
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  /** Most tokens that the answer may have. */
  readonly maxTokens?: number;
  readonly temperature?: number;
  /** Most that is paid, Provider and Builders together, in MOR an hour, such as `"0.5"`. */
  readonly maxPrice?: string;
  /** Any other field of a chat completion request, such as `tools` or `response_format`. */
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

/** What to turn into vectors. */
export interface EmbedRequest {
  readonly model: string;
  readonly input: readonly string[];
  readonly signal?: AbortSignal;
}

/** A model that the network offers now. */
export interface OfferedModel {
  /** The handle to ask for. */
  readonly model: string;
  /** Lowest whole price in wei of MOR a second. */
  readonly weiPerSecond: bigint;
  readonly providers: number;
  /** Highest measured speed that a Provider offers. */
  readonly tokensPerSecond: number;
}

/** How to reach the network: a local endpoint by its address, or any transport. */
export interface LakeOptions {
  /** Base URL of a local endpoint, as `lake up` prints it. */
  readonly endpoint?: string;
  /** Bearer key of that endpoint, where it wants one. */
  readonly apiKey?: string;
  /** Takes the place of `endpoint`: the network in this process, or a test's own. */
  readonly transport?: LakeTransport;
}

/** The network as a program uses it. */
export interface Lake {
  /**
   * Asks for an answer; it comes piece by piece. Failures are thrown while it is read.
   *
   * @example
   * for await (const piece of lake.chat({ model, messages })) {
   *   if (piece.type === "text-delta") process.stdout.write(piece.text);
   * }
   */
  chat(request: ChatRequest): ChatAnswer;
  /** A conversation that remembers what was said, and closes its Session at its end. */
  session(options: SessionOptions): LakeSession;
  /** One vector for each input. Throws a `LakeError`. */
  embed(request: EmbedRequest): Promise<readonly (readonly number[])[]>;
  /** What the network offers now, the cheapest price of each model. Throws a `LakeError`. */
  models(signal?: AbortSignal): Promise<readonly OfferedModel[]>;
  /** Ends what was opened for this; Sessions of a node in this process are closed and paid. */
  close(): Promise<void>;
}

/** Where `lake up` listens unless it is told otherwise. */
const endpointDefault = "http://127.0.0.1:8787/v1";

/**
 * Opens the network for a program, in Node or in a browser.
 *
 * @example
 * const lake = createLake({ endpoint: "http://127.0.0.1:8787/v1" });
 * const answer = lake.chat({
 *   model: "lake/travis-tiny",
 *   messages: [{ role: "user", content: "What is a tick?" }],
 * });
 * console.log(await answer.text());
 * await lake.close();
 */
export function createLake(options: LakeOptions = {}): Lake {
  const transport =
    options.transport ??
    endpointTransport({
      endpoint: options.endpoint ?? endpointDefault,
      ...(options.apiKey === undefined ? {} : { apiKey: options.apiKey }),
    });
  const chat = (request: ChatRequest): ChatAnswer => createChatAnswer(transport, request);
  return {
    chat,
    session: (given) => createLakeSession({ chat, transport }, given),
    embed: (request) => embed(transport, request),
    models: (signal) => listModels(transport, signal),
    close: async () => transport.close?.(),
  };
}

async function embed(
  transport: LakeTransport,
  { input, model, signal }: EmbedRequest,
): Promise<readonly (readonly number[])[]> {
  const body = { model, input, encoding_format: "float" };
  const answer = await postJson(transport, { path: "embeddings", body, signal });
  const { data } = (await answerJson(answer)) as { data: { index: number; embedding: number[] }[] };
  return [...data].sort((a, b) => a.index - b.index).map(({ embedding }) => embedding);
}

interface ListedModel {
  readonly id: string;
  readonly lake?: {
    readonly wei_per_second?: string;
    readonly providers?: number;
    readonly tokens_per_second?: number;
  };
}

async function listModels(
  transport: LakeTransport,
  signal: AbortSignal | undefined,
): Promise<readonly OfferedModel[]> {
  const request = new Request(transport.base + "models", signal === undefined ? {} : { signal });
  const { data } = (await answerJson(await transport.fetch(request))) as { data: ListedModel[] };
  return data.map(({ id, lake }) => ({
    model: id,
    weiPerSecond: BigInt(lake?.wei_per_second ?? 0),
    providers: lake?.providers ?? 0,
    tokensPerSecond: lake?.tokens_per_second ?? 0,
  }));
}
