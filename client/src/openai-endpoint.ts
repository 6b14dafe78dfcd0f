/*
 * The local OpenAI-compatible endpoint as a pure `Request -> Response` function: reads which model
 * is wanted and at which price, takes a slot of a Session for it, and passes the Provider's answer
 * on while it counts tokens for the next Tick. What happens to a Provider meanwhile is the relay's.
 */
import { Hono } from "hono";
import {
  type Clock,
  formatMor,
  LakeError,
  limits,
  type Random,
  toHex,
} from "@lake-travis/protocol";
import { isObject, type JsonObject } from "@lake-travis/protocol/inference";
import { parseJson, readBytes } from "@lake-travis/platform";
import { type MoneyLeft, moneyHeaders, rateHeaders } from "./endpoint/answer-headers.ts";
import {
  type AnswerMove,
  relayStream,
  relayWhole,
  type WholeAnswer,
} from "./endpoint/answer-relay.ts";
import { type AnswerWriter, completionsWriter, streamOf } from "./endpoint/answer-writer.ts";
import { createKeyCheck } from "./endpoint/endpoint-keys.ts";
import type { InferenceJob } from "./endpoint/inference-job.ts";
import { modelListOf, type OfferBoard } from "./endpoint/offer-board.ts";
import { readWish, type WishDefaults } from "./endpoint/read-wish.ts";
import { responseOf, ResponseWriter } from "./endpoint/responses-answer.ts";
import { chatFromResponses } from "./endpoint/responses-request.ts";
import type { EndpointKey, RequestSpend, SpendGuard } from "./ledger/spend-guard.ts";
import { clientLimits } from "./limits.ts";
import { openaiErrorResponse } from "./openai-error.ts";
import type { Session } from "./session.ts";
import type { SessionPool } from "./session-pool.ts";

/** What the endpoint needs. */
export interface EndpointOptions extends WishDefaults {
  readonly pool: SessionPool;
  readonly offers: OfferBoard;
  readonly clock: Clock;
  readonly random: Random;
  /** Bearer keys that are let in; none: everybody on this machine is. */
  readonly keys: readonly EndpointKey[];
  readonly guard: SpendGuard | undefined;
  /** What the User has left, as far as it is known without asking. */
  moneyLeft(): MoneyLeft;
  /** Hears of each answer that moved to another Provider. */
  onMoved(move: AnswerMove): void;
  /** Hears of failures that are not the caller's; never with a prompt or an answer. */
  onFailure(error: unknown): void;
}

/** Makes the endpoint. */
export function createOpenaiEndpoint(
  options: EndpointOptions,
): (request: Request) => Promise<Response> {
  const endpoint = new Endpoint(options);
  const app = new Hono();
  const checkKey = createKeyCheck(options.keys);
  app.use("*", async (context, next) => {
    if (context.req.path !== "/healthz") checkKey(context.req.raw.headers);
    await next();
  });
  app.get("/healthz", () => Response.json({ ok: true }));
  app.get("/v1/models", () => endpoint.models());
  app.get("/v1/models/*", (context) => endpoint.model(context.req.path.slice(11)));
  app.get(sessionsPath, () => endpoint.sessions());
  app.delete(`${sessionsPath}/:sessionId`, async (context) => {
    await options.pool.close(context.req.param("sessionId"));
    return Response.json({ closed: context.req.param("sessionId") });
  });
  for (const path of inferencePaths) {
    app.post(path, (context) =>
      endpoint.infer(path, context.req.raw, checkKey(context.req.raw.headers)),
    );
  }
  app.notFound((context) => openaiErrorResponse(unknownRoute(context.req)));
  app.onError((error) => {
    if (!(error instanceof LakeError) || error.code === "internal") options.onFailure(error);
    return openaiErrorResponse(error);
  });
  return async (request) => app.fetch(request);
}

const responsesPath = "/v1/responses";
const inferencePaths = [
  "/v1/chat/completions",
  "/v1/completions",
  "/v1/embeddings",
  "/v1/classify",
  responsesPath,
] as const;
type InferencePath = (typeof inferencePaths)[number];

