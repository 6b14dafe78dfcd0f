/** Time, injected so that the whole network can run under a simulated one. */
export interface Clock {
  /** Unix milliseconds. */
  now(): number;
  /** Resolves after `ms` milliseconds; rejects with the signal's reason when that fires first. */
  sleep(ms: number, signal?: Signal): Promise<void>;
  /** Calls `action` once after `ms` milliseconds; the result cancels it. */
  after(ms: number, action: () => void): () => void;
}

/** The part of `AbortSignal` that a port needs; the platform's own one fits. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}
