import type { SessionCount } from "@lake-travis/protocol";

/** What a User observes of a Session: requests, tokens and times, as its Ticks report them. */
export interface SessionMeter {
  /** Begins a request; call one of the results' verbs when it ends. Times are unix milliseconds. */
  begin(now: number): RequestMeter;
  count(): SessionCount;
  reset(): void;
}

/** One request under way. */
export interface RequestMeter {
  token(now: number): void;
  finish(now: number, outcome: RequestOutcome): void;
}

/**
 * How a request ended. One that its own caller dropped has had an answer if a token of it came, and
 * otherwise says nothing of the Provider.
 */
export type RequestOutcome = "answered" | "failed" | "dropped";

/** The newest times to first token, of which the median is reported. */
const ttftSamplesMax = 101;

/** Makes a meter that has seen nothing yet. */
export function createSessionMeter(): SessionMeter {
  let count = emptyCount();
  let ttfts: number[] = [];
  return {
    count: () => ({ ...count, ttftMs: median(ttfts) }),
    reset: () => {
      count = emptyCount();
      ttfts = [];
    },
    begin: (startedAt) => {
      let firstAt: number | undefined;
      return {
        token: (now) => {
          count = { ...count, tokens: count.tokens + 1 };
          if (firstAt !== undefined) return;
          firstAt = now;
          ttfts = [...ttfts.slice(1 - ttftSamplesMax), Math.max(0, now - startedAt)];
        },
        finish: (now, outcome) => {
          const isAnswered = outcome === "dropped" ? firstAt !== undefined : outcome === "answered";
          count = {
            ...count,
            requestsAnswered: count.requestsAnswered + (isAnswered ? 1 : 0),
            requestsFailed: count.requestsFailed + (outcome === "failed" ? 1 : 0),
            activeMs: count.activeMs + Math.max(0, now - (firstAt ?? startedAt)),
          };
        },
      };
    },
  };
}

function emptyCount(): SessionCount {
  return { requestsAnswered: 0, requestsFailed: 0, tokens: 0, ttftMs: 0, activeMs: 0 };
}

function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return Math.round(sorted[sorted.length >> 1] ?? 0);
}
