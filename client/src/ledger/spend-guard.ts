import type { Address, Hex } from "@lake-travis/protocol";

/** A bearer key of the local endpoint; only its hash is kept. Amounts are wei of MOR. */
export interface EndpointKey {
  readonly name: string;
  /** SHA-256 of the bearer text. */
  readonly sha256: Hex;
  /** Most that requests with this key may cost in one UTC day. */
  readonly dailyLimit?: bigint;
}

/** A Session as it was granted, before anything of it is paid. */
export interface GrantedSession {
  readonly sessionId: Hex;
  /** The Session that this one continues across an epoch's end. */
  readonly previous: Hex | null;
  readonly model: string;
  readonly provider: Address;
  readonly weiPerSecond: bigint;
  readonly minSeconds: number;
  readonly epoch: number;
  /** Unix milliseconds. */
  readonly openedAt: number;
}

/** A Session's line to the money: what may still be signed for it. */
export interface SessionSpend {
  /**
   * To be asked before a Tick is signed: how many of `seconds` (since this Ticket began) may be
   * signed for without passing the day's limit. Less than what is served already: close it.
   */
  allow(seconds: number): number;
  /** No Tick will be signed any more. Its last signed seconds stand until the Router's figure. */
  close(): void;
}

/** A request under way. */
export interface RequestSpend {
  /** Fires with `spend-limit-reached` where its key's limit is reached in the middle. */
  readonly signal: AbortSignal;
  /** Names the Session that serves it; called again where another one takes over. */
  servedBy(sessionId: Hex): void;
  finish(result: { readonly ok: boolean; readonly tokens: number }): void;
}

/** What was spent in one UTC day, and what bounds it. Amounts are wei of MOR. */
export interface SpentToday {
  readonly day: string;
  readonly spent: bigint;
  /** null: no limit is set. */
  readonly limit: bigint | null;
}

/** Stands between requests and the User's money: nothing is signed beyond its limits. */
export interface SpendGuard {
  /** Lets a request in; throws `spend-limit-reached`. `key` is null where none was needed. */
  admit(request: { readonly key: EndpointKey | null; readonly model: string }): RequestSpend;
  /**
   * Notes a granted Session on the disk. Throws `spend-limit-reached` where its minimum would pass
   * the day's limit; then it must not be connected to.
   */
  openSession(granted: GrantedSession): Promise<SessionSpend>;
  today(): SpentToday;
}
