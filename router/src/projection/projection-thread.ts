import { Worker } from "node:worker_threads";
import { type EpochRollup, type ErrorCode, errorStatus, LakeError } from "@lake-travis/protocol";
import { projectionLimits } from "../limits.ts";
import type { ProjectionBatch, RecordPage, RecordQuery, RollupQuery } from "./projection.ts";

/** What a {@link ProjectionThread} is started with. */
export interface ProjectionSetup {
  /** `sqlite:<path>` or `postgres://…`. */
  readonly url: string;
  readonly shard: number;
}

/** What is asked of the thread. */
export type ProjectionCall =
  | { readonly verb: "put"; readonly batch: ProjectionBatch }
  | { readonly verb: "records"; readonly query: RecordQuery }
  | { readonly verb: "rollups"; readonly query: RollupQuery }
  | { readonly verb: "clear" | "filed-epochs" | "close" };

/** What the thread answers. */
export type ProjectionAnswer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly failure: { readonly code: string; readonly message: string } };

/** A `Projection` whose SQL runs in a thread of its own; its errors are `LakeError`s. */
export class ProjectionThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #ended: Promise<void>;
  #lastId = 0;

  constructor(setup: ProjectionSetup) {
    this.#worker = new Worker(new URL("./projection-worker.ts", import.meta.url), {
      workerData: setup,
    });
    this.#ended = new Promise((resolve) => {
      this.#worker.once("exit", resolve);
    });
    this.#worker.on("message", (answer: ProjectionAnswer) => {
      this.#settle(answer);
    });
    this.#worker.on("error", (cause: unknown) => {
      this.#failAll(cause);
    });
    void this.#ended.then(() => {
      this.#failAll(undefined);
    });
    // A Router that wants to exit does not wait for a public list.
    this.#worker.unref();
  }

  /** See `Projection.put`. */
  async put(batch: ProjectionBatch): Promise<void> {
    await this.#ask({ verb: "put", batch });
  }

  /** See `Projection.records`; throws `rate-limited` where too many wait for an answer. */
  async records(query: RecordQuery): Promise<RecordPage> {
    return (await this.#ask({ verb: "records", query })) as RecordPage;
  }

  /** See `Projection.rollups`. */
  async rollups(query: RollupQuery): Promise<readonly EpochRollup[]> {
    return (await this.#ask({ verb: "rollups", query })) as readonly EpochRollup[];
  }

  /** See `Projection.clear`. */
  async clear(): Promise<void> {
    await this.#ask({ verb: "clear" });
  }

  /** See `Projection.filedEpochs`. */
  async filedEpochs(): Promise<ReadonlySet<number>> {
    return (await this.#ask({ verb: "filed-epochs" })) as ReadonlySet<number>;
  }

  async close(): Promise<void> {
    this.#worker.ref();
    await this.#ask({ verb: "close" }).catch(() => undefined);
    await this.#ended;
  }

  #ask(ask: ProjectionCall): Promise<unknown> {
    if (this.#waiting.size >= projectionLimits.queriesMax && ask.verb !== "close") {
      const sentence = "Too many questions to this Router's public record wait for an answer.";
      throw new LakeError("rate-limited", sentence, { advice: "Ask again in a second." });
    }
    this.#lastId += 1;
    const waiter = Promise.withResolvers<unknown>();
    this.#waiting.set(this.#lastId, waiter);
    this.#worker.postMessage({ id: this.#lastId, ask });
    return waiter.promise;
  }

  #settle(answer: ProjectionAnswer): void {
    const waiter = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (!("failure" in answer)) {
      waiter?.resolve(answer.result);
      return;
    }
    const { code, message } = answer.failure;
    const known = code in errorStatus ? (code as ErrorCode) : "database-unreachable";
    waiter?.reject(new LakeError(known, message));
  }

  #failAll(cause: unknown): void {
    const failure = new LakeError("database-unreachable", "The projection's thread has ended.", {
      cause,
    });
    for (const waiter of this.#waiting.values()) waiter.reject(failure);
    this.#waiting.clear();
  }
}
