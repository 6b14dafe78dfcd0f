import { setTimeout as sleep } from "node:timers/promises";
import { LakeError } from "@lake-travis/protocol";

/** One event's line; a server that sends longer ones is broken or hostile. */
const lineCharsMax = 4 * 1024 * 1024;
/** A server is read so often: reading each of its tokens by itself costs most of the work. */
const paceMs = 10;
/** The head and the first tokens are read as they come. */
const readsUnpaced = 4;
/** Who sends so many events at once groups them itself: waiting would only delay the last ones. */
const eventsGrouped = 4;

/**
 * Reads the `data` payloads of server-sent events in groups as they arrive, without the closing
 * `[DONE]`. Throws `engine-failed` where a line has no end.
 */
export async function* readEventStream(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder();
  let rest = "";
  let reads = 0;
  for await (const bytes of body) {
    reads += 1;
    rest += decoder.decode(bytes, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    const payloads: string[] = [];
    for (const line of lines) {
      const payload = payloadOf(line);
      if (payload !== "[DONE]" && payload !== undefined) payloads.push(payload);
      if (payload !== "[DONE]") continue;
      yield payloads;
      return;
    }
    if (payloads.length > 0) yield payloads;
    if (rest.length > lineCharsMax) {
      throw new LakeError("engine-failed", "The engine's server sends a line without end.");
    }
    if (reads > readsUnpaced && payloads.length < eventsGrouped) await sleep(paceMs);
  }
  const payload = payloadOf(rest);
  if (payload !== undefined && payload !== "[DONE]") yield [payload];
}

function payloadOf(line: string): string | undefined {
  return line.startsWith("data:") ? line.slice(5).trim() : undefined;
}
