/*
 * The local OpenAI-compatible endpoint as a pure `Request -> Response` function: reads which model
 * is wanted and at which price, takes a slot of a Session for it, and passes the Provider's answer
 * on byte by byte while it counts tokens for the next Tick.
 */
import { Hono } from "hono";
import {
  formatMor,
  formatHandle,
  LakeError,
  limits,
  parseHandle,
  parseMor,
  weiPerSecondDown,
  type Clock,
} from "@lake-travis/protocol";
import { parseJson, readJson, type StreamedAnswer } from "@lake-travis/platform";
import { openaiErrorResponse } from "./openai-error.ts";
import type { Wish } from "./open-by-name.ts";
import type { RouterClient } from "./router-client.ts";
import type { Session } from "./session.ts";
import type { RequestMeter } from "./session-meter.ts";
import type { Lease, SessionPool } from "./session-pool.ts";
import { createSseCounter } from "./sse-events.ts";

/** What the endpoint needs. */
export interface EndpointOptions {
  readonly pool: SessionPool;
  readonly router: Pick<RouterClient, "offers">;
  readonly clock: Clock;
  /** The whole price that is paid at most where a request says nothing. */
  readonly maxWeiPerSecond: bigint;
  /** Hears of failures that are not the caller's; never with a prompt or an answer. */
  onFailure(error: unknown): void;
}

/** Makes the endpoint. */
export function createOpenaiEndpoint(
  options: EndpointOptions,
): (request: Request) => Promise<Response> {
  const app = new Hono();
  app.get("/v1/models", async () => listModels(options));
  app.get("/healthz", () => Response.json({ ok: true }));
  app.get(sessionsPath, () => Response.json({ sessions: options.pool.sessions().map(describe) }));
  app.delete(`${sessionsPath}/:sessionId`, async (context) => {
    await options.pool.close(context.req.param("sessionId"));
    return Response.json({ closed: context.req.param("sessionId") });
  });
  for (const path of inferencePaths) {
    app.post(path, async (context) => infer(path, context.req.raw, options));
  }
  app.notFound((context) =>
    openaiErrorResponse(
      new LakeError(
        "route-not-found",
        `There is no ${context.req.method} ${context.req.path} here.`,
        {
          advice: "Try POST /v1/chat/completions or GET /v1/models.",
        },
      ),
    ),
  );
  app.onError((error) => {
    if (!(error instanceof LakeError) || error.status >= 500) options.onFailure(error);
    return openaiErrorResponse(error);
  });
  return async (request) => app.fetch(request);
}

const inferencePaths = ["/v1/chat/completions"] as const;

/** The open Sessions and what they cost; not OpenAI's, and for this machine's owner only. */
const sessionsPath = "/lake/v1/sessions";

function describe(session: Session): Record<string, string | number> {
  const { costWei, weiPerSecond, ...figures } = session.figures();
  return { ...figures, weiPerSecond: weiPerSecond.toString(), costWei: costWei.toString() };
}

/** What a second may cost at most, in MOR an hour, as a request's header. */
const priceHeader = "lake-max-price";

async function listModels(options: EndpointOptions): Promise<Response> {
  const cheapest = new Map<string, { wei: bigint; providers: number; milliTps: number }>();
  for (const { offer, totalWeiPerSecond } of await options.router.offers()) {
    const handle = parseHandle(offer.message.model);
    const id = handle.tag === "latest" ? `${handle.builder}/${handle.name}` : formatHandle(handle);
    const known = cheapest.get(id) ?? { wei: BigInt(totalWeiPerSecond), providers: 0, milliTps: 0 };
    const wei = BigInt(totalWeiPerSecond);
    cheapest.set(id, {
      wei: wei < known.wei ? wei : known.wei,
      providers: known.providers + 1,
      milliTps: Math.max(known.milliTps, offer.message.milliTps),
    });
  }
  const data = [...cheapest].map(([id, { wei, providers, milliTps }]) => ({
    id,
    object: "model",
    created: 0,
    owned_by: id.split("/")[0],
    lake: {
      providers,
      mor_per_hour: formatMor(wei * 3600n),
      wei_per_second: wei.toString(),
      tokens_per_second: milliTps / 1000,
    },
  }));
  return Response.json({ object: "list", data });
}

interface InferenceBody {
  readonly model?: unknown;
  readonly stream?: unknown;
  readonly provider?: { readonly max_price?: unknown };
}

async function infer(path: string, request: Request, options: EndpointOptions): Promise<Response> {
  const body = await readInferenceBody(request);
  const wish = wishOf(body, request, options.maxWeiPerSecond);
  const lease = await options.pool.acquire(wish, request.signal);
  const meter = lease.session.meter.begin(options.clock.now());
  try {
    const forwarded = Object.fromEntries(Object.entries(body).filter(([k]) => k !== "provider"));
    const aborted = new AbortController();
    request.signal.addEventListener("abort", () => aborted.abort(), { once: true });
    const answer = await lease.session.send(path, forwarded, aborted.signal);
    if (answer.status >= 400) return await passFailure(answer, lease, meter, options);
    return body.stream === true
      ? passStream(answer, lease, { meter, options, aborted })
      : await passWhole(answer, lease, meter, options);
  } catch (error) {
    meter.finish(options.clock.now(), false);
    lease.release();
    throw error;
  }
}

