import type { GenerationEvent } from "@lake-travis/protocol/inference";

/** Events of one generation between the process that makes them and the one reader. */
export interface EventInbox {
  put(event: GenerationEvent): void;
  end(): void;
  /** Events that came before are still read first. */
  fail(error: unknown): void;
  /** The reader wants no more: what waits is dropped. */
  abort(error: unknown): void;
  /** The next event; undefined at the end; throws what it failed with. */
  next(): Promise<GenerationEvent | undefined>;
  /** The sender has ended or failed it. */
  readonly isOver: boolean;
}

/** Makes an empty inbox. Its size is bounded by the sender's credit. */
export function createEventInbox(): EventInbox {
  const waiting: GenerationEvent[] = [];
  let outcome: { readonly error?: unknown } | undefined;
  let abortion: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;
  const notify = (): void => {
    wake?.();
    wake = undefined;
  };
  return {
    get isOver() {
      return outcome !== undefined;
    },
    put(event) {
      if (abortion !== undefined) return;
      waiting.push(event);
      notify();
    },
    end() {
      outcome ??= {};
      notify();
    },
    fail(error) {
      outcome ??= { error };
      notify();
    },
    abort(error) {
      // Also where the sender has ended: an answer that is all here already is cut just the same.
      abortion ??= { error };
      waiting.length = 0;
      notify();
    },
    async next() {
      for (;;) {
        if (abortion !== undefined) throw abortion.error;
        const event = waiting.shift();
        if (event !== undefined) return event;
        if (outcome !== undefined) {
          if ("error" in outcome) throw outcome.error;
          return undefined;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
