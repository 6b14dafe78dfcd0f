/*
 * One Session as its User's client runs it: connects to the Provider that the Ticket names, signs
 * Ticks ahead of time while it is open, follows the Ticket that continues it when an epoch ends,
 * and closes it. Every state that costs money is signed here and nowhere else.
 *
 * A Session whose Provider is gone is closed as `provider-gone` at the Router, which hears no
 * Heartbeat either: then it was the Provider's fault, and nothing is charged.
 */
import {
  type Address,
  type Clock,
  type Close,
  closeReasons,
  type CloseReason,
  closeType,
  type Hex,
  isHex,
  LakeError,
  limits,
  messageHash,
  openType,
  pricePerSecond,
  providerPaths,
  type Random,
  type SessionOpened,
  type Signed,
  signedFromJson,
  signedToJson,
  type Signer,
  signMessage,
  requireSigner,
  type Tick,
  tickType,
  type Ticket,
  type TicketGrant,
  type TickReceipt,
  ticketType,
  toHex,
  zeroBytes32,
} from "@lake-travis/protocol";
import type { StreamedAnswer } from "@lake-travis/platform";
import { type Checking, checkSuccessor } from "./check-grant.ts";
import type { GrantedSession, SessionSpend } from "./ledger/spend-guard.ts";
import type { HeldConnections, ProviderConnections } from "./provider-connections.ts";
import type { RouterClient } from "./router-client.ts";
import { createSessionMeter, type SessionMeter } from "./session-meter.ts";

/** What a Session needs of the world. */
export interface SessionContext extends Checking {
  readonly clock: Clock;
  readonly random: Random;
  readonly router: RouterClient;
  readonly connections: ProviderConnections;
  /** Notes a Session before anything of it is signed, and bounds what is; absent: no limits. */
  readonly openSpend?: (granted: GrantedSession) => Promise<SessionSpend>;
  /** Hears of what went wrong without ending the Session. */
  onTrouble(error: unknown): void;
}

/** Figures of a Session for headers and tables. Amounts are wei. */
export interface SessionFigures {
  readonly sessionId: Hex;
  readonly model: string;
  readonly provider: Address;
  readonly weiPerSecond: bigint;
  /** Seconds since it was opened, all its Tickets together. */
  readonly seconds: number;
  /** What it costs if it ended now, at most. */
  readonly costWei: bigint;
}

/** An open Session. */
export interface Session {
  readonly slots: number;
  readonly meter: SessionMeter;
  /** The failure or Close that ended it, once it has ended. */
  readonly ended: LakeError | undefined;
  /** Aborted with `ended` as soon as it has ended. */
  readonly signal: AbortSignal;
  /** Unix milliseconds at which the Router is going to end it, once it has said so. */
  readonly endsAt: number | undefined;
  /** Unix milliseconds until which the Offer's minimum is paid anyway. */
  readonly paidUntil: number;
  figures(): SessionFigures;
  /** Sends a request to the Provider under this Session. */
  send(path: string, body: unknown, signal?: AbortSignal): Promise<StreamedAnswer>;
  /** Whether the Provider still takes Ticks; where it does not, the Session has ended. */
  probe(): Promise<boolean>;
  /** Ends it: a last Tick with the final counts, then a signed Close to Provider and Router. */
  close(reason: CloseReason): Promise<void>;
}

/**
 * Connects to the Provider of a grant. Throws what the Provider answers, or that it does not, or
 * `spend-limit-reached` before anything is signed.
 */
export async function openSession(
  grant: TicketGrant,
  key: Signer,
  context: SessionContext,
): Promise<Session> {
  const offer = grant.offer.message;
  const signingKey = await context.directory.signingKeyOf(offer.provider);
  if (signingKey === undefined) {
    throw new LakeError("signer-wrong", `No Provider is registered under ${offer.provider}.`);
  }
  const connections = context.connections.hold(offer);
  const session = new OpenSession({ grant, key, context, connections, signingKey });
  try {
    await session.connect();
  } catch (error) {
    session.abandon();
    throw error;
  }
  return session;
}

