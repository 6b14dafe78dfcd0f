/*
 * An engine in a process of its own, behind the same port. A crash fails what was running, is told
 * as trouble, and the process is started again with growing pauses.
 */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Clock, type Hex, LakeError, type Signal } from "@lake-travis/protocol";
import type {
  Classifications,
  ClassifyRequest,
  Embeddings,
  EmbeddingRequest,
  Engine,
  EngineDescription,
  Generation,
  GenerationEvent,
} from "@lake-travis/protocol/inference";
import {
  type EngineNews,
  type EngineOrder,
  type EngineSpec,
  errorFromWire,
  eventFromWire,
  eventsAheadMax,
} from "./engine-wire.ts";
import { createEventInbox, type EventInbox } from "./event-inbox.ts";

const entry = fileURLToPath(new URL("./engine-process.ts", import.meta.url));
/** The first pause before a restart; it doubles up to the second figure. */
const restartMs = 200;
const restartMsMax = 30_000;
/** An engine that has run so long was sound: its next crash begins with the short pause again. */
const soundMs = 60_000;
/** A process that does not end by itself within this time is killed. */
const stopMsMax = 2_000;
/** Taken events are told in groups, which halves the messages without making the engine wait. */
const takenGroup = eventsAheadMax / 2;

interface Once {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Runs an {@link EngineSpec} in a child process and keeps it running. */
export class ChildEngine implements Engine {
  readonly #spec: EngineSpec;
  readonly #clock: Clock;
  readonly #listeners = new Set<(trouble: string | undefined) => void>();
  readonly #inboxes = new Map<number, EventInbox>();
  readonly #onces = new Map<number, Once>();
  #child: ChildProcess | undefined;
  #description: EngineDescription | undefined;
  #trouble: string | undefined = "The engine is not running.";
  #nextId = 1;
  #pauseMs = restartMs;
  #isStopping = false;
  #cancelRestart: () => void = () => undefined;

