/** What a {@link StopScanner} lets through. */
export interface ScannedText {
  /** Text that can be shown. */
  readonly text: string;
  /** A stop text was found; nothing behind it is shown. */
  readonly stopped: boolean;
}

/** Watches an answer for its stop texts, holding back only what may be the beginning of one. */
export interface StopScanner {
  push(text: string): ScannedText;
  /** What is still held back when the answer has ended. */
  flush(): string;
}

/** Makes a scanner for these stop texts; none lets everything through at once. */
export function createStopScanner(stops: readonly string[]): StopScanner {
  let held = "";
  return {
    push(text) {
      if (stops.length === 0) return { text, stopped: false };
      const all = held + text;
      const found = Math.min(...stops.map((stop) => indexOrInfinity(all, stop)));
      if (found !== Infinity) {
        held = "";
        return { text: all.slice(0, found), stopped: true };
      }
      const kept = longestBeginning(all, stops);
      held = all.slice(all.length - kept);
      return { text: all.slice(0, all.length - kept), stopped: false };
    },
    flush() {
      const text = held;
      held = "";
      return text;
    },
  };
}

/** The stop texts of a request as a list. */
export function stopsOf(stop: string | readonly string[] | undefined): readonly string[] {
  if (stop === undefined) return [];
  return typeof stop === "string" ? [stop] : stop;
}

function indexOrInfinity(text: string, stop: string): number {
  const index = text.indexOf(stop);
  return index < 0 ? Infinity : index;
}

// How many characters at the end of `text` are the beginning of a stop text.
function longestBeginning(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length -= 1) {
      if (text.endsWith(stop.slice(0, length))) longest = length;
    }
  }
  return longest;
}
