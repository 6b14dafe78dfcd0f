import { LakeError } from "@lake-travis/protocol";

/** One event of a stream; a token's is some hundred bytes. */
const eventCharsMax = 1024 * 1024;

/** The `data:` payloads of an event stream, in order. Leaving early gives the stream up. */
export async function* readEvents(answer: Response): AsyncGenerator<string> {
  if (answer.body === null) return;
  const reader = answer.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const events = (rest + decoder.decode(value, { stream: !done })).split(/\r?\n\r?\n/);
      rest = done ? "" : (events.pop() ?? "");
      if (rest.length > eventCharsMax) {
        throw new LakeError("answer-interrupted", "A piece of the answer is too large.");
      }
      for (const event of events) {
        const payload = payloadOf(event);
        if (payload !== "") yield payload;
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function payloadOf(event: string): string {
  return event
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).trimStart())
    .join("\n");
}
