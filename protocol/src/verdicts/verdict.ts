import type { Fault } from "../meter.ts";

/** What a Record was found to be. */
export type VerdictWord = "pass" | "fail" | "review";

/** Why a Record is suspect, in the words that `docs/verdicts.md` explains. */
export const reasons = [
  "speed-below-offer",
  "faster-than-the-model",
  "slow-first-token",
  "padded-time",
  "long-sessions",
  "short-answers",
  "price-above-market",
  "short-sessions",
  "empty-service",
  "provider-gone",
  "requests-failed",
  "tickets-lapsed",
  "ticks-stopped",
  "left-open",
  "challenges-failed",
  "nothing-asked",
  "flooding",
  "wash-pairing",
  "earlier-epochs",
] as const;
/** See {@link reasons}. */
export type Reason = (typeof reasons)[number];

/** The verdict on one Record. */
export interface Verdict {
  readonly sessionId: string;
  readonly verdict: VerdictWord;
  /** Whose bad faith it is, if anybody's. */
  readonly fault: Fault;
  /** Hundredths of a bit of evidence; higher is more suspect. */
  readonly score: number;
  readonly reasons: readonly Reason[];
}

/** One line of the judge's output: its RFC 8785 form, without a line end. */
export function verdictLine(verdict: Verdict): string {
  const { fault, reasons: why, score, sessionId, verdict: word } = verdict;
  const list = why.map((reason) => `"${reason}"`).join();
  const head = `{"fault":"${fault}","reasons":[${list}],"score":${score}`;
  return `${head},"sessionId":"${sessionId}","verdict":"${word}"}`;
}
