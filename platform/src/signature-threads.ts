/*
 * Signature work off the main thread. What comes in during one turn of the event loop, or while the
 * threads are busy, goes to a thread as one batch, which costs the main thread a microsecond or two
 * for each signature instead of fifty. A thread has a few batches at most, so that they grow with
 * the load, since it is the wakening that costs; and batches are bounded, so that the first answers
 * are used while the next are made.
 */
import { Worker } from "node:worker_threads";
import type { Address, Hex } from "@lake-travis/protocol";
import { createJobRunner, decodeResults, encodeJobs, type SignatureJob } from "./signature-jobs.ts";

/** One batch: about a millisecond of a thread's work. */
const batchJobsMax = 16;
/** Batches of one thread: enough that it has work while the main thread is busy elsewhere. */
const threadBatchesMax = 8;

interface Task {
  readonly job: SignatureJob;
  readonly resolve: (result: Hex | undefined) => void;
}

interface Thread {
  readonly worker: Worker;
  /** Batches on their way, the oldest first; a thread answers in order. */
  readonly batches: Task[][];
}

/** Recovers signers and signs with one key, in threads of its own; see the head of this file. */
export class SignatureThreads {
  readonly #run: (rows: Uint8Array) => Uint8Array;
  #threads: Thread[];
  readonly #waiting: Task[] = [];
  #isDue = false;
  #closed = false;

  /** `threads` may be 0: then everything is done where it is asked for. */
  constructor(options: { readonly privateKey: Hex; readonly threads: number }) {
    const { privateKey, threads } = options;
    this.#run = createJobRunner(privateKey);
    this.#threads = Array.from({ length: threads }, () => this.#begin(privateKey));
  }

  /** Who signed a digest; undefined where nobody did. */
  recover(digest: Uint8Array, signature: Hex): Promise<Address | undefined> {
    return this.#add({ digest, signature });
  }

  /** A signature of 65 bytes over a digest. */
  async sign(digest: Uint8Array): Promise<Hex> {
    return (await this.#add({ digest, signature: null })) as Hex;
  }

  /** Ends the threads; what is under way is done here. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  #begin(privateKey: Hex): Thread {
    const url = new URL("./signature-worker.ts", import.meta.url);
    const worker = new Worker(url, { workerData: { privateKey } });
    const thread: Thread = { worker, batches: [] };
    worker.unref();
    worker.on("message", (rows: Uint8Array) => {
      settle(thread.batches.shift() ?? [], decodeResults(rows));
      // What the answers lead to in this turn can still join what has been waiting.
      if (this.#waiting.length > 0) this.#flushSoon();
    });
    // A thread that dies takes nothing with it: what it had is done here, and all that follows.
    worker.on("error", () => undefined);
    worker.once("exit", () => {
      this.#threads = this.#threads.filter((other) => other !== thread);
      for (const batch of thread.batches.splice(0)) this.#runHere(batch);
      this.#flushSoon();
    });
    return thread;
  }

  #add(job: SignatureJob): Promise<Hex | undefined> {
    const { promise, resolve } = Promise.withResolvers<Hex | undefined>();
    this.#waiting.push({ job, resolve });
    this.#flushSoon();
    return promise;
  }

  /** After the sockets that are readable now were read: their signatures make one batch. */
  #flushSoon(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#threads.length === 0 || this.#closed) {
      this.#runHere(this.#waiting.splice(0));
      return;
    }
    for (let round = 1; round <= threadBatchesMax; round += 1) {
      for (const thread of this.#threads) {
        if (this.#waiting.length > 0 && thread.batches.length < round) this.#hand(thread);
      }
    }
    if (this.#waiting.length === 0) return;
    // All threads have as much as they should: this one helps, a batch between two turns.
    this.#runHere(this.#waiting.splice(0, batchJobsMax));
    this.#flushSoon();
  }

  #hand(thread: Thread): void {
    const batch = this.#waiting.splice(0, batchJobsMax);
    const rows = encodeJobs(batch.map(({ job }) => job));
    thread.batches.push(batch);
    thread.worker.postMessage(rows, [rows.buffer]);
  }

  #runHere(tasks: readonly Task[]): void {
    settle(tasks, decodeResults(this.#run(encodeJobs(tasks.map(({ job }) => job)))));
  }
}

function settle(tasks: readonly Task[], results: readonly (Hex | undefined)[]): void {
  tasks.forEach(({ resolve }, index) => {
    resolve(results[index]);
  });
}
