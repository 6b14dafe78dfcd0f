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

/** Waits for a slot, asks the engine once, counts. The whole time counts as that to first token. */
export async function serveOnce<T>(
  request: ServedRequest,
  ask: (engine: Engine, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { model, line, signal, clock, arrivedAt } = request;
  const release = await model.queue.take(line.lineId, signal);
  countStart(line.current.tally, clock.now());
  let outcome: Outcome = "answered";
  try {
    const result = await ask(model.engine, signal);
    countFirstToken(line.current.tally, clock.now() - arrivedAt);
    return result;
  } catch (error) {
    outcome = signal.aborted || isUserFault(error) ? "dropped" : "failed";
    throw error;
  } finally {
    countEnd(line.current.tally, clock.now(), outcome);
    release();
  }
}
