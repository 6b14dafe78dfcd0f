import { LakeError } from "@lake-travis/protocol";
import { limits } from "../limits.ts";

/** Gives the engine's slots to requests. */
export interface SlotQueue {
  /**
   * Waits for a slot; the result gives it back. Throws `queue-full` where the line has too many
   * requests waiting, or the signal's reason.
   */
  take(lineId: string, signal: AbortSignal): Promise<() => void>;
  readonly running: number;
  readonly waiting: number;
}

interface Waiter {
  readonly lineId: string;
  readonly start: () => void;
}

/**
 * Every open line is sure of one slot; slots that other lines do not need now serve a line's
 * further requests. So a Session can run several at once, and never at another one's cost for
 * longer than an answer.
 *
 * @param options.slots How many requests the engine runs at once.
 * @param options.lines The lines that are open now.
 */
export function createSlotQueue(options: {
  readonly slots: number;
  readonly lines: () => Iterable<string>;
}): SlotQueue {
  const running = new Map<string, number>();
  const waiting: Waiter[] = [];
  let taken = 0;

  const idleLinesBeside = (lineId: string): number => {
    let count = 0;
    for (const other of options.lines()) {
      if (other !== lineId && !running.has(other)) count += 1;
    }
    return count;
  };
  const mayStart = (lineId: string): boolean => {
    const free = options.slots - taken;
    return running.has(lineId) ? free > idleLinesBeside(lineId) : free > 0;
  };
  const release = (lineId: string): void => {
    taken -= 1;
    const left = (running.get(lineId) ?? 1) - 1;
    if (left === 0) running.delete(lineId);
    else running.set(lineId, left);
    startWaiting();
  };
  const start = (lineId: string): (() => void) => {
    taken += 1;
    running.set(lineId, (running.get(lineId) ?? 0) + 1);
    let released = false;
    return () => {
      if (!released) release(lineId);
      released = true;
    };
  };
  const startWaiting = (): void => {
    // Lines without a running request go first, then whoever came first.
    const first = waiting.find(({ lineId }) => !running.has(lineId)) ?? waiting[0];
    if (first === undefined || !mayStart(first.lineId)) return;
    waiting.splice(waiting.indexOf(first), 1);
    first.start();
    startWaiting();
  };
  const isFull = (lineId: string): boolean =>
    waiting.filter((waiter) => waiter.lineId === lineId).length >= limits.queuedPerSessionMax;
  return {
    get running() {
      return taken;
    },
    get waiting() {
      return waiting.length;
    },
    async take(lineId, signal) {
      signal.throwIfAborted();
      if (mayStart(lineId)) return start(lineId);
      if (isFull(lineId)) throw queueFull();
      return waitTurn(waiting, { lineId, signal, start: () => start(lineId) });
    },
  };
}

interface Turn {
  readonly lineId: string;
  readonly signal: AbortSignal;
  /** Takes the slot; called in the same breath in which it becomes free. */
  readonly start: () => () => void;
}

function waitTurn(waiting: Waiter[], turn: Turn): Promise<() => void> {
  const { lineId, signal } = turn;
  return new Promise((resolve, reject) => {
    const waiter: Waiter = {
      lineId,
      start: () => {
        signal.removeEventListener("abort", onAbort);
        resolve(turn.start());
      },
    };
    const onAbort = (): void => {
      waiting.splice(waiting.indexOf(waiter), 1);
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    waiting.push(waiter);
  });
}

function queueFull(): LakeError {
  return new LakeError("queue-full", "Too many requests of this Session are waiting.", {
    data: { waitingMax: limits.queuedPerSessionMax },
  });
}
