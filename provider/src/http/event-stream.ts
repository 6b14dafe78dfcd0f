/*
 * Server-sent events at the reader's pace.
 *
 * What an engine has made within one turn of the event loop leaves in one piece: a fast engine
 * costs one write for many events, a slow one has each of its tokens sent at once. No more is taken
 * from the engine than one such piece ahead of the reader.
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
export interface StreamedEvents {
  /** Already taken, so that a refusal could still have its own status. */
  readonly first: IteratorResult<GenerationEvent, void>;
  readonly rest: AsyncGenerator<GenerationEvent, void, undefined>;
  /** The JSON texts that tell of one event; none where a client need not hear of it. */
  readonly write: (event: GenerationEvent) => readonly string[];
  /** Makes the failure that the client is told of from what was thrown. */
  readonly explain: (error: unknown) => unknown;
}

/** Characters of one piece: about what one TLS record holds. */
const pieceCharsMax = 16 * 1024;

const encoder = new TextEncoder();

/**
 * Writes a generation as server-sent events, ending with `[DONE]` as OpenAI does. A failure on the
 * way is sent as an error object in the stream, since the status has long left.
 */
export function eventStream(events: StreamedEvents): ReadableStream<Uint8Array> {
  let next: Promise<IteratorResult<GenerationEvent, void>> | undefined = Promise.resolve(
    events.first,
  );
  const takePiece = async (): Promise<{ readonly text: string; readonly isLast: boolean }> => {
    let text = "";
    let turn: Promise<undefined> | undefined;
    try {
      for (;;) {
        next ??= events.rest.next();
        const result = text === "" ? await next : await Promise.race([next, (turn ??= turnOver())]);
        if (result === undefined) return { text, isLast: false };
        next = undefined;
        if (result.done === true) return { text: `${text}data: [DONE]\n\n`, isLast: true };
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

function turnOver(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(resolve, undefined));
}
