import { formatMor } from "@lake-travis/protocol";
import { openAiErrorBody } from "@lake-travis/protocol/inference";
import type { Session } from "../session.ts";
import type { AnswerPiece, StreamingAnswer } from "./answer-relay.ts";

/** Writes the pieces of an answer in one dialect of server-sent events. */
export interface AnswerWriter {
  /** What goes before the first piece. */
  begin(): string;
  piece(piece: AnswerPiece): Uint8Array;
  /** What goes behind the last one; `cost` is a comment that readers of events skip. */
  end(cost: string): string;
}

/** OpenAI's chat and plain completions: pieces go through as they came. */
export const completionsWriter: AnswerWriter = {
  begin: () => "",
  piece: ({ bytes, failure }) =>
    failure === undefined
      ? bytes
      : encoder.encode(`data: ${JSON.stringify(openAiErrorBody(failure))}\n\n`),
  end: (cost) => `${cost}data: [DONE]\n\n`,
};

/** How a stream ended, for whoever counts. */
export interface StreamEnd {
  readonly ok: boolean;
  readonly tokens: number;
}

/**
 * Writes an answer at its reader's pace. A reader that leaves stops it; a failure ends it without
 * the dialect's end, so that nobody takes a part for the whole.
 */
export function streamOf(
  answer: StreamingAnswer,
  writer: AnswerWriter,
  on: { readonly left: () => void; readonly end: (end: StreamEnd) => void },
): ReadableStream<Uint8Array> {
  let tokens = 0;
  let failed = false;
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    for (;;) {
      const next = await answer.pieces.next();
      if (next.done === true) {
        if (!failed) controller.enqueue(encoder.encode(writer.end(costComment(answer))));
        controller.close();
        on.end({ ok: !failed, tokens });
        return;
      }
      failed ||= next.value.failure !== undefined;
      tokens += next.value.chunks.length;
      const bytes = writer.piece(next.value);
      if (bytes.length === 0) continue;
      controller.enqueue(bytes);
      return;
    }
  };
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        const head = writer.begin();
        if (head !== "") controller.enqueue(encoder.encode(head));
      },
      pull,
      cancel: async () => {
        on.left();
        await answer.pieces.return();
        on.end({ ok: false, tokens });
      },
    },
    { highWaterMark: 1 },
  );
}

/** What the answer's Session costs by now, as a comment in the stream. */
function costComment(answer: StreamingAnswer): string {
  const session: Session = answer.session();
  const { costWei, seconds, sessionId } = session.figures();
  const moves = answer.moves();
  const cost = `session=${sessionId} seconds=${seconds} cost-mor=${formatMor(costWei)}`;
  return `: lake-cost ${cost} moves=${moves}\n\n`;
}

const encoder = new TextEncoder();
