/*
 * Server-sent events at the reader's pace.
 *
 * The first token leaves at once, and each later one if none has left for some milliseconds; what a
 * fast engine makes within them leaves in one piece. A write costs more than all else that is done
 * for a token, here and at the reader's. No more is taken from the engine than one such piece ahead
 * of the reader.
 */
import type { GenerationEvent } from "@lake-travis/protocol/inference";
import { openAiErrorBody } from "@lake-travis/protocol/inference";

/** The headers of a stream of server-sent events. */
export const eventStreamHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
} as const;

/** Events of a generation on their way to a client. */
export interface StreamedEvents<Event extends GenerationEvent = GenerationEvent> {
  /** Already taken, so that a refusal could still have its own status. */
  readonly first: IteratorResult<Event, void>;
  readonly rest: AsyncGenerator<Event, void, undefined>;
  /** The JSON texts that tell of one event; none where a client need not hear of it. */
  readonly write: (event: Event) => readonly string[];
  /** Makes the failure that the client is told of from what was thrown. */
  readonly explain: (error: unknown) => unknown;
}

/**
 * A hundred pieces a second are a smooth text. A little less than what an engine's process waits,
 * so that its groups go straight through.
 */
const paceMs = 8;

/** Characters of one piece: about what one TLS record holds. */
const pieceCharsMax = 16 * 1024;

const encoder = new TextEncoder();

/**
 * Writes a generation as server-sent events, ending with `[DONE]` as OpenAI does. A failure on the
 * way is sent as an error object in the stream, since the status has long left.
 */
export function eventStream<Event extends GenerationEvent>(
  events: StreamedEvents<Event>,
): ReadableStream<Uint8Array> {
  let next: Promise<IteratorResult<Event, void>> | undefined = Promise.resolve(events.first);
  let sentAt = -Infinity;
  const takePiece = async (): Promise<{ readonly text: string; readonly isLast: boolean }> => {
    let text = "";
    let hasToken = false;
    let over: Promise<undefined> | undefined;
    try {
      for (;;) {
        next ??= events.rest.next();
        const result =
          text === "" ? await next : await Promise.race([next, (over ??= pieceOver(sentAt))]);
        if (result === undefined) {
          if (hasToken) sentAt = performance.now();
          return { text, isLast: false };
        }
        next = undefined;
        if (result.done === true) return { text: `${text}data: [DONE]\n\n`, isLast: true };
        hasToken ||= result.value.type === "token-delta";
        for (const json of events.write(result.value)) text += `data: ${json}\n\n`;
        if (text.length >= pieceCharsMax) return { text, isLast: false };
      }
    } catch (error) {
      const data = JSON.stringify(openAiErrorBody(events.explain(error)));
      return { text: `${text}data: ${data}\n\n`, isLast: true };
    }
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { text, isLast } = await takePiece();
        controller.enqueue(encoder.encode(text));
        if (isLast) controller.close();
      },
      async cancel() {
        await events.rest.return();
      },
    },
    { highWaterMark: 1 },
  );
}

/** When a piece that has begun leaves: at the turn's end, or when the last one is old enough. */
function pieceOver(sentAt: number): Promise<undefined> {
  const wait = sentAt + paceMs - performance.now();
  return new Promise((resolve) => {
    if (wait <= 0) setImmediate(resolve, undefined);
    else setTimeout(resolve, wait, undefined);
  });
}
