import { LakeError } from "@lake-travis/protocol";
import { clientLimits } from "../limits.ts";

/** Whole server-sent events that came in one piece. */
export interface EventBlock {
  /** The events' bytes as they came. */
  readonly bytes: Uint8Array;
  /** The `data:` payload of each, with the place in `text` at which its event begins. */
  readonly events: readonly { readonly payload: string; readonly at: number }[];
  readonly text: string;
}

/**
 * Cuts a stream of bytes where events end. What is cut off in the middle when a Provider dies is
 * never passed on, so that a caller sees an event whole or not at all.
 */
export function createEventSplitter(): (chunk: Uint8Array) => EventBlock | undefined {
  let rest: Buffer | undefined;
  return (chunk) => {
    const bytes =
      rest === undefined
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.concat([rest, chunk]);
    const end = bytes.lastIndexOf("\n\n");
    rest = end + 2 < bytes.length ? bytes.subarray(end < 0 ? 0 : end + 2) : undefined;
    if (rest !== undefined && rest.length > clientLimits.eventBytesMax) {
      throw new LakeError("answer-interrupted", "The Provider sent an event that is too large.");
    }
    if (end < 0) return undefined;
    const whole = bytes.subarray(0, end + 2);
    const text = whole.toString("utf8");
    return { bytes: whole, events: eventsOf(text), text };
  };
}

function eventsOf(text: string): { payload: string; at: number }[] {
  const events: { payload: string; at: number }[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n\n", at);
    const event = text.slice(at, end);
    if (event.startsWith("data:")) events.push({ payload: event.slice(5).trim(), at });
    at = end + 2;
  }
  return events;
}