  constructor(spec: EngineSpec, clock: Clock) {
    this.#spec = spec;
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

  /** The process that runs the engine now; undefined between a crash and the restart. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  onTrouble(listener: (trouble: string | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    this.#isStopping = false;
    await this.#launch();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#cancelRestart();
    const child = this.#child;
    if (child === undefined) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const cancel = this.#clock.after(stopMsMax, () => child.kill("SIGKILL"));
    if (child.connected) child.send({ type: "stop" } satisfies EngineOrder);
    await gone;
    cancel();
  }

  async *generate(generation: Generation, signal: Signal): AsyncGenerator<GenerationEvent> {
    const id = this.#nextId++;
    const inbox = createEventInbox();
    this.#inboxes.set(id, inbox);
    const onAbort = (): void => inbox.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    let taken = 0;
    try {
      if (signal.aborted) throw signal.reason;
      this.#order({ type: "generate", id, generation });
      for (let event = await inbox.next(); event !== undefined; event = await inbox.next()) {
        yield event;
        taken += 1;
        if (taken % takenGroup === 0) this.#order({ type: "taken", id, events: takenGroup });
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      // Also a reader that leaves its loop ends the work.
      if (this.#inboxes.delete(id) && !inbox.isOver) this.#tell({ type: "cancel", id });
    }
  }

  embed(request: EmbeddingRequest, signal: Signal): Promise<Embeddings> {
    const id = this.#nextId++;
    return this.#once({ type: "embed", id, request }, signal) as Promise<Embeddings>;
  }

  classify(request: ClassifyRequest, signal: Signal): Promise<Classifications> {
    const id = this.#nextId++;
    return this.#once({ type: "classify", id, request }, signal) as Promise<Classifications>;
  }

  prove(nonce: Hex, signal: Signal): Promise<Hex> {
    const id = this.#nextId++;
    return this.#once({ type: "challenge", id, nonce }, signal) as Promise<Hex>;
  }

  #once(order: Extract<EngineOrder, { id: number }>, signal: Signal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { id } = order;
      const onAbort = (): void => {
        this.#onces.delete(id);
        this.#tell({ type: "cancel", id });
        reject(asError(signal.reason));
      };
      const settle = (): void => signal.removeEventListener("abort", onAbort);
      this.#onces.set(id, {
        resolve: (value) => {
          settle();
          resolve(value);
        },
        reject: (error: Error) => {
          settle();
          reject(error);
        },
      });
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        this.#order(order);
      } catch (error) {
        this.#onces.delete(id);
        settle();
        reject(asError(error));
      }
    });
  }

  async #launch(): Promise<void> {
    const startedAt = this.#clock.now();
    const child = fork(entry, [], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      execArgv: [
        ...process.execArgv,
        // A package's engine is looked up in its owner's folder, not beside this file.
        ...(this.#spec.resolveFrom === undefined ? [] : ["--experimental-import-meta-resolve"]),
        "--disable-warning=ExperimentalWarning",
      ],
    });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.on("message", (news: EngineNews) => {
        if (news.type === "started") {
          this.#description = news.description;
          this.#setTrouble(undefined);
          resolve();
        } else if (news.type === "start-failed") {
          reject(errorFromWire(news.error));
          child.kill("SIGKILL");
        } else this.#hear(news);
      });
      child.once("exit", (code, killedBy) => {
        reject(new LakeError("engine-failed", "The engine ended while it was being started."));
        this.#onExit(startedAt, killedBy ?? `exit code ${code ?? "none"}`);
      });
      child.once("error", (cause) => {
        reject(
          new LakeError("engine-failed", "The engine's process cannot be started.", { cause }),
        );
      });
      child.send({ type: "start", spec: this.#spec } satisfies EngineOrder);
    });
  }

  #onExit(startedAt: number, how: string): void {
    this.#child = undefined;
    const error = new LakeError("engine-failed", "The engine crashed at this moment.", {
      advice: "Send the request again; if the Session has ended, open another.",
    });
    for (const inbox of this.#inboxes.values()) inbox.fail(error);
    for (const once of this.#onces.values()) once.reject(error);
    this.#inboxes.clear();
    this.#onces.clear();
    this.#setTrouble(this.#isStopping ? "The engine is not running." : `It crashed (${how}).`);
    if (this.#isStopping || this.#description === undefined) return;
    if (this.#clock.now() - startedAt > soundMs) this.#pauseMs = restartMs;
    this.#cancelRestart = this.#clock.after(this.#pauseMs, () => {
      // A failed start ends in `onExit` again, which plans the next one.
      this.#launch().catch(() => undefined);
    });
    this.#pauseMs = Math.min(this.#pauseMs * 2, restartMsMax);
  }

  #hear(news: EngineNews): void {
    if (news.type === "events") {
      for (const [id, event] of news.events) this.#inboxes.get(id)?.put(eventFromWire(event));
    } else if (news.type === "ended") this.#inboxes.get(news.id)?.end();
    else if (news.type === "result") {
      this.#onces.get(news.id)?.resolve(news.value);
      this.#onces.delete(news.id);
    } else if (news.type === "failed") {
      const error = errorFromWire(news.error);
      this.#inboxes.get(news.id)?.fail(error);
      this.#onces.get(news.id)?.reject(error);
      this.#onces.delete(news.id);
    }
  }

  #setTrouble(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    for (const listener of this.#listeners) listener(trouble);
  }

  #order(order: EngineOrder): void {
    if (this.#child?.connected !== true) {
      throw new LakeError("engine-failed", "The engine is not running.");
    }
    this.#child.send(order);
  }

  // What only saves work may be lost with the process.
  #tell(order: EngineOrder): void {
    if (this.#child?.connected === true) this.#child.send(order);
  }
}

function asError(reason: unknown): Error {
  if (reason instanceof Error) return reason;
  return new LakeError("answer-interrupted", "The reader has left.");
}
