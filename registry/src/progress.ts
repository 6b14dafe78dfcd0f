/** How far a publish or a pull is. */
export interface Progress {
  readonly phase: "reading" | "finding" | "pulling" | "checking" | "done";
  /** Bytes verified (pull) or hashed (publish) so far, those found locally included. */
  readonly bytes: number;
  readonly totalBytes: number;
  /** Mean rate of the last seconds, bytes found locally not counted. */
  readonly bytesPerSecond: number;
  /** Holders that delivered in this pull and were not dropped. */
  readonly peers: number;
  readonly blocksVerified: number;
}

/** Called at most ten times a second, and at the end of each phase. */
export type OnProgress = (progress: Progress) => void;

/** Ten times a second is as often as a person can see. */
const progressMs = 100;

/** Rates are means over this time, so that a bar does not jump. */
const rateWindowMs = 3_000;
/** One sample per call of `onProgress` fits the window; a fixed number bounds the memory. */
const samplesMax = 64;

/** Counts bytes and blocks and tells a listener, not too often. */
export class ProgressMeter {
  readonly #listener: OnProgress | undefined;
  readonly #samples: { atMs: number; moved: number }[] = [];
  #moved = 0;
  #bytes = 0;
  #blocks = 0;
  #toldMs = 0;
  phase: Progress["phase"] = "finding";
  totalBytes = 0;
  /** Says how many peers there are whenever it is asked. */
  peers: () => number = () => 0;

  constructor(listener: OnProgress | undefined) {
    this.#listener = listener;
  }

  /** Bytes so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Counts bytes that did not move: they were there already. */
  found(bytes: number): void {
    this.#bytes += bytes;
    this.#tell(false);
  }

  /** Counts bytes that were read, or received and verified. */
  moved(bytes: number, blocks = 1): void {
    this.#bytes += bytes;
    this.#moved += bytes;
    this.#blocks += blocks;
    this.#tell(false);
  }

  /** Changes the phase and tells the listener at once. */
  enter(phase: Progress["phase"]): void {
    this.phase = phase;
    this.#tell(true);
  }

  #tell(always: boolean): void {
    const now = performance.now();
    if (this.#listener === undefined || (!always && now - this.#toldMs < progressMs)) return;
    this.#toldMs = now;
    this.#samples.push({ atMs: now, moved: this.#moved });
    while (
      this.#samples.length > samplesMax ||
      now - (this.#samples[0]?.atMs ?? now) > rateWindowMs
    )
      this.#samples.shift();
    const first = this.#samples[0];
    const seconds = (now - (first?.atMs ?? now)) / 1000;
    this.#listener({
      phase: this.phase,
      bytes: this.#bytes,
      totalBytes: this.totalBytes,
      bytesPerSecond: seconds > 0 ? (this.#moved - (first?.moved ?? 0)) / seconds : 0,
      peers: this.peers(),
      blocksVerified: this.#blocks,
    });
  }
}