async function readInferenceBody(request: Request): Promise<InferenceBody> {
  const body = await readJson(request, limits.inferenceBodyBytesMax);
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body;
  throw new LakeError("body-invalid", "The body must be a JSON object.");
}

function wishOf(body: InferenceBody, request: Request, maxWeiPerSecond: bigint): Wish {
  if (typeof body.model !== "string") {
    throw new LakeError("body-invalid", "The field 'model' must name a model.", {
      advice: "GET /v1/models lists what the network offers now.",
    });
  }
  const handle = parseHandle(body.model);
  const pin = handle.digest === undefined ? "" : `@sha256:${handle.digest.slice(2)}`;
  const wished = request.headers.get(priceHeader) ?? body.provider?.max_price;
  return {
    model: formatHandle(handle) + pin,
    maxWeiPerSecond:
      typeof wished === "string" || typeof wished === "number"
        ? weiPerSecondDown(parseMor(String(wished)))
        : maxWeiPerSecond,
    minMilliTps: 0,
    maxLatencyMs: 0,
    maxSeconds: sessionSecondsWished,
  };
}

/** Longest Session asked for; the Router shortens it to what the budget covers. */
const sessionSecondsWished = 600;

function moneyHeaders(session: Session): Record<string, string> {
  const figures = session.figures();
  return {
    "lake-session": figures.sessionId,
    "lake-provider": figures.provider,
    "lake-price-wei-per-second": figures.weiPerSecond.toString(),
    "lake-session-seconds": String(figures.seconds),
    "lake-cost-wei": figures.costWei.toString(),
    "lake-cost-mor": formatMor(figures.costWei),
  };
}

async function collect(answer: StreamedAnswer): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of answer.body) {
    total += chunk.length;
    if (total > limits.inferenceBodyBytesMax) {
      throw new LakeError("answer-interrupted", "The Provider's answer is too large.");
    }
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

async function passFailure(
  answer: StreamedAnswer,
  lease: Lease,
  meter: RequestMeter,
  options: EndpointOptions,
): Promise<Response> {
  const bytes = await collect(answer);
  meter.finish(options.clock.now(), false);
  const headers = { ...moneyHeaders(lease.session), "content-type": "application/json" };
  lease.release();
  return new Response(bytes, { status: answer.status, headers });
}

async function passWhole(
  answer: StreamedAnswer,
  lease: Lease,
  meter: RequestMeter,
  options: EndpointOptions,
): Promise<Response> {
  const bytes = await collect(answer);
  for (let n = completionTokens(bytes); n > 0; n -= 1) meter.token(options.clock.now());
  meter.finish(options.clock.now(), true);
  const headers = { ...moneyHeaders(lease.session), "content-type": "application/json" };
  lease.release();
  return new Response(bytes, { headers });
}

function completionTokens(bytes: Uint8Array): number {
  const { usage } = parseJson(bytes) as { usage?: { completion_tokens?: unknown } };
  const tokens = usage?.completion_tokens;
  // The Provider says how many; a count beyond what fits into its answer is not believed.
  return typeof tokens === "number" ? Math.max(0, Math.min(tokens, bytes.length)) : 0;
}

function passStream(
  answer: StreamedAnswer,
  lease: Lease,
  parts: {
    readonly meter: RequestMeter;
    readonly options: EndpointOptions;
    readonly aborted: AbortController;
  },
): Response {
  const { meter, options, aborted } = parts;
  const { clock } = options;
  let whole = false;
  const counter = createSseCounter((payload) => {
    if (payload === "[DONE]") whole = true;
    else if (hasText(payload)) meter.token(clock.now());
  });
  const end = (): void => {
    meter.finish(clock.now(), whole);
    lease.release();
  };
  const source = answer.body[Symbol.asyncIterator]();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const next = await source.next();
        if (next.done === true) {
          if (!whole) controller.enqueue(interruption());
          end();
          controller.close();
          return;
        }
        counter.feed(next.value);
        controller.enqueue(next.value);
      } catch (error) {
        options.onFailure(error);
        end();
        controller.enqueue(interruption());
        controller.close();
      }
    },
    cancel() {
      aborted.abort();
      end();
    },
  });
  return new Response(stream, {
    headers: {
      ...moneyHeaders(lease.session),
      "content-type": "text/event-stream",
      "cache-control": "no-cache",
    },
  });
}

function hasText(payload: string): boolean {
  try {
    const { choices } = JSON.parse(payload) as {
      choices?: { delta?: { content?: string | null } }[];
    };
    const content = choices?.[0]?.delta?.content;
    return typeof content === "string" && content.length > 0;
  } catch {
    // A payload that is not JSON is the Provider's to answer for; it is passed on, not counted.
    return false;
  }
}

function interruption(): Uint8Array {
  const error = {
    message: "The Provider stopped in the middle of the answer. Ask again.",
    type: "server_error",
    param: null,
    code: "answer-interrupted",
  };
  return new TextEncoder().encode(`data: ${JSON.stringify({ error })}\n\n`);
}
