/*
 * Sessions shared by requests. A Session costs by the second whether it is used or not, so the pool
 * opens as few as it can, hands each to as many requests as it has slots, and closes it when nobody
 * needs it. Callers wait in the order in which they came; whatever frees a slot serves the first.
 *
 * Idling is paid time that nobody used. It is bounded twice: by `idleMs` for each Session, and as a
 * share of everything that was spent. Time up to the Offer's minimum is paid anyway: not counted.
 */
import { type Clock, LakeError, type Startable } from "@lake-travis/protocol";
import { clientLimits } from "./limits.ts";
import type { Wish } from "./open-by-name.ts";
import type { Session } from "./session.ts";

/** A slot of an open Session. */
export interface Lease {
  readonly session: Session;
  /** Gives the slot back. */
  release(): void;
  /**
   * Gives the slot back and lets nobody else have the Session: its engine failed a request. Where
   * nobody else uses it, it has been closed when this resolves.
   */
  retire(): Promise<void>;
}

/** What the pool did since it was made. Amounts are wei. */
export interface PoolFigures {
  readonly sessionsOpened: number;
  readonly idleMs: number;
  readonly idleCostWei: bigint;
  readonly costWei: bigint;
}

/** Shares Sessions between requests and closes those that nobody uses. */
export interface SessionPool extends Pick<Startable, "stop"> {
  /** A slot of a Session that fits the wish, opened if need be. */
  acquire(wish: Wish, signal?: AbortSignal): Promise<Lease>;
  /** Every open Session. */
  sessions(): readonly Session[];
  figures(): PoolFigures;
  /** Closes one Session now; throws `session-unknown`. */
  close(sessionId: string): Promise<void>;
}

/** How a pool opens Sessions and how long it keeps an unused one, in milliseconds. */
export interface PoolOptions {
  readonly clock: Clock;
  readonly idleMs: number;
  /** Largest share of all cost that idling may reach, 0 to 1. */
  readonly idleShareMax: number;
  open(wish: Wish, signal?: AbortSignal): Promise<Session>;
  /** Hears of a Session that could not be closed in order. */
  onCloseFailure(error: unknown): void;
}

/** Makes an empty pool. */
export function createSessionPool(options: PoolOptions): SessionPool {
  return new Pool(options);
}

interface Entry {
  readonly key: string;
  readonly session: Session;
  inUse: number;
  retired: boolean;
  idleSince: number;
  cancelIdle: () => void;
}

interface Waiter {
  readonly key: string;
  readonly wish: Wish;
  readonly resolve: (lease: Lease) => void;
  readonly reject: (error: Error) => void;
}

class Pool implements SessionPool {
  readonly #options: PoolOptions;
  readonly #entries = new Set<Entry>();
  readonly #waiters = new Set<Waiter>();
  /** Openings under way by key. */
  readonly #opening = new Map<string, Set<Promise<void>>>();
  /** Keys for which the network had no further Session, with the time to ask again. */
  readonly #pausedUntil = new Map<string, number>();
  readonly #slotsKnown = new Map<string, number>();
  #closed = { sessionsOpened: 0, idleMs: 0, idleCostWei: 0n, costWei: 0n };
  #stopped = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  sessions(): readonly Session[] {
    return [...this.#entries].map((entry) => entry.session);
  }