/** Between two Ticks; half of what a Tick reaches ahead, so that one may be lost. */
const tickEveryMs = (limits.tickSeconds * 1000) / 2;
/** A Provider that takes longer over a Tick than a Tick's grace is as good as gone. */
const callTimeoutMs = limits.tickGraceMs;

interface Parts {
  readonly grant: TicketGrant;
  readonly key: Signer;
  readonly context: SessionContext;
  readonly connections: HeldConnections;
  readonly signingKey: Address;
}

class OpenSession implements Session {
  readonly meter = createSessionMeter();
  slots = 1;
  endsAt: number | undefined;
  readonly #ending = new AbortController();
  #spend: SessionSpend | undefined;
  readonly #parts: Parts;
  readonly #base: string;
  #ticket: Ticket;
  #sessionId: Hex;
  #startedAt = 0;
  #token = "";
  #lastTick: Tick | undefined;
  #earlier = { seconds: 0, costWei: 0n };
  #stopTicking: () => void = () => undefined;
  #closing: Promise<void> | undefined;
  #ticking: Promise<void> = Promise.resolve();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#ticket = parts.grant.ticket.message;
    this.#sessionId = parts.grant.sessionId;
    this.#base = parts.grant.offer.message.endpoint.replace(/\/+$/, "");
  }

  get ended(): LakeError | undefined {
    return this.#ending.signal.aborted ? (this.#ending.signal.reason as LakeError) : undefined;
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  get paidUntil(): number {
    return this.#startedAt + this.#ticket.minSeconds * 1000;
  }

  async connect(): Promise<void> {
    const { connections, context, grant, key } = this.#parts;
    this.#startedAt = context.clock.now();
    await this.#noteGrant(null);
    const open = {
      sessionId: this.#sessionId,
      nonce: toHex(context.random.bytes(32)),
      openedAt: this.#startedAt,
    };
    const tick = this.#signTick();
    const answer = (await connections.http.json(
      "POST",
      this.#base + providerPaths.sessions,
      {
        ticket: signedToJson(ticketType, grant.ticket),
        open: signedToJson(openType, signMessage(context.domainSeparator, openType, open, key)),
        tick: signedToJson(tickType, tick),
      },
      { timeoutMs: callTimeoutMs },
    )) as SessionOpened;
    this.#keepTick(tick.message, answer.countersignature);
    this.#token = answer.token;
    this.slots = answer.slots;
    this.#startedAt = context.clock.now();
    this.#scheduleTick();
  }

  figures(): SessionFigures {
    const current = this.#currentSeconds();
    return {
      sessionId: this.#sessionId,
      model: this.#parts.grant.offer.message.model,
      provider: this.#ticket.provider,
      weiPerSecond: pricePerSecond(this.#ticket.payees),
      seconds: this.#earlier.seconds + current,
      costWei: this.#earlier.costWei + this.#costOf(current),
    };
  }

  async send(path: string, body: unknown, signal?: AbortSignal): Promise<StreamedAnswer> {
    if (this.ended !== undefined) throw this.ended;
    return this.#parts.connections.http.stream("POST", this.#base + path, body, {
      headers: { authorization: `Bearer ${this.#token}` },
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async probe(): Promise<boolean> {
    if (this.ended !== undefined || this.#closing !== undefined) return false;
    try {
      await this.#tickInTurn();
    } catch (error) {
      await this.#leave(asEnd(error));
    }
    return this.ended === undefined;
  }

  close(reason: CloseReason): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  /** Lets go of a Session that was never opened. */
  abandon(): void {
    this.#endWith(new LakeError("session-ended", "The Session was never opened."));
    this.#spend?.close();
    this.#parts.connections.release();
  }

  async #close(reason: CloseReason): Promise<void> {
    const { context } = this.#parts;
    this.#stopTicking();
    await this.#ticking;
    try {
      if (this.ended === undefined) {
        // The last counts matter to the record; that they arrive matters less than closing does.
        await this.#tick().catch((error: unknown) => context.onTrouble(error));
      }
      if (this.ended === undefined) await this.#tellClose(reason);
    } finally {
      this.#endWith(new LakeError("session-ended", `The Session was closed (${reason}).`));
      this.#spend?.close();
      this.#parts.connections.release();
    }
  }

  async #tellClose(reason: CloseReason): Promise<void> {
    const { connections, context } = this.#parts;
    const close = this.#signClose(reason);
    const path = `${this.#base}${providerPaths.sessions}/${this.#sessionId}/close`;
    const body = signedToJson(closeType, close);
    const told = await Promise.allSettled([
      connections.http.json("POST", path, body, { timeoutMs: callTimeoutMs }),
      context.router.close(close),
    ]);
    const lost = told.every((result) => result.status === "rejected");
    if (lost) throw (told[1] as PromiseRejectedResult).reason as Error;
  }

  /** Gives up a Session whose Provider takes no more Ticks; the Router hears that first. */
  async #leave(error: LakeError): Promise<void> {
    if (this.ended !== undefined) return;
    this.#endWith(error);
    if (error.code !== "provider-unreachable") return;
    const { context } = this.#parts;
    await context.router
      .close(this.#signClose("provider-gone"))
      .catch((lost: unknown) => context.onTrouble(lost));
  }

  #signClose(reason: CloseReason): Signed<Close> {
    const { context, key } = this.#parts;
    const last = this.#lastTick;
    const { domainSeparator } = context;
    const message = {
      sessionId: this.#sessionId,
      tickHash: last === undefined ? zeroBytes32 : messageHash(domainSeparator, tickType, last),
      party: 0,
      reason: closeReasons.indexOf(reason),
    };
    return signMessage(domainSeparator, closeType, message, key);
  }

  #scheduleTick(): void {
    this.#stopTicking = this.#parts.context.clock.after(tickEveryMs, () => {
      void this.#tickInTurn()
        .catch((error: unknown) => this.#noteTickFailure(error))
        .then(() => {
          if (this.ended === undefined && this.#closing === undefined) this.#scheduleTick();
        });
    });
  }

  /** Ticks only ever grow, so no two are on their way at once: who comes second waits. */
  #tickInTurn(): Promise<void> {
    const next = this.#ticking.then(() => (this.ended === undefined ? this.#tick() : undefined));
    this.#ticking = next.catch(() => undefined);
    return next;
  }

  async #tick(): Promise<void> {
    const { connections, context } = this.#parts;
    if (this.#reachesLimit()) return;
    const tick = this.#signTick();
    const path = `${this.#base}${providerPaths.sessions}/${this.#sessionId}/ticks`;
    const body = signedToJson(tickType, tick);
    const answer = (await connections.http.json("POST", path, body, {
      timeoutMs: callTimeoutMs,
    })) as Record<keyof TickReceipt, unknown>;
    this.#keepTick(tick.message, answer.countersignature);
    const notice = answer.notice as TickReceipt["notice"] | undefined;
    this.endsAt = typeof notice?.endsAt === "number" ? notice.endsAt : undefined;
    if (answer.successor !== null && answer.successor !== undefined) {
      await this.#follow(signedFromJson(ticketType, answer.successor));
    } else if (answer.ended !== null && answer.ended !== undefined) {
      const { reason } = signedFromJson(closeType, answer.ended).message;
      this.#end(closeReasons[reason] ?? "finished");
    } else if (context.clock.now() >= this.#startedAt + this.#ticket.maxSeconds * 1000) {
      this.#end("time-reached");
    }
  }

  async #follow(successor: Signed<Ticket>): Promise<void> {
    const sessionId = await checkSuccessor(successor, this.#ticket, this.#parts.context);
    if (sessionId === this.#sessionId) return;
    const current = this.#currentSeconds();
    const previous = this.#sessionId;
    this.#earlier = {
      seconds: this.#earlier.seconds + current,
      costWei: this.#earlier.costWei + this.#costOf(current),
    };
    this.#ticket = successor.message;
    this.#sessionId = sessionId;
    this.#startedAt = successor.message.openedAt;
    this.#lastTick = undefined;
    this.meter.reset();
    this.endsAt = undefined;
    const over = this.#spend;
    try {
      await this.#noteGrant(previous);
    } catch (error) {
      // What was granted without being asked for is closed before it costs anything.
      await this.#tellClose("finished").catch((lost: unknown) =>
        this.#parts.context.onTrouble(lost),
      );
      throw error;
    }
    over?.close();
    await this.#tick();
  }

  async #noteGrant(previous: Hex | null): Promise<void> {
    const { context, grant } = this.#parts;
    const { epoch, minSeconds, payees, provider } = this.#ticket;
    this.#spend = await context.openSpend?.({
      sessionId: this.#sessionId,
      previous,
      model: grant.offer.message.model,
      provider,
      weiPerSecond: pricePerSecond(payees),
      minSeconds,
      epoch,
      openedAt: this.#startedAt,
    });
  }

  /** Where no more may be spent, the Session is closed before more is signed for. */
  #reachesLimit(): boolean {
    const current = this.#currentSeconds();
    if (this.#spend === undefined || this.#spend.allow(current) >= current) return false;
    this.#endWith(
      new LakeError("spend-limit-reached", "The limit on what may be spent is reached.", {
        advice: "Raise the limit in the configuration, or wait until tomorrow.",
      }),
    );
    void this.#tellClose("finished").catch((error: unknown) =>
      this.#parts.context.onTrouble(error),
    );
    return true;
  }

  #signTick(): Signed<Tick> {
    const { context, key } = this.#parts;
    const ahead = this.#currentSeconds() + this.#ticket.tickSeconds;
    const wished = Math.min(this.#ticket.maxSeconds, ahead);
    const allowed = this.#spend?.allow(wished) ?? wished;
    const least = this.#lastTick?.seconds ?? 0;
    const message = {
      sessionId: this.#sessionId,
      seconds: Math.max(least, Math.min(wished, allowed)),
      ...this.meter.count(),
    };
    return signMessage(context.domainSeparator, tickType, message, key);
  }

  #keepTick(tick: Tick, countersignature: unknown): void {
    const { context, signingKey } = this.#parts;
    if (!isHex(countersignature, 65)) {
      throw new LakeError("signature-invalid", "The Provider did not countersign a Tick.");
    }
    const signed = { message: tick, signature: countersignature };
    const by = { signatures: context.signatures, expected: signingKey };
    requireSigner(context.domainSeparator, tickType, signed, by);
    this.#lastTick = tick;
  }

  #noteTickFailure(error: unknown): void {
    const now = this.#parts.context.clock.now();
    const coveredUntil = this.#startedAt + (this.#lastTick?.seconds ?? 0) * 1000;
    const gone = error instanceof LakeError && error.status >= 400 && error.status < 500;
    if (!gone && now < coveredUntil + limits.tickGraceMs) return;
    void this.#leave(asEnd(error));
  }

  #end(reason: CloseReason): void {
    this.#endWith(
      new LakeError("session-ended", `The Session has ended (${reason}).`, { data: { reason } }),
    );
  }

  #endWith(error: LakeError): void {
    // Only the first reason counts: an aborted signal stays as it is.
    if (!this.#ending.signal.aborted) this.#ending.abort(error);
  }

  #currentSeconds(): number {
    const elapsed = Math.max(0, this.#parts.context.clock.now() - this.#startedAt);
    return Math.min(this.#ticket.maxSeconds, Math.ceil(elapsed / 1000));
  }

  #costOf(seconds: number): bigint {
    const charged = Math.max(seconds, this.#ticket.minSeconds);
    return BigInt(charged) * pricePerSecond(this.#ticket.payees);
  }
}

function asEnd(error: unknown): LakeError {
  if (error instanceof LakeError) return error;
  return new LakeError("session-ended", "The Session ended: no Tick gets through.", {
    cause: error,
  });
}
