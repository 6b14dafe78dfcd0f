/*
 * One request from its slot to its last token, the same for streamed and unstreamed answers.
 *
 * Whatever goes wrong on the way is counted where it belongs: a failure of the engine or of this
 * Provider counts as failed, a mistake of the User or a User that has left does not.
 */
import { LakeError } from "@lake-travis/protocol";
import type { Clock, ErrorCode } from "@lake-travis/protocol";
import type { Generation, GenerationEvent } from "@lake-travis/protocol/inference";
import type { Line } from "../core/session-book.ts";
import { countEnd, countFirstToken, countStart, type Outcome } from "../core/session-count.ts";
import type { ServedModel } from "../served-model.ts";

/** One request of a Session. */
export interface ServedGeneration {
  readonly model: ServedModel;
  readonly line: Line;
  readonly generation: Generation;
  /** Aborted when the client has left or the Session has ended. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly arrivedAt: number;
}

const userFaults: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "model-input-invalid",
  "context-length-exceeded",
  "queue-full",
  "session-ended",
]);

/** Waits for a slot, generates, counts. The slot is free again when the reader is done. */
export async function* serveGeneration(
  request: ServedGeneration,
): AsyncGenerator<GenerationEvent, void, undefined> {
  const { model, line, generation, signal, clock, arrivedAt } = request;
  const release = await model.queue.take(line.lineId, signal);
  // The Session may be continued while this runs, so the tally is looked up at each step.
  countStart(line.current.tally, clock.now());
  // Who leaves in the middle has had an answer; who leaves before its first token has not.
  let outcome: Outcome = "dropped";
  let isFirst = true;
  const made = { tokens: 0, engineMs: 0 };
  let resumedAt = clock.now();
  try {
    for await (const event of model.engine.generate(generation, signal)) {
      if (event.type === "token-delta") {
        const now = clock.now();
        if (isFirst) countFirstToken(line.current.tally, now - arrivedAt);
        else {
          made.tokens += event.tokens;
          // Only the engine's own time: what the reader takes between two events is not its fault.
          made.engineMs += now - resumedAt;
        }
        isFirst = false;
        line.current.tally.tokens += event.tokens;
      }
      if (event.type !== "prompt-read") outcome = "answered";
      yield event;
      resumedAt = clock.now();
    }
  } catch (error) {
    if (!signal.aborted && !isUserFault(error)) outcome = "failed";
    throw error;
  } finally {
    if (outcome === "answered") model.speed.note(made);
    countEnd(line.current.tally, clock.now(), outcome);
    release();
  }
}

/** Whether the User caused a failure, so that it does not count against the Provider. */
export function isUserFault(error: unknown): boolean {
  return error instanceof LakeError && userFaults.has(error.code);
}
