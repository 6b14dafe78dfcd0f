import type { Context, Hono } from "hono";
import {
  formatHandle,
  LakeError,
  limits as protocolLimits,
  parseHandle,
} from "@lake-travis/protocol";
import {
  type ClassificationList,
  type EmbeddingList,
  type Generation,
  type GenerationEvent,
  type ModelList,
  readChatRequest,
  readClassifyRequest,
  readCompletionRequest,
  readEmbeddingRequest,
} from "@lake-travis/protocol/inference";
import { readJson } from "@lake-travis/platform";
import { modelOf } from "../core/open-session.ts";
import type { Line } from "../core/session-book.ts";
import type { ServedModel } from "../served-model.ts";
import { type AnswerHead, answerHead } from "./answer-head.ts";
import { chatCompletion, createChatWriter } from "./chat-answer.ts";
import { completion, createCompletionWriter } from "./completion-answer.ts";
import { eventStream, eventStreamHeaders } from "./event-stream.ts";
import type { AppParts } from "./provider-app.ts";
import { choicesAnswer, createChoicesWriter, serveChoices } from "./serve-choices.ts";
import { type ServedGeneration, serveGeneration } from "./serve-generation.ts";
import { serveOnce } from "./serve-once.ts";

/** Adds OpenAI's paths. Each checks the bearer token before it touches the body. */
export function addOpenAiRoutes(app: Hono, parts: AppParts): void {
  app.get("/v1/models", (context) => {
    const line = parts.keeper.lineOf(context.req.header("authorization") ?? null);
    return context.json(modelList(servedModel(parts, line)));
  });
  app.post("/v1/chat/completions", (context) =>
    answer(parts, context, "chatcmpl", (json) => ({
      kind: "chat",
      request: readChatRequest(json),
    })),
  );
  app.post("/v1/completions", (context) =>
    answer(parts, context, "cmpl", (json) => ({
      kind: "completion",
      request: readCompletionRequest(json),
    })),
  );
  app.post("/v1/embeddings", (context) => embeddings(parts, context));
  app.post("/v1/classify", (context) => classifications(parts, context));
}

/** The model that a line pays for. */
function servedModel(parts: AppParts, line: Line): ServedModel {
  const model = parts.models.get(modelOf(line));
  if (model === undefined) {
    throw new LakeError("engine-failed", "This Provider no longer serves the Session's model.");
  }
  return model;
}

interface Authorized {
  readonly line: Line;
  readonly model: ServedModel;
  readonly json: unknown;
  readonly signal: AbortSignal;
  readonly arrivedAt: number;
}

async function authorize(parts: AppParts, context: Context): Promise<Authorized> {
  const arrivedAt = parts.clock.now();
  const line = parts.keeper.lineOf(context.req.header("authorization") ?? null);
  line.current.tally.received += 1;
  const model = servedModel(parts, line);
  const { trouble } = model.engine;
  if (trouble !== undefined) throw new LakeError("engine-failed", trouble);
  const json = await readJson(context.req.raw, protocolLimits.inferenceBodyBytesMax);
  const signal = AbortSignal.any([context.req.raw.signal, parts.keeper.stopSignal(line)]);
  return { line, model, json, signal, arrivedAt };
}

async function answer(
  parts: AppParts,
  context: Context,
  prefix: "chatcmpl" | "cmpl",
  read: (json: unknown) => Generation,
): Promise<Response> {
  const { json, ...authorized } = await authorize(parts, context);
  const generation = read(json);
  requireModel(generation.request.model, authorized.model);
  const head = answerHead(prefix, authorized.model.handle, authorized.arrivedAt);
  const served = { ...authorized, generation, clock: parts.clock };
  const choices = generation.request.n ?? 1;
  try {
    if (choices > 1) return await severalChoices(parts, { head, served, choices });
    const events = serveGeneration(served);
    if (generation.request.stream === true)
      return await streamed(parts, { head, generation, events, model: authorized.model });
    return Response.json(
      generation.kind === "chat"
        ? await chatCompletion(head, events)
        : await completion(head, generation.request, events),
    );
  } catch (error) {
    throw asEngineFailure(error, parts);
  }
}

