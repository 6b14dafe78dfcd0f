import { type HttpServer, serveHttp } from "@lake-travis/platform";
import {
  type Engine,
  openAiErrorBody,
  readChatRequest,
  readCompletionRequest,
  readEmbeddingRequest,
} from "@lake-travis/protocol/inference";
import { LakeError } from "@lake-travis/protocol";
import { answerHead } from "../http/answer-head.ts";
import { chatCompletion, createChatWriter } from "../http/chat-answer.ts";
import { completion, createCompletionWriter } from "../http/completion-answer.ts";
import { eventStream } from "../http/event-stream.ts";

/** A server in OpenAI's language over an engine, as vLLM or llama-server are, with a key. */
export class OpenAiServer {
  readonly engine: Engine;
  readonly apiKey = "sk-of-the-server";
  /** Bodies of the requests that came, newest last. */
  readonly requests: Record<string, unknown>[] = [];
  #server: HttpServer | undefined;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  get baseUrl(): string {
    return `http://127.0.0.1:${this.#server?.port ?? 0}/v1`;
  }

  async start(): Promise<void> {
    await this.engine.start();
    const fetch = (request: Request): Promise<Response> => this.#answer(request);
    this.#server = await serveHttp({ fetch, host: "127.0.0.1", port: 0 });
  }

  async stop(): Promise<void> {
    await this.#server?.close(0);
    await this.engine.stop();
  }

  async #answer(request: Request): Promise<Response> {
    try {
      if (request.headers.get("authorization") !== `Bearer ${this.apiKey}`) {
        return Response.json({ error: { message: "bad key" } }, { status: 401 });
      }
      return await this.#serve(new URL(request.url).pathname, request);
    } catch (error) {
      const status = error instanceof LakeError ? error.status : 500;
      return Response.json(openAiErrorBody(error), { status });
    }
  }

  async #serve(path: string, request: Request): Promise<Response> {
    const { contextLength } = this.engine.description;
    if (path === "/v1/models") {
      return Response.json({ data: [{ id: "upstream", context_length: contextLength }] });
    }
    const json = (await request.json()) as Record<string, unknown>;
    this.requests.push(json);
    const { signal } = request;
    if (path === "/v1/embeddings") {
      const { vectors } = await this.engine.embed(readEmbeddingRequest(json), signal);
      return Response.json({ data: vectors.map((embedding) => ({ embedding })) });
    }
    return path === "/v1/chat/completions" ? this.#chat(json, signal) : this.#plain(json, signal);
  }

  async #chat(json: unknown, signal: AbortSignal): Promise<Response> {
    const head = answerHead("chatcmpl", "upstream", Date.now());
    const chat = readChatRequest(json);
    const rest = generatorOf(this.engine.generate({ kind: "chat", request: chat }, signal));
    if (chat.stream !== true) return Response.json(await chatCompletion(head, rest));
    const write = createChatWriter(head, chat);
    const first = await rest.next();
    return new Response(eventStream({ first, rest, write, explain: (error) => error }));
  }

  async #plain(json: unknown, signal: AbortSignal): Promise<Response> {
    const head = answerHead("cmpl", "upstream", Date.now());
    const plain = readCompletionRequest(json);
    const rest = generatorOf(this.engine.generate({ kind: "completion", request: plain }, signal));
    if (plain.stream !== true) return Response.json(await completion(head, plain, rest));
    const write = createCompletionWriter(head, plain);
    const first = await rest.next();
    return new Response(eventStream({ first, rest, write, explain: (error) => error }));
  }
}

async function* generatorOf<T>(items: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  yield* items;
}