  figures(): PoolFigures {
    let { costWei } = this.#closed;
    for (const { session } of this.#entries) costWei += session.figures().costWei;
    return { ...this.#closed, costWei };
  }

  async acquire(wish: Wish, signal?: AbortSignal): Promise<Lease> {
    if (this.#stopped) throw stopping();
    signal?.throwIfAborted();
    this.#dropEnded();
    const key = keyOf(wish);
    const free = this.#freeEntry(key, wish);
    return free === undefined ? this.#wait(key, wish, signal) : this.#lease(free);
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
    for (const waiter of this.#waiters) waiter.reject(stopping());
    await Promise.allSettled([...this.#opening.values()].flatMap((openings) => [...openings]));
    await Promise.all([...this.#entries].map((entry) => this.#close(entry, "finished")));
  }

  #freeEntry(key: string, wish: Wish): Entry | undefined {
    for (const entry of this.#entries) {
      if (this.#serves(entry, key, wish) && entry.inUse < entry.session.slots) return entry;
    }
    return undefined;
  }

  #serves(entry: Entry, key: string, wish: Wish): boolean {
    const { endsAt, ended } = entry.session;
    if (entry.key !== key || entry.retired || ended !== undefined) return false;
    // A Session whose end was announced finishes what it has; new requests go to another one.
    if (endsAt !== undefined && endsAt < this.#now() + clientLimits.noticeMs) return false;
    const ignore = wish.routing?.ignore ?? [];
    return ignore.length === 0 || !ignore.includes(entry.session.figures().provider);
  }

  #wait(key: string, wish: Wish, signal: AbortSignal | undefined): Promise<Lease> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter);
        cancel();
        signal?.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        waiter.reject(signal?.reason as Error);
      };
      const cancel = this.#options.clock.after(clientLimits.slotWaitMsMax, () => {
        waiter.reject(
          new LakeError("slots-full", "No slot of a Session came free in time.", {
            advice: "Ask again later, or send fewer requests at once.",
          }),
        );
      });
      const waiter: Waiter = {
        key,
        wish,
        resolve: (lease) => {
          leave();
          resolve(lease);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiters.add(waiter);
      this.#openForWaiters(key);
    });
  }

  /** Serves who waits for this key, first come first served, and opens more if need be. */
  #serve(key: string): void {
    for (const waiter of this.#waiters) {
      if (waiter.key !== key) continue;
      const free = this.#freeEntry(key, waiter.wish);
      if (free !== undefined) waiter.resolve(this.#lease(free));
    }
    this.#openForWaiters(key);
  }

  #openForWaiters(key: string): void {
    const waiting = [...this.#waiters].filter((waiter) => waiter.key === key);
    // Before the first answer nobody knows how many slots a Session has; one may be enough.
    const slots = this.#slotsKnown.get(key) ?? Infinity;
    const isPaused = (this.#pausedUntil.get(key) ?? 0) > this.#now();
    while (!isPaused && !this.#stopped) {
      const openings = this.#opening.get(key)?.size ?? 0;
      const first = waiting[openings === 0 ? 0 : openings * slots];
      if (first === undefined) return;
      if (!this.#openFor(first)) return;
    }
  }

  #openFor(waiter: Waiter): boolean {
    const { key, wish } = waiter;
    const openings = this.#opening.get(key) ?? new Set();
    const underWay = [...this.#opening.values()].reduce((sum, set) => sum + set.size, 0);
    if (this.#entries.size + underWay >= clientLimits.sessionsMax) {
      this.#refuse(
        key,
        new LakeError("rate-limited", `${clientLimits.sessionsMax} Sessions are open already.`, {
          advice: "Wait until one of them is idle.",
        }),
      );
      return false;
    }
    const opening: Promise<void> = this.#options
      .open(wish)
      .then((session) => this.#enter(key, session))
      .catch((error: unknown) => this.#refuse(key, error))
      .finally(() => {
        openings.delete(opening);
        if (openings.size === 0) this.#opening.delete(key);
        this.#serve(key);
      });
    openings.add(opening);
    this.#opening.set(key, openings);
    return true;
  }

  #enter(key: string, session: Session): void {
    this.#slotsKnown.set(key, session.slots);
    this.#closed.sessionsOpened += 1;
    const idleSince = this.#now();
    const cancelIdle = (): void => undefined;
    this.#entries.add({ key, session, inUse: 0, retired: false, idleSince, cancelIdle });
    session.signal.addEventListener("abort", () => this.#dropEnded(), { once: true });
  }

  /** No further Session: who has a busy one to wait for goes on waiting, the others are told. */
  #refuse(key: string, error: unknown): void {
    this.#pausedUntil.set(key, this.#now() + clientLimits.reopenAfterMs);
    let anyoneWaits = false;
    for (const waiter of this.#waiters) {
      if (waiter.key !== key) continue;
      const busy = [...this.#entries].some((entry) => this.#serves(entry, key, waiter.wish));
      if (busy) anyoneWaits = true;
      else waiter.reject(error as Error);
    }
    if (anyoneWaits) this.#options.clock.after(clientLimits.reopenAfterMs, () => this.#serve(key));
    else this.#pausedUntil.delete(key);
  }

  #lease(entry: Entry): Lease {
    entry.cancelIdle();
    if (entry.inUse === 0) this.#countIdle(entry);
    entry.inUse += 1;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      entry.inUse -= 1;
      if (entry.inUse === 0) this.#rest(entry);
      this.#serve(entry.key);
    };
    return {
      session: entry.session,
      release,
      retire: async () => {
        entry.retired = true;
        const isLast = !released && entry.inUse === 1;
        if (isLast) await this.#close(entry, "engine-failed");
        release();
      },
    };
  }

  #rest(entry: Entry): void {
    entry.idleSince = this.#now();
    if (entry.session.ended !== undefined || entry.retired || entry.session.endsAt !== undefined) {
      void this.#close(entry, "idle");
      return;
    }
    const paidMs = entry.session.paidUntil - this.#now();
    const idleMs = Math.max(paidMs, Math.min(this.#options.idleMs, this.#idleMsLeft(entry)));
    entry.cancelIdle = this.#options.clock.after(Math.max(0, idleMs), () => {
      void this.#close(entry, "idle");
    });
  }

  /** How long this Session may idle before idling passes its share of all that was spent. */
  #idleMsLeft(entry: Entry): number {
    const { costWei, idleCostWei } = this.figures();
    const { weiPerSecond } = entry.session.figures();
    if (weiPerSecond === 0n) return Infinity;
    const share = (costWei * BigInt(Math.round(this.#options.idleShareMax * 1000))) / 1000n;
    const free = (weiPerSecond * BigInt(clientLimits.idleFreeMs)) / 1000n;
    const left = (share > free ? share : free) - idleCostWei;
    return left <= 0n ? 0 : Number((left * 1000n) / weiPerSecond);
  }

  #countIdle(entry: Entry): void {
    const { session } = entry;
    const from = Math.max(entry.idleSince, session.paidUntil);
    const idleMs = Math.max(0, this.#now() - from);
    const costWei = (session.figures().weiPerSecond * BigInt(idleMs)) / 1000n;
    this.#closed.idleMs += idleMs;
    this.#closed.idleCostWei += costWei;
  }

  #dropEnded(): void {
    for (const entry of this.#entries) {
      if (entry.session.ended === undefined) continue;
      if (entry.inUse === 0) void this.#close(entry, "idle");
      else entry.retired = true;
    }
  }

  async #close(entry: Entry, reason: "idle" | "finished" | "engine-failed"): Promise<void> {
    if (!this.#entries.delete(entry)) return;
    entry.cancelIdle();
    if (entry.inUse === 0) this.#countIdle(entry);
    await entry.session.close(reason).catch((error: unknown) => {
      this.#options.onCloseFailure(error);
    });
    this.#closed.costWei += entry.session.figures().costWei;
  }

  #now(): number {
    return this.#options.clock.now();
  }
}

/** Wishes that the same Session can serve; whom to ignore is looked at one by one. */
function keyOf(wish: Wish): string {
  const { only, order, sort } = wish.routing ?? {};
  const { maxLatencyMs, maxWeiPerSecond, minMilliTps, model } = wish;
  const cap = maxWeiPerSecond.toString();
  return JSON.stringify([model, cap, minMilliTps, maxLatencyMs, only, order, sort]);
}

function stopping(): LakeError {
  return new LakeError("shutting-down", "This client is stopping.");
}