async function severalChoices(
  parts: AppParts,
  work: {
    readonly head: AnswerHead;
    readonly served: ServedGeneration;
    readonly choices: number;
  },
): Promise<Response> {
  const { head, served, choices } = work;
  // Each is a request of its own to whoever counts.
  served.line.current.tally.received += choices - 1;
  if (served.generation.request.stream !== true) {
    return Response.json(await choicesAnswer(head, served, choices));
  }
  const rest = serveChoices(served, choices);
  const first = await rest.next();
  const write = createChoicesWriter(head, served.generation, choices);
  const explain = (error: unknown): unknown => asEngineFailure(error, parts);
  const headers = { ...eventStreamHeaders, ...continuesHeaders(served.generation, served.model) };
  return new Response(eventStream({ first, rest, write, explain }), { headers });
}

// The first event is awaited before the head leaves, so that a refusal still has its own status.
async function streamed(
  parts: AppParts,
  work: {
    readonly head: AnswerHead;
    readonly generation: Generation;
    readonly events: AsyncGenerator<GenerationEvent, void, undefined>;
    readonly model: ServedModel;
  },
): Promise<Response> {
  const { head, generation, events } = work;
  const first = await events.next();
  const write =
    generation.kind === "chat"
      ? createChatWriter(head, generation.request)
      : createCompletionWriter(head, generation.request);
  const explain = (error: unknown): unknown => asEngineFailure(error, parts);
  const stream = eventStream({ first, rest: events, write, explain });
  const headers = { ...eventStreamHeaders, ...continuesHeaders(generation, work.model) };
  return new Response(stream, { headers });
}

// A client that brings the beginning of an answer must know that it is not begun anew.
function continuesHeaders(generation: Generation, model: ServedModel): Record<string, string> {
  const isAsked = generation.request["continue_final_message"] === true;
  const continues = model.engine.description.capabilities.continues === true;
  return isAsked && continues ? { "lake-continues": "1" } : {};
}

function asEngineFailure(error: unknown, parts: AppParts): unknown {
  if (error instanceof LakeError) return error;
  if ((error as { name?: string }).name === "AbortError") {
    return new LakeError("answer-interrupted", "The client left before the answer did.");
  }
  parts.logger.error({ err: error }, "the engine failed");
  return new LakeError("engine-failed", "The engine failed at this request.", { cause: error });
}

async function embeddings(parts: AppParts, context: Context): Promise<Response> {
  const { json, ...authorized } = await authorize(parts, context);
  const request = readEmbeddingRequest(json);
  requireModel(request.model, authorized.model);
  const result = await serveOnce(
    { ...authorized, clock: parts.clock },
    (engine, signal) => engine.embed(request, signal),
    ({ vectors }) => vectors.length,
  );
  const list: EmbeddingList = {
    object: "list",
    model: authorized.model.handle,
    data: result.vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: request.encoding_format === "base64" ? base64Of(vector) : vector,
    })),
    usage: { prompt_tokens: result.promptTokens, total_tokens: result.promptTokens },
  };
  return context.json(list);
}

async function classifications(parts: AppParts, context: Context): Promise<Response> {
  const { json, ...authorized } = await authorize(parts, context);
  const request = readClassifyRequest(json);
  requireModel(request.model, authorized.model);
  const { labels, probabilities } = await serveOnce(
    { ...authorized, clock: parts.clock },
    (engine, signal) => engine.classify(request, signal),
    (result) => result.probabilities.length,
  );
  const list: ClassificationList = {
    object: "list",
    model: authorized.model.handle,
    data: probabilities.map((row, index) => ({
      object: "classification",
      index,
      classes: row
        .map((probability, label) => ({ label: labels[label] ?? String(label), probability }))
        .sort((a, b) => b.probability - a.probability)
        .slice(0, request.top ?? row.length),
    })),
    usage: { inferences: probabilities.length },
  };
  return context.json(list);
}

// A client may write the handle with or without its tag and digest.
function requireModel(asked: string, model: ServedModel): void {
  if (formatHandle(parseHandle(asked)) === model.handle) return;
  throw new LakeError("model-unknown", `This Session is for ${model.handle}.`, {
    advice: "Name that model, or open a Session for the other one.",
    data: { param: "model" },
  });
}

function modelList(model: ServedModel): ModelList {
  const { description } = model.engine;
  return {
    object: "list",
    data: [
      {
        id: model.handle,
        object: "model",
        created: model.createdAtSeconds,
        owned_by: parseHandle(model.handle).builder,
        context_length: description.contextLength,
        capabilities: description.capabilities,
        ...(description.classifier === undefined ? {} : { classifier: description.classifier }),
      },
    ],
  };
}

function base64Of(vector: readonly number[]): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString("base64");
}
