import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Logger } from "@lake-travis/platform";
import { listJournal, snapshotName } from "./journal.ts";

/** Two: the newest, and one to fall back to should its disk block rot. */
const snapshotsKept = 2;

/**
 * Makes snapshots of sealed segments off the main thread, one after another. It only shortens the
 * next recovery, so a failure is logged and the Router goes on.
 */
export class Compaction {
  readonly #folder: string;
  readonly #logger: Logger;
  #last: Promise<void> = Promise.resolve();
  #worker: Worker | undefined;
  #stopped = false;

  constructor(folder: string, logger: Logger) {
    this.#folder = folder;
    this.#logger = logger;
  }

  /** Segment `sealed` is full: makes the snapshot that stands behind it. */
  begin(sealed: number): void {
    this.#last = this.#last.then(() => this.#make(sealed + 1));
  }

  /** Waits until every snapshot that was begun is made. */
  async finish(): Promise<void> {
    await this.#last;
  }

  /** Ends a snapshot under way; its draft is overwritten by the next one. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#worker?.terminate();
    await this.finish();
  }

  async #make(number: number): Promise<void> {
    if (this.#stopped) return;
    try {
      await this.#run(number);
      await dropOldSnapshots(this.#folder);
    } catch (error) {
      if (!this.#stopped) this.#logger.error({ err: error, snapshot: number }, "SnapshotFailed");
    }
  }

  #run(number: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const worker = new Worker(new URL("./snapshot-worker.ts", import.meta.url), {
        workerData: { folder: this.#folder, number },
      });
      this.#worker = worker;
      worker.once("error", reject);
      worker.once("exit", (code) => {
        this.#worker = undefined;
        if (code === 0) resolve();
        else reject(new Error(`the snapshot's thread ended with code ${code}`));
      });
    });
  }
}

async function dropOldSnapshots(folder: string): Promise<void> {
  const { snapshots } = await listJournal(folder);
  for (const number of snapshots.slice(0, -snapshotsKept)) {
    await rm(join(folder, snapshotName(number)), { force: true });
  }
}