const streamedKinds: Partial<Record<InferencePath, InferenceJob["streams"]>> = {
  "/v1/chat/completions": "chat",
  "/v1/completions": "completion",
  "/v1/responses": "chat",
};

/** The open Sessions and what they cost; not OpenAI's, and for this machine's owner only. */
const sessionsPath = "/lake/v1/sessions";

class Endpoint {
  readonly #options: EndpointOptions;
  #running = 0;
  #moves = { total: 0, midAnswer: 0 };

  constructor(options: EndpointOptions) {
    this.#options = options;
  }

  async models(): Promise<Response> {
    const data = modelListOf(await this.#options.offers.read());
    return Response.json({ object: "list", data });
  }

  async model(path: string): Promise<Response> {
    const wanted = decodeURIComponent(path);
    const id = this.#options.aliases[wanted] ?? wanted;
    const models = modelListOf(await this.#options.offers.read());
    const model = models.find((listed) => listed.id === id || `${listed.id}:latest` === id);
    if (model !== undefined) return Response.json(model);
    throw new LakeError("model-unknown", `Nobody offers '${id.slice(0, 200)}' now.`, {
      advice: "GET /v1/models lists what the network offers now.",
    });
  }

  sessions(): Response {
    const { pool } = this.#options;
    const { costWei, idleCostWei, idleMs, sessionsOpened } = pool.figures();
    return Response.json({
      sessions: pool.sessions().map(describe),
      pool: {
        sessionsOpened,
        idleSeconds: Math.round(idleMs / 1000),
        idleCostMor: formatMor(idleCostWei),
        costMor: formatMor(costWei),
      },
      moves: this.#moves,
      requestsRunning: this.#running,
    });
  }

  async infer(path: InferencePath, request: Request, key: EndpointKey | null): Promise<Response> {
    if (this.#running >= clientLimits.requestsMax) {
      throw new LakeError("rate-limited", `${clientLimits.requestsMax} requests run already.`, {
        advice: "Wait until some of them have been answered.",
      });
    }
    this.#running += 1;
    let over = false;
    const end = (): void => {
      if (!over) this.#running -= 1;
      over = true;
    };
    try {
      return await this.#answer(path, request, { key, end });
    } catch (error) {
      end();
      // Nobody reads what a caller that has left is told.
      if (request.signal.aborted) return new Response(null, { status: 499 });
      throw error;
    }
  }

  async #answer(
    path: InferencePath,
    request: Request,
    parts: { readonly key: EndpointKey | null; readonly end: () => void },
  ): Promise<Response> {
    const { clock, guard, pool } = this.#options;
    const bytes = await readBytes(request, limits.inferenceBodyBytesMax);
    const asked = objectOf(parseJson(bytes));
    const wish = readWish(asked, request.headers, this.#options);
    const spend = guard?.admit({ key: parts.key, model: wish.model });
    const left = new AbortController();
    const signals = [left.signal, request.signal, ...(spend === undefined ? [] : [spend.signal])];
    const signal = AbortSignal.any(signals);
    const body = bodyFor(path, asked, { model: wish.model, aliases: this.#options.aliases });
    const streams = asked["stream"] === true ? streamedKinds[path] : undefined;
    const same = body === asked;
    const job: InferenceJob = {
      path: path === responsesPath ? "/v1/chat/completions" : path,
      streams,
      body,
      bytes: same ? bytes : undefined,
      wish,
      signal,
      spend,
    };
    const relay = { pool, clock, onMoved: (move: AnswerMove) => this.#noteMove(move) };
    try {
      const answer =
        streams === undefined ? await relayWhole(job, relay) : await relayStream(job, relay);
      const { dialect, whole } = this.#dialect(path, asked);
      if ("bytes" in answer) {
        finish(spend, answer.status < 400);
        parts.end();
        return this.#whole(answer, whole);
      }
      const stream = streamOf(answer, dialect, {
        left: () => left.abort(),
        end: (ended) => {
          parts.end();
          spend?.finish(ended);
        },
      });
      const headers = { ...this.#headers(answer.session(), answer.moves()), ...eventStreamHeaders };
      return new Response(stream, { headers });
    } catch (error) {
      finish(spend, false);
      throw error;
    }
  }

  #whole(answer: WholeAnswer, rewrite: (bytes: Uint8Array) => WholeBody): Response {
    const { bytes, moves, session, status } = answer;
    const headers = { ...this.#headers(session, moves), "content-type": "application/json" };
    return new Response(status < 400 ? rewrite(bytes) : bytes, { status, headers });
  }

  #headers(session: Session, moves: number): Record<string, string> {
    return {
      ...moneyHeaders(session, this.#options.moneyLeft()),
      ...rateHeaders(this.#running),
      ...(moves === 0 ? {} : { "lake-moves": String(moves) }),
    };
  }

  /** How answers of this path are written, streamed and whole. */
  #dialect(
    path: InferencePath,
    request: JsonObject,
  ): { dialect: AnswerWriter; whole: (bytes: Uint8Array) => WholeBody } {
    const asIs = (bytes: Uint8Array): WholeBody => bytes as Uint8Array<ArrayBuffer>;
    if (path !== responsesPath) return { dialect: completionsWriter, whole: asIs };
    const { clock, random } = this.#options;
    const id = `resp_${toHex(random.bytes(16)).slice(2)}`;
    const head = { id, createdAt: Math.floor(clock.now() / 1000), request };
    const whole = (bytes: Uint8Array): WholeBody =>
      JSON.stringify(responseOf(head, parseJson(bytes)));
    return { dialect: responsesDialect(new ResponseWriter(head)), whole };
  }

  #noteMove(move: AnswerMove): void {
    const { midAnswer, total } = this.#moves;
    this.#moves = { total: total + 1, midAnswer: midAnswer + (move.midAnswer ? 1 : 0) };
    this.#options.onMoved(move);
  }
}

type WholeBody = string | Uint8Array<ArrayBuffer>;

const eventStreamHeaders = { "content-type": "text/event-stream", "cache-control": "no-cache" };

function responsesDialect(writer: ResponseWriter): AnswerWriter {
  const encoder = new TextEncoder();
  return {
    begin: () => writer.begin(),
    piece: ({ chunks, failure }) => {
      const events = chunks.map((chunk) => writer.take(chunk)).join("");
      return encoder.encode(failure === undefined ? events : events + writer.end(failure));
    },
    end: (cost) => cost + writer.end(),
  };
}

/** What the Provider is sent: our own fields are taken out, aliases are replaced. */
function bodyFor(
  path: InferencePath,
  asked: JsonObject,
  wished: { readonly model: string; readonly aliases: Readonly<Record<string, string>> },
): JsonObject {
  const { aliases, model } = wished;
  if (path === responsesPath) {
    const chat = { ...chatFromResponses(asked), model };
    const streamed = { stream: true, stream_options: { include_usage: true } };
    return withoutOurs(asked["stream"] === true ? { ...chat, ...streamed } : chat);
  }
  // Providers know the model by any spelling of its handle, so only an alias must be replaced.
  const isAlias = Object.hasOwn(aliases, String(asked["model"]));
  if (!isAlias && asked["provider"] === undefined) return asked;
  return withoutOurs(isAlias ? { ...asked, model } : asked);
}

function withoutOurs(body: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(body).filter(([name]) => name !== "provider"));
}

function objectOf(json: unknown): JsonObject {
  if (isObject(json)) return json;
  throw new LakeError("body-invalid", "The body must be a JSON object.");
}

function finish(spend: RequestSpend | undefined, ok: boolean): void {
  spend?.finish({ ok, tokens: 0 });
}

function describe(session: Session): Record<string, string | number | null> {
  const { costWei, weiPerSecond, ...figures } = session.figures();
  return {
    ...figures,
    weiPerSecond: weiPerSecond.toString(),
    costWei: costWei.toString(),
    slots: session.slots,
    endsAt: session.endsAt ?? null,
  };
}

function unknownRoute(request: { readonly method: string; readonly path: string }): LakeError {
  const what = `There is no ${request.method} ${request.path.slice(0, 200)} here.`;
  return new LakeError("route-not-found", what, {
    advice: "Try POST /v1/chat/completions or GET /v1/models.",
  });
}
