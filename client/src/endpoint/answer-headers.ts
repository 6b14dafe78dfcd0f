import { formatMor } from "@lake-travis/protocol";
import type { SpentToday } from "../ledger/spend-guard.ts";
import type { Session } from "../session.ts";
import { clientLimits } from "../limits.ts";

/** What the User has left; null: not known, or no limit. Amounts are wei of MOR. */
export interface MoneyLeft {
  /** Of this epoch's free allowance. */
  readonly allowance: bigint | null;
  /** Of the deposit that the Delegation covers. */
  readonly deposit: bigint | null;
  readonly today: SpentToday | null;
}

/** Money in sight: which Session served an answer, what it costs, what is left. */
export function moneyHeaders(session: Session, left: MoneyLeft): Record<string, string> {
  const figures = session.figures();
  return {
    "lake-session": figures.sessionId,
    "lake-provider": figures.provider,
    "lake-price-wei-per-second": figures.weiPerSecond.toString(),
    "lake-session-seconds": String(figures.seconds),
    "lake-cost-wei": figures.costWei.toString(),
    "lake-cost-mor": formatMor(figures.costWei),
    ...leftHeaders(left),
  };
}

/** A request's place among those that run at once, in the headers that OpenAI's clients read. */
export function rateHeaders(running: number): Record<string, string> {
  const max = clientLimits.requestsMax;
  return {
    "x-ratelimit-limit-requests": String(max),
    "x-ratelimit-remaining-requests": String(Math.max(0, max - running)),
    "x-ratelimit-reset-requests": "1s",
  };
}

function leftHeaders({ allowance, deposit, today }: MoneyLeft): Record<string, string> {
  const headers: Record<string, string> = {};
  if (allowance !== null) headers["lake-allowance-left-mor"] = formatMor(allowance);
  if (deposit !== null) headers["lake-deposit-left-mor"] = formatMor(deposit);
  if (today === null) return headers;
  headers["lake-spent-today-mor"] = formatMor(today.spent);
  if (today.limit === null) return headers;
  headers["lake-limit-today-mor"] = formatMor(today.limit);
  if (today.spent * 100n >= today.limit * warnedPercent) {
    headers["lake-warning"] = "most of today's limit is spent";
  }
  return headers;
}

/** From this share of the daily limit on, answers warn. */
const warnedPercent = 80n;
