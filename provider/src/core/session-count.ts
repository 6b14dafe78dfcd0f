import type { SessionCount } from "@lake-travis/protocol";
import { limits } from "../limits.ts";

/** What happened in one Session so far; its User signs these figures in its Ticks. */
export interface SessionTally {
  /** Requests that came with the Session's token, however they went. */
  received: number;
  answered: number;
  failed: number;
  tokens: number;
  /** The newest times to first token, in milliseconds. */
  readonly ttfts: number[];
  /** Milliseconds of generation before the running spell. */
  activeMsDone: number;
  /** Requests that are being generated now. */
  running: number;
  /** When the running spell began, in unix milliseconds. */
  activeSince: number;
}

/** A Session in which nothing has happened yet. */
export function emptyTally(): SessionTally {
  return {
    received: 0,
    answered: 0,
    failed: 0,
    tokens: 0,
    ttfts: [],
    activeMsDone: 0,
    running: 0,
    activeSince: 0,
  };
}

/** The tally of the Session that continues a line at `now`: what is running counts on in it. */
export function continueTally(previous: SessionTally, now: number): SessionTally {
  const { running } = previous;
  const next = { ...emptyTally(), received: running, running, activeSince: now };
  if (previous.running > 0) previous.activeMsDone += Math.max(0, now - previous.activeSince);
  previous.running = 0;
  return next;
}

/** Notes that generation of one more request began at `now`. */
export function countStart(tally: SessionTally, now: number): void {
  if (tally.running === 0) tally.activeSince = now;
  tally.running += 1;
}

/** How a request ended: `dropped` ones were the User's own doing and count nowhere. */
export type Outcome = "answered" | "failed" | "dropped";

/** Notes that one request ended. Several at once count as one spell of activity. */
export function countEnd(tally: SessionTally, now: number, outcome: Outcome): void {
  tally.running -= 1;
  if (tally.running === 0) tally.activeMsDone += Math.max(0, now - tally.activeSince);
  if (outcome !== "dropped") tally[outcome] += 1;
}

/** Notes the time from a request's arrival to its first token. */
export function countFirstToken(tally: SessionTally, ttftMs: number): void {
  tally.ttfts.push(Math.max(0, Math.round(ttftMs)));
  if (tally.ttfts.length > limits.ttftSamplesMax) tally.ttfts.shift();
}

/** The figures at `now` as they go to the User. */
export function countAt(tally: SessionTally, now: number): SessionCount {
  const running = tally.running > 0 ? Math.max(0, now - tally.activeSince) : 0;
  return {
    requestsAnswered: tally.answered,
    requestsFailed: tally.failed,
    tokens: tally.tokens,
    ttftMs: median(tally.ttfts),
    activeMs: tally.activeMsDone + running,
  };
}

/** The middle of the samples, the lower one of two; 0 where there are none. */
function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[(sorted.length - 1) >> 1] ?? 0;
}
