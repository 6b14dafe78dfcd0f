/*
 * What a Provider's published Records say about its recent Sessions of one model: whether they
 * fail, how fast they are, how soon they begin. Pure figures of Records, so that every Router
 * ranks alike.
 */
import { faultOf } from "./meter.ts";
import type { SessionRecord } from "./record.ts";

/** A Provider's recent Sessions of one model, halved at each epoch so that the past fades. */
export interface Standing {
  readonly sessions: number;
  readonly failed: number;
  /** Thousandths of a token per second as signed in Ticks; 0: not known. */
  readonly measuredMilliTps: number;
  /** Time to first token as signed in Ticks; 0: not known. */
  readonly ttftMs: number;
}

/** The standing of a Provider that nothing is known of. */
export const newcomerStanding: Standing = {
  sessions: 0,
  failed: 0,
  measuredMilliTps: 0,
  ttftMs: 0,
};

/** Below so many recent Sessions a Provider is new, and its failures and speed are not judged. */
export const standingSessionsMin = 4;

/** More recent Sessions than this add nothing to what is known, and would make the past stay. */
const standingSessionsMax = 1_000;

/** Whether there are enough recent Sessions to judge a Provider by. */
export function isJudged(standing: Standing): boolean {
  return standing.sessions >= standingSessionsMin;
}

/** The standing after one more Record. What neither ran nor failed says nothing. */
export function standingAfter(
  before: Standing,
  record: Pick<
    SessionRecord,
    | "endedBy"
    | "endReason"
    | "seconds"
    | "requestsAnswered"
    | "requestsFailed"
    | "milliTps"
    | "ttftMs"
  >,
): Standing {
  const failed = isFailure(record);
  if (!failed && record.seconds === 0) return before;
  const known = before.sessions >= standingSessionsMax ? halved(before) : before;
  return {
    sessions: known.sessions + 1,
    failed: known.failed + (failed ? 1 : 0),
    measuredMilliTps: blend(known.measuredMilliTps, record.milliTps),
    ttftMs: blend(known.ttftMs, record.ttftMs),
  };
}

/** The standing once a Session that counted as good was judged the Provider's fault after all. */
export function standingBlamed(standing: Standing): Standing {
  return { ...standing, failed: Math.min(standing.sessions, standing.failed + 1) };
}

/**
 * The standing one epoch later; undefined where nothing is left of it: the Provider is new again.
 */
export function standingFaded(standing: Standing): Standing | undefined {
  const faded = halved(standing);
  return faded.sessions === 0 ? undefined : faded;
}

// Both parties signed how many requests failed, so it is nobody's word alone.
function isFailure(record: Parameters<typeof standingAfter>[1]): boolean {
  const { endedBy, endReason, requestsAnswered, requestsFailed } = record;
  return faultOf(endedBy, endReason) === "provider" || requestsFailed > requestsAnswered;
}

function halved(standing: Standing): Standing {
  return { ...standing, sessions: standing.sessions >> 1, failed: standing.failed >> 1 };
}

/** A moving average in which the new figure weighs a quarter; zero is no figure. */
function blend(before: number, now: number): number {
  if (now === 0) return before;
  return before === 0 ? now : Math.floor((before * 3 + now) / 4);
}
