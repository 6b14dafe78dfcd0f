import { limits } from "./limits.ts";

/** Bounds of a public Record and its file; a figure beyond them is absurd, not large. */
export const recordLimits = {
  /** Epochs of 20 s fill this many in 2,700 years. */
  epochMax: 2 ** 32 - 1,
  /** The year 2109 in unix milliseconds. */
  openedAtMax: 2 ** 42 - (2 ** 42 % 60_000),
  /** No Session is longer than the protocol's longest. */
  secondsMax: limits.sessionSecondsMax,
  /** A day at ten million tokens a second; the fastest classifier known here does four million. */
  tokensMax: limits.sessionSecondsMax * 10_000_000,
  /** As many as a Tick can count. */
  requestsMax: 2 ** 32 - 1,
  /** A day: no first token comes later than the longest Session. */
  ttftMsMax: limits.sessionSecondsMax * 1000,
  /** Ten million tokens a second. */
  milliTpsMax: 10_000_000_000,
  /** A day of generating with 1,024 requests at a time. */
  activeMsMax: limits.sessionSecondsMax * 1000 * 1024,
  /** A challenge a second all day long. */
  challengesMax: limits.sessionSecondsMax,
  /** Payees of a Ticket. */
  payeesMax: limits.payeesMax,
  /** One line: 25 fields of at most 200 characters each leave room for whitespace. */
  lineBytesMax: 16 * 1024,
  /** Records of one file; judging keeps about 200 bytes of each. */
  recordsMax: 2 ** 25,
} as const;
