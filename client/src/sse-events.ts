/** The events of a server-sent stream, parsed beside the bytes that are passed on unchanged. */
export interface SseCounter {
  /** Feeds the next bytes; calls `onData` with each complete `data:` payload. */
  feed(chunk: Uint8Array): void;
}

/** A line longer than this is not a token of an answer; it is passed on but not looked at. */
const lineCharsMax = 1024 * 1024;

/** Makes a counter that hands each `data:` payload to `onData`. */
export function createSseCounter(onData: (payload: string) => void): SseCounter {
  const decoder = new TextDecoder();
  let rest = "";
  return {
    feed(chunk) {
      rest += decoder.decode(chunk, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > lineCharsMax) rest = "";
      for (const line of lines) {
        if (line.startsWith("data:")) onData(line.slice(5).trim());
      }
    },
  };
}
