/*
 * What the judge looks at in a Record: seven figures in logarithmic buckets, and things that
 * happened or did not. Nothing here knows who the parties are.
 */
import { closeReasons, parties } from "../messages.ts";
import type { JudgedRecord } from "../read-record.ts";
import { logBucket } from "./log-bucket.ts";

/**
 * How many buckets each figure of a Record has: 0 speed kept, 1 speed, 2 time to first token, 3
 * idle time per request, 4 seconds, 5 tokens per request, 6 price.
 */
export const featureWidths = [104, 140, 112, 112, 72, 164, 220] as const;

/** Where the buckets of each of them begin in a line's counts. */
export const featureOffsets = [0, 104, 244, 356, 468, 540, 704] as const;

/** Counts of one line: the sum of {@link featureWidths}. */
export const countsLength = 924;

/** A figure that a Record does not have. */
export const absent = 255;

/** Things that happen in a Session, as bits. */
export const happenings = {
  /** Seconds were charged, and not one token came. */
  empty: 1,
  /** The Provider vanished or its engine failed, and not by the User's word alone. */
  gone: 2,
  /** A quarter of the requests or more failed. */
  failed: 4,
  /** Nobody connected. */
  lapsed: 8,
  /** The User's Ticks stopped. */
  abandoned: 16,
  /** It was left open until somebody else closed it. */
  unclosed: 32,
  /** A challenge was not passed. */
  unproven: 64,
  /** Not one request was answered. */
  unused: 128,
  /** It ran until time or money was over. */
  exhausted: 256,
  /** Paid from a free allowance, at least in part. */
  allowance: 512,
  /** A Builder was paid too. */
  built: 1024,
} as const;

/** The figures of one Record before they are put in buckets; filled anew for each Record. */
export class RawRecord {
  seconds = 0;
  tokens = 0;
  answered = 0;
  failed = 0;
  ttftMs = 0;
  milliTps = 0;
  offeredMilliTps = 0;
  priceBucket = 0;
  asked = 0;
  passed = 0;
  /** Places in `parties`, `closeReasons` and the words of `fundedBy`. */
  endedBy = 0;
  endReason = 0;
  fundedBy = 0;
  built = false;
}

/** Takes a Record's figures. */
export function fillRaw(raw: RawRecord, record: JudgedRecord): void {
  raw.seconds = record.seconds;
  raw.tokens = record.tokens;
  raw.answered = record.requestsAnswered;
  raw.failed = record.requestsFailed;
  raw.ttftMs = record.ttftMs;
  raw.milliTps = record.milliTps;
  raw.offeredMilliTps = record.offeredMilliTps;
  const wei = BigInt(record.weiPerSecond) + BigInt(record.builderWeiPerSecond);
  raw.priceBucket = priceBucketOf(wei.toString());
  raw.asked = record.challengesAsked;
  raw.passed = record.challengesPassed;
  raw.endedBy = parties.indexOf(record.endedBy);
  raw.endReason = closeReasons.indexOf(record.endReason);
  raw.fundedBy = fundings.indexOf(record.fundedBy);
  raw.built = record.builder !== null;
}

/** What a Session can be funded by, in the order of {@link RawRecord.fundedBy}. */
const fundings = ["allowance", "deposit", "both"] as const;

/** Writes a Record's buckets to seven bytes from `offset`. */
export function writeBuckets(raw: RawRecord, target: Uint8Array, offset: number): void {
  const { tokens, answered, milliTps, offeredMilliTps, seconds } = raw;
  const spoke = tokens > 0 && milliTps > 0;
  const kept = spoke && offeredMilliTps > 0;
  const ratio = kept ? Math.floor((milliTps * 1024) / offeredMilliTps) : 0;
  target[offset] = kept ? logBucket(Math.min(ratio, 16_383), 3) : absent;
  target[offset + 1] = spoke ? Math.min(logBucket(milliTps, 2), 139) : absent;
  target[offset + 2] = spoke && answered > 0 ? Math.min(logBucket(raw.ttftMs, 2), 111) : absent;
  target[offset + 3] = answered > 0 ? idleBucket(raw) : absent;
  target[offset + 4] = seconds > 0 ? Math.min(logBucket(seconds, 2), 71) : absent;
  const perRequest = answered > 0 ? Math.floor(tokens / answered) : 0;
  target[offset + 5] = answered > 0 ? Math.min(logBucket(perRequest, 2), 163) : absent;
  target[offset + 6] = Math.min(raw.priceBucket, 219);
}

/** The {@link happenings} of a Record, as bits. */
export function happeningsOf(raw: RawRecord): number {
  const reason = closeReasons[raw.endReason];
  const byUser = raw.endedBy === 0;
  const lapsed = reason === "ticket-lapsed";
  let bits = 0;
  if (raw.seconds > 0 && raw.tokens === 0 && !lapsed) bits |= happenings.empty;
  const gone = reason === "provider-gone" || reason === "engine-failed";
  if (gone && !byUser) bits |= happenings.gone;
  if (raw.failed * 4 >= raw.answered + raw.failed && raw.failed > 0) bits |= happenings.failed;
  if (lapsed) bits |= happenings.lapsed;
  if (reason === "ticks-missing") bits |= happenings.abandoned;
  if (reason === "idle" && !byUser) bits |= happenings.unclosed;
  if (raw.passed < raw.asked) bits |= happenings.unproven;
  if (raw.answered === 0) bits |= happenings.unused;
  if (reason === "time-reached" || reason === "credit-spent") bits |= happenings.exhausted;
  if (raw.fundedBy !== 1) bits |= happenings.allowance;
  if (raw.built) bits |= happenings.built;
  return bits;
}

/** The bucket of a decimal amount of wei, eight to a decade. */
function priceBucketOf(decimal: string): number {
  const digits = decimal.length;
  if (decimal === "0") return 0;
  const lead = Number(decimal.slice(0, 3).padEnd(3, "0"));
  return priceBucketFrom(digits, lead);
}

/** The same from the number of digits and the first three of them. */
export function priceBucketFrom(digits: number, lead: number): number {
  let step = 0;
  while (step < 7 && lead >= (decadeSteps[step + 1] as number)) step += 1;
  return (digits - 1) * 8 + step + 1;
}

/** 100 x 10^(n/8), rounded: written out, because a power function may differ between machines. */
const decadeSteps = [100, 133, 178, 237, 316, 422, 562, 750] as const;

function idleBucket(raw: RawRecord): number {
  // As many tokens as can be multiplied by a million exactly.
  const tokens = Math.min(raw.tokens, 2 ** 33);
  const activeMs = raw.milliTps === 0 ? 0 : Math.floor((tokens * 1_000_000) / raw.milliTps);
  const idleMs = Math.max(0, raw.seconds * 1000 - activeMs);
  return Math.min(logBucket(Math.floor(idleMs / raw.answered), 2), 111);
}
