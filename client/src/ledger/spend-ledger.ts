import { type Clock, formatMor, type Hex, LakeError } from "@lake-travis/protocol";
import type { LedgerSession, LedgerStore } from "./ledger-store.ts";
import { costOf, shareByKey } from "./session-cost.ts";
import type {
  EndpointKey,
  GrantedSession,
  RequestSpend,
  SessionSpend,
  SpendGuard,
  SpentToday,
} from "./spend-guard.ts";

/** What a {@link SpendLedger} works with. */
export interface SpendLedgerParts {
  readonly store: LedgerStore;
  readonly clock: Clock;
  /** Most that may be spent in one UTC day, in wei of MOR; null: no limit but the Delegation's. */
  readonly dailyLimit: bigint | null;
  /** Hears once a day that a limit is near. */
  readonly warn: (sentence: string) => void;
}

/** A person is warned once this share of a limit is spent. */
const warnedPercent = 80n;
/** Every answer shows what was spent today; other processes' part may be this old there. */
const shownMsMax = 1_000;
/** A key's spending is added up anew after so long; its requests may run on meanwhile. */
const keySumMsMax = 1_000;

interface LiveRequest {
  readonly key: EndpointKey | null;
  readonly controller: AbortController;
  sessionId: Hex | null;
  startedAt: number;
}

interface KeySum {
  readonly at: number;
  readonly wei: bigint;
}

/** Keeps the ledger and holds its limits; see `ledger-store.ts` for what survives a kill. */
export class SpendLedger implements SpendGuard {
  readonly #parts: SpendLedgerParts;
  readonly #live = new Set<LiveRequest>();
  readonly #keySums = new Map<string, KeySum>();
  #shown: { readonly day: string; readonly at: number; readonly spent: bigint } | undefined;

  constructor(parts: SpendLedgerParts) {
    this.#parts = parts;
  }

  today(): SpentToday {
    const now = this.#parts.clock.now();
    const day = utcDay(now);
    const shown = this.#shown;
    const isFresh = shown?.day === day && now >= shown.at && now - shown.at < shownMsMax;
    const spent = isFresh ? shown.spent : this.#spent(day);
    if (!isFresh) this.#shown = { day, at: now, spent };
    return { day, spent, limit: this.#parts.dailyLimit };
  }

  admit(request: { readonly key: EndpointKey | null; readonly model: string }): RequestSpend {
    const { key } = request;
    this.#requireDay();
    if (key !== null) this.#requireKey(key);
    const controller = new AbortController();
    const startedAt = this.#parts.clock.now();
    const live: LiveRequest = { key, controller, sessionId: null, startedAt };
    this.#live.add(live);
    return {
      signal: controller.signal,
      servedBy: (sessionId) => {
        if (live.sessionId !== null) this.#noteUse(live, { ok: false, tokens: 0 });
        live.sessionId = sessionId;
        live.startedAt = this.#parts.clock.now();
      },
      finish: (result) => {
        if (!this.#live.delete(live)) return;
        this.#noteUse(live, result);
      },
    };
  }

  async openSession(granted: GrantedSession): Promise<SessionSpend> {
    const { clock, store } = this.#parts;
    // The day of its opening: a Session that a limit lets in at midnight counts for one day only.
    const day = utcDay(granted.openedAt);
    const needed = BigInt(Math.max(1, granted.minSeconds)) * granted.weiPerSecond;
    if (this.#left(day, 0n) < needed) throw this.#dayReached();
    store.addSession(granted, day);
    let signed = 0;
    return {
      allow: (seconds) => {
        // At once, so that two processes cannot both take what is left.
        const affordable = store.atOnce(() => {
          const left = this.#left(day, BigInt(signed) * granted.weiPerSecond);
          const most = secondsFor(left, granted.weiPerSecond, seconds);
          if (most > signed) store.sign(granted.sessionId, most);
          return most;
        });
        this.#shown = undefined;
        signed = Math.max(signed, affordable);
        this.#watch(day);
        return affordable;
      },
      close: () => store.closeSession(granted.sessionId, clock.now()),
    };
  }

  #requireDay(): void {
    if (this.#left(utcDay(this.#parts.clock.now()), 0n) <= 0n) throw this.#dayReached();
  }

  #requireKey(key: EndpointKey): void {
    if (key.dailyLimit === undefined || this.#spentBy(key.name) < key.dailyLimit) return;
    throw keyReached(key);
  }

  /** Warns, and stops the requests of keys whose limit is reached in the middle. */
  #watch(day: string): void {
    const { dailyLimit, store, warn } = this.#parts;
    const spent = dailyLimit === null ? 0n : this.#spent(day);
    if (dailyLimit !== null && spent * 100n >= dailyLimit * warnedPercent) {
      const figures = `${formatMor(spent)} of ${formatMor(dailyLimit)} MOR`;
      if (store.addWarning(day, `day ${dailyLimit}`)) {
        warn(`${figures} of the daily limit are spent (UTC day ${day}).`);
      }
    }
    for (const { controller, key } of this.#live) {
      if (key?.dailyLimit === undefined) continue;
      const byKey = this.#spentBy(key.name);
      if (byKey >= key.dailyLimit) controller.abort(keyReached(key));
      const isNear = byKey * 100n >= key.dailyLimit * warnedPercent;
      if (isNear && store.addWarning(day, `key ${key.name} ${key.dailyLimit}`)) {
        warn(`The key ${key.name} has spent ${formatMor(byKey)} MOR of its daily limit.`);
      }
    }
  }

  #noteUse(live: LiveRequest, result: { readonly ok: boolean; readonly tokens: number }): void {
    const { clock, store } = this.#parts;
    if (live.sessionId === null) return;
    store.addUse({
      sessionId: live.sessionId,
      key: live.key?.name ?? null,
      startedAt: live.startedAt,
      endedAt: Math.max(live.startedAt, clock.now()),
      tokens: result.tokens,
      ok: result.ok,
    });
  }

  #spent(day: string): bigint {
    return this.#parts.store
      .secondsOfDay(day)
      .reduce((sum, { seconds, weiPerSecond }) => sum + BigInt(seconds) * weiPerSecond, 0n);
  }

