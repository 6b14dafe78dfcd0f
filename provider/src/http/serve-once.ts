import type { Clock } from "@lake-travis/protocol";
import type { Engine } from "@lake-travis/protocol/inference";
import type { Line } from "../core/session-book.ts";
import { countEnd, countFirstToken, countStart, type Outcome } from "../core/session-count.ts";
import type { ServedModel } from "../served-model.ts";
import { isUserFault } from "./serve-generation.ts";

/** One request whose answer comes in one piece. */
export interface ServedRequest {
  readonly model: ServedModel;
  readonly line: Line;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly arrivedAt: number;
}

/**
 * Waits for a slot, asks the engine once, counts. The whole time counts as that to first token,
 * and each inference (a classified input, an embedded text) as a token.
 */
export async function serveOnce<T>(
  request: ServedRequest,
  ask: (engine: Engine, signal: AbortSignal) => Promise<T>,
  inferencesOf: (result: T) => number,
): Promise<T> {
  const { model, line, signal, clock, arrivedAt } = request;
  const release = await model.queue.take(line.lineId, signal);
  const startedAt = clock.now();
  countStart(line.current.tally, startedAt);
  let outcome: Outcome = "answered";
  try {
    const result = await ask(model.engine, signal);
    const inferences = inferencesOf(result);
    countFirstToken(line.current.tally, clock.now() - arrivedAt);
    line.current.tally.tokens += inferences;
    model.speed.note({ tokens: inferences, engineMs: clock.now() - startedAt });
    return result;
  } catch (error) {
    outcome = signal.aborted || isUserFault(error) ? "dropped" : "failed";
    throw error;
  } finally {
    countEnd(line.current.tally, clock.now(), outcome);
    release();
  }
}
