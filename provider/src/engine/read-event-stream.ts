import { LakeError } from "@lake-travis/protocol";

/** One event's line; a server that sends longer ones is broken or hostile. */
const lineCharsMax = 4 * 1024 * 1024;

/**
 * Reads the `data` payloads of server-sent events, without the closing `[DONE]`. Throws
 * `engine-failed` where a line has no end.
 */
export async function* readEventStream(answer: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of bytesOf(answer)) {
    rest += decoder.decode(bytes, { stream: true });
    const lines = rest.split(/\r\n|\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const payload = payloadOf(line);
      if (payload === "[DONE]") return;
      if (payload !== undefined) yield payload;
    }
    if (rest.length > lineCharsMax) {
      throw new LakeError("engine-failed", "The engine's server sends a line without end.");
    }
  }
  const payload = payloadOf(rest);
  if (payload !== undefined && payload !== "[DONE]") yield payload;
}

/** The bytes of an answer's body as they come. */
export function bytesOf(answer: Response): AsyncIterable<Uint8Array> {
  return answer.body ?? new ReadableStream<Uint8Array>({ start: (empty) => empty.close() });
}

function payloadOf(line: string): string | undefined {
  return line.startsWith("data:") ? line.slice(5).trim() : undefined;
}