  /** What the day's limit leaves, `own` wei of a Session not counted. */
  #left(day: string, own: bigint): bigint {
    const { dailyLimit } = this.#parts;
    return dailyLimit === null ? endless : dailyLimit - this.#spent(day) + own;
  }

  #spentBy(name: string): bigint {
    const { clock, store } = this.#parts;
    const now = clock.now();
    const known = this.#keySums.get(name);
    if (known !== undefined && now - known.at < keySumMsMax && now >= known.at) return known.wei;
    const day = utcDay(now);
    const wei = store
      .sessionsBetween(day, day)
      .reduce((sum, session) => sum + this.#shareOf(session, name, now), 0n);
    this.#keySums.set(name, { at: now, wei });
    return wei;
  }

  #shareOf(session: LedgerSession, name: string, now: number): bigint {
    const running = [...this.#live]
      .filter(({ sessionId }) => sessionId === session.sessionId)
      .map(({ key, startedAt }) => ({
        sessionId: session.sessionId,
        key: key?.name ?? null,
        startedAt,
        endedAt: now,
        tokens: 0,
        ok: true,
      }));
    const uses = [...this.#parts.store.usesOf(session.sessionId), ...running];
    return shareByKey(costOf(session), uses).get(name) ?? 0n;
  }

  #dayReached(): LakeError {
    const limit = formatMor(this.#parts.dailyLimit ?? 0n);
    return new LakeError("spend-limit-reached", `Today's limit of ${limit} MOR is spent.`, {
      advice: "It begins anew at midnight UTC; lake config set dailyLimit raises it.",
    });
  }
}

const endless = 1n << 255n;

/** The UTC day of an instant, as `2026-01-31`. */
export function utcDay(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

function secondsFor(wei: bigint, weiPerSecond: bigint, wished: number): number {
  if (wei <= 0n) return 0;
  if (weiPerSecond === 0n || wei >= weiPerSecond * BigInt(wished)) return wished;
  return Number(wei / weiPerSecond);
}

function keyReached(key: EndpointKey): LakeError {
  const limit = formatMor(key.dailyLimit ?? 0n);
  return new LakeError(
    "spend-limit-reached",
    `The key ${key.name} has spent its ${limit} MOR of today.`,
    { advice: "It may spend again after midnight UTC, or its owner raises the limit." },
  );
}
