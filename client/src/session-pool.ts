import { type Clock, LakeError, type Startable } from "@lake-travis/protocol";
import type { Session } from "./session.ts";
import type { Wish } from "./open-by-name.ts";

/** A slot of an open Session; `release` gives it back. */
export interface Lease {
  readonly session: Session;
  release(): void;
}

/** Shares Sessions between requests and closes those that nobody uses. */
export interface SessionPool extends Pick<Startable, "stop"> {
  /** A slot of a Session that fits the wish, opened if need be. */
  acquire(wish: Wish, signal?: AbortSignal): Promise<Lease>;
  /** Every open Session. */
  sessions(): readonly Session[];
  /** Closes one Session now; throws `session-unknown`. */
  close(sessionId: string): Promise<void>;
}

/** How a pool opens Sessions and how long it keeps an unused one, in milliseconds. */
export interface PoolOptions {
  readonly clock: Clock;
  readonly idleMs: number;
  open(wish: Wish, signal?: AbortSignal): Promise<Session>;
  /** Hears of a Session that could not be closed in order. */
  onCloseFailure(error: unknown): void;
}

/** Makes an empty pool. */
export function createSessionPool(options: PoolOptions): SessionPool {
  return new Pool(options);
}

/** Sessions open at once; more than a person's tools need, fewer than would hurt. */
const sessionsMax = 64;

interface Entry {
  readonly key: string;
  readonly session: Session;
  inUse: number;
  cancelIdle: () => void;
}

class Pool implements SessionPool {
  readonly #options: PoolOptions;
  readonly #entries = new Set<Entry>();
  readonly #opening = new Map<string, Promise<Entry>>();
  #stopped = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  sessions(): readonly Session[] {
    return [...this.#entries].map((entry) => entry.session);
  }

  async acquire(wish: Wish, signal?: AbortSignal): Promise<Lease> {
    const key = keyOf(wish);
    for (;;) {
      if (this.#stopped) throw new LakeError("shutting-down", "This client is stopping.");
      signal?.throwIfAborted();
      this.#dropEnded();
      const free = this.#freeEntry(key);
      if (free !== undefined) return this.#lease(free);
      // A caller that finds one being opened waits for it, then looks for a free slot again.
      await (this.#opening.get(key) ?? this.#open(key, wish));
    }
  }

  async close(sessionId: string): Promise<void> {
    for (const entry of this.#entries) {
      if (entry.session.figures().sessionId === sessionId) {
        await this.#close(entry, "finished");
        return;
      }
    }
    throw new LakeError("session-unknown", "No open Session has this id.");
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled(this.#opening.values());
    await Promise.all([...this.#entries].map((entry) => this.#close(entry, "finished")));
  }

  #freeEntry(key: string): Entry | undefined {
    for (const entry of this.#entries) {
      if (entry.key === key && entry.inUse < entry.session.slots) return entry;
    }
    return undefined;
  }

  #open(key: string, wish: Wish): Promise<Entry> {
    if (this.#entries.size + this.#opening.size >= sessionsMax) {
      throw new LakeError("rate-limited", `${sessionsMax} Sessions are open already.`, {
        advice: "Wait until one of them is idle.",
      });
    }
    const opening = this.#options
      .open(wish)
      .then((session) => {
        const entry = { key, session, inUse: 0, cancelIdle: () => undefined };
        this.#entries.add(entry);
        return entry;
      })
      .finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    return opening;
  }

  #lease(entry: Entry): Lease {
    entry.cancelIdle();
    entry.inUse += 1;
    let released = false;
    return {
      session: entry.session,
      release: () => {
        if (released) return;
        released = true;
        entry.inUse -= 1;
        if (entry.inUse === 0) this.#closeWhenIdle(entry);
      },
    };
  }

  #closeWhenIdle(entry: Entry): void {
    entry.cancelIdle = this.#options.clock.after(this.#options.idleMs, () => {
      void this.#close(entry, "idle");
    });
  }

  #dropEnded(): void {
    for (const entry of this.#entries) {
      if (entry.session.ended !== undefined && entry.inUse === 0) void this.#close(entry, "idle");
      else if (entry.session.ended !== undefined) this.#entries.delete(entry);
    }
  }

  async #close(entry: Entry, reason: "idle" | "finished"): Promise<void> {
    this.#entries.delete(entry);
    entry.cancelIdle();
    await entry.session.close(reason).catch((error: unknown) => {
      this.#options.onCloseFailure(error);
    });
  }
}

function keyOf(wish: Wish): string {
  return [wish.model, wish.maxWeiPerSecond, wish.minMilliTps, wish.maxLatencyMs].join(" ");
}
