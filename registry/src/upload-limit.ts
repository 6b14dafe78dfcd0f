import { setTimeout as sleep } from "node:timers/promises";

/** A pause shorter than this is not worth a timer; the debt is carried on. */
const pauseMsMin = 4;

/**
 * Limits what is sent to so many bytes a second, over all who ask: each taker waits until the
 * bytes taken before it are due.
 */
export class UploadLimit {
  readonly #bytesPerMs: number | undefined;
  readonly #stop = new AbortController();
  #dueMs = 0;

  constructor(bytesPerSecond: number | undefined) {
    this.#bytesPerMs = bytesPerSecond === undefined ? undefined : bytesPerSecond / 1000;
  }

  /** Waits for the turn of so many bytes; rejects once {@link stop} was called. */
  async take(bytes: number): Promise<void> {
    if (this.#bytesPerMs === undefined) return;
    const now = performance.now();
    this.#dueMs = Math.max(this.#dueMs, now) + bytes / this.#bytesPerMs;
    const waitMs = this.#dueMs - now;
    if (waitMs >= pauseMsMin) await sleep(waitMs, undefined, { signal: this.#stop.signal });
  }

  /** Ends all waiting. */
  stop(): void {
    this.#stop.abort();
  }
}
