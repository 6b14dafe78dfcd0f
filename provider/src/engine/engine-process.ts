/*
 * The process in which an engine runs, so that its crash is not the Provider's. It serves orders
 * from its parent over IPC and ends with it.
 *
 * A first token is sent at once. Later ones leave together, some dozens of times a second, all
 * generations in one message, and after the engine has been asked for the next token: so a fast
 * engine is not slowed down by being listened to, and of a slow one every token goes by itself.
 */
import { LakeError } from "@lake-travis/protocol";
import type { Engine, GenerationEvent } from "@lake-travis/protocol/inference";
import {
  type EngineNews,
  type EngineOrder,
  type EngineSpec,
  errorToWire,
  eventsAheadMax,
  eventToWire,
  type WiredEvent,
} from "./engine-wire.ts";
import { createWeightsProof, type WeightsProof } from "./weights-proof.ts";

/**
 * Fifty pieces a second are a smooth text. Each piece wakes three processes up, which would
 * otherwise take a quarter of the speed from a small model on two cores.
 */
const paceMs = 20;
/** Each generation's piece is a write of its own at every hop: with many, all go less often. */
const paceMsPerWork = 2.5;
/** Text that comes in fewer than twenty-five pieces a second begins to look choppy. */
const paceMsMax = 40;

interface Work {
  readonly controller: AbortController;
  /** Events that may still be sent before the reader has taken some. */
  credit: number;
  onCredit: () => void;
}

let engine: Engine | undefined;
const works = new Map<number, Work>();
let proof: WeightsProof | undefined;
let unsent: WiredEvent[] = [];
let planned: symbol | undefined;
let flushedAt = 0;

process.on("message", (order: EngineOrder) => {
  void obey(order);
});
process.on("disconnect", () => process.exit(0));
// The terminal's Ctrl-C reaches the whole group; the parent ends this process in its own order.
process.on("SIGINT", () => undefined);

async function obey(order: EngineOrder): Promise<void> {
  if (order.type === "start") await start(order.spec);
  else if (order.type === "generate") await generate(order.id, order);
  else if (order.type === "embed" || order.type === "classify") await answerOnce(order);
  else if (order.type === "challenge") await prove(order);
  else if (order.type === "taken") grant(order.id, order.events);
  else if (order.type === "cancel") works.get(order.id)?.controller.abort(cancelled);
  else process.exit(0);
}

const cancelled = new LakeError("answer-interrupted", "The reader has left.");

async function start(spec: EngineSpec): Promise<void> {
  try {
    const url =
      spec.resolveFrom === undefined
        ? spec.module
        : import.meta.resolve(spec.module, spec.resolveFrom);
    const loaded = (await import(url)) as Partial<EngineModule>;
    if (typeof loaded.createEngine !== "function") {
      throw new LakeError("engine-failed", `${spec.module} exports no createEngine.`);
    }
    if (spec.modelPath !== undefined) proof = await createWeightsProof(spec.modelPath);
    engine = loaded.createEngine(spec.options);
    await engine.start();
    send({ type: "started", description: engine.description });
  } catch (error) {
    noteUnexpected(error);
    send({ type: "start-failed", error: errorToWire(error) });
  }
}

interface EngineModule {
  createEngine(options: unknown): Engine;
}

function need(): Engine {
  if (engine === undefined) throw new LakeError("engine-failed", "The engine is not running.");
  return engine;
}

async function generate(
  id: number,
  order: Extract<EngineOrder, { type: "generate" }>,
): Promise<void> {
  const work = open(id);
  let isFirst = true;
  let isTold = false;
  const tellEnd = (): void => {
    if (isTold) return;
    isTold = true;
    flush();
    send({ type: "ended", id });
  };
  try {
    for await (const event of need().generate(order.generation, work.controller.signal)) {
      if (work.controller.signal.aborted) break;
      queueEvent(id, event);
      if (isFirst && event.type === "token-delta") {
        isFirst = false;
        flush();
      }
      // The reader need not wait while the engine clears up behind its last event.
      if (event.type === "generation-ended") tellEnd();
      work.credit -= 1;
      if (isTold || work.credit > 0) continue;
      // Who must take these before there are more should not be kept waiting for them.
      flush();
      await credited(work);
    }
    tellEnd();
  } catch (error) {
    noteUnexpected(error);
    flush();
    send({ type: "failed", id, error: errorToWire(error) });
  } finally {
    works.delete(id);
  }
}

async function answerOnce(
  order: Extract<EngineOrder, { type: "embed" | "classify" }>,
): Promise<void> {
  const { id } = order;
  const { signal } = open(id).controller;
  try {
    const value =
      order.type === "embed"
        ? await need().embed(order.request, signal)
        : await need().classify(order.request, signal);
    send({ type: "result", id, value });
  } catch (error) {
    noteUnexpected(error);
    send({ type: "failed", id, error: errorToWire(error) });
  } finally {
    works.delete(id);
  }
}

async function prove(order: Extract<EngineOrder, { type: "challenge" }>): Promise<void> {
  const { id, nonce } = order;
  try {
    if (proof === undefined) throw new LakeError("engine-failed", "There are no weights here.");
    send({ type: "result", id, value: await proof.answer(nonce) });
  } catch (error) {
    send({ type: "failed", id, error: errorToWire(error) });
  }
}

function open(id: number): Work {
  const controller = new AbortController();
  const work: Work = { controller, credit: eventsAheadMax, onCredit: () => undefined };
  works.set(id, work);
  return work;
}

function credited(work: Work): Promise<void> {
  return new Promise((resolve) => {
    work.onCredit = resolve;
    work.controller.signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function grant(id: number, events: number): void {
  const work = works.get(id);
  if (work === undefined) return;
  work.credit += events;
  work.onCredit();
}

function queueEvent(id: number, event: GenerationEvent): void {
  unsent.push([id, eventToWire(event)]);
  if (planned !== undefined) return;
  const mine = Symbol("planned");
  planned = mine;
  // What has been sent meanwhile for another reason needs no sending again.
  const flushMine = (): void => {
    if (planned === mine) flush();
  };
  const pace = Math.min(paceMsMax, Math.max(paceMs, works.size * paceMsPerWork));
  const wait = flushedAt + pace - performance.now();
  // One turn later: llama.cpp is given its next batch in the coming one, and that goes first.
  if (wait <= 0) setImmediate(() => setImmediate(flushMine));
  else setTimeout(flushMine, wait);
}

function flush(): void {
  planned = undefined;
  if (unsent.length === 0) return;
  flushedAt = performance.now();
  send({ type: "events", events: unsent });
  unsent = [];
}

function send(news: EngineNews): void {
  // A channel that has just closed means that the parent is gone, and this process ends.
  process.send?.(news, undefined, undefined, () => undefined);
}

// Warning: only the stack's frames, never the message: an engine may quote the prompt in it.
function noteUnexpected(error: unknown): void {
  if (error instanceof LakeError && error.cause === undefined) return;
  const cause = error instanceof LakeError ? error.cause : error;
  const stack = cause instanceof Error ? (cause.stack ?? "") : "";
  const frames = stack.split("\n").filter((line) => line.startsWith("    at "));
  process.stderr.write(`${JSON.stringify({ level: 50, msg: "engine failed", frames })}\n`);
}
