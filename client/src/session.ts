/*
 * One Session as its User's client runs it: connects to the Provider that the Ticket names, signs
 * Ticks ahead of time while it is open, follows the Ticket that continues it when an epoch ends,
 * and closes it. Every state that costs money is signed here and nowhere else.
 */
import {
  type Address,
  type Clock,
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
  ticketType,
  toHex,
  zeroBytes32,
} from "@lake-travis/protocol";
import { createHttpClient, type HttpClient, type StreamedAnswer } from "@lake-travis/platform";
import { type Checking, checkSuccessor } from "./check-grant.ts";
import type { RouterClient } from "./router-client.ts";
import { createSessionMeter, type SessionMeter } from "./session-meter.ts";

/** What a Session needs of the world. */
export interface SessionContext extends Checking {
  readonly clock: Clock;
  readonly random: Random;
  readonly router: RouterClient;
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
  figures(): SessionFigures;
  /** Sends a request to the Provider under this Session. */
  send(path: string, body: unknown, signal?: AbortSignal): Promise<StreamedAnswer>;
  /** Ends it: a last Tick with the final counts, then a signed Close to Provider and Router. */
  close(reason: CloseReason): Promise<void>;
}

/** Connects to the Provider of a grant. Throws what the Provider answers, or that it does not. */
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
  const http = createHttpClient({
    unreachable: "provider-unreachable",
    pinnedFingerprint: offer.tlsFingerprint,
  });
  const session = new OpenSession({ grant, key, context, http, signingKey });
  try {
    await session.connect();
  } catch (error) {
    await http.close();
    throw error;
  }
  return session;
}

/** Between two Ticks; half of what a Tick reaches ahead, so that one may be lost. */
const tickEveryMs = (limits.tickSeconds * 1000) / 2;
const callTimeoutMs = 5_000;

interface Parts {
  readonly grant: TicketGrant;
  readonly key: Signer;
  readonly context: SessionContext;
  readonly http: HttpClient;
  readonly signingKey: Address;
}

class OpenSession implements Session {
  readonly meter = createSessionMeter();
  slots = 1;
  ended: LakeError | undefined;
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

  async connect(): Promise<void> {
    const { context, grant, http, key } = this.#parts;
    this.#startedAt = context.clock.now();
    const open = {
      sessionId: this.#sessionId,
      nonce: toHex(context.random.bytes(32)),
      openedAt: this.#startedAt,
    };
    const tick = this.#signTick();
    const answer = (await http.json(
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
    return this.#parts.http.stream("POST", this.#base + path, body, {
      headers: { authorization: `Bearer ${this.#token}` },
      ...(signal === undefined ? {} : { signal }),
    });
  }

  close(reason: CloseReason): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #close(reason: CloseReason): Promise<void> {
    const { context, http, key } = this.#parts;
    this.#stopTicking();
    await this.#ticking;
    if (this.ended === undefined) {
      // The last counts matter to the record; that they arrive matters less than closing does.
      await this.#tick().catch((error: unknown) => context.onTrouble(error));
      const last = this.#lastTick;
      const { domainSeparator } = context;
      const message = {
        sessionId: this.#sessionId,
        tickHash: last === undefined ? zeroBytes32 : messageHash(domainSeparator, tickType, last),
        party: 0,
        reason: closeReasons.indexOf(reason),
      };
      const close = signMessage(domainSeparator, closeType, message, key);
      const path = `${this.#base}${providerPaths.sessions}/${this.#sessionId}/close`;
      const told = await Promise.allSettled([
        http.json("POST", path, signedToJson(closeType, close), { timeoutMs: callTimeoutMs }),
        context.router.close(close),
      ]);
      this.ended ??= new LakeError("session-ended", `The Session was closed (${reason}).`);
      const lost = told.every((result) => result.status === "rejected");
      await http.close();
      if (lost) throw (told[1] as PromiseRejectedResult).reason as Error;
      return;
    }
    await http.close();
  }

  #scheduleTick(): void {
    this.#stopTicking = this.#parts.context.clock.after(tickEveryMs, () => {
      this.#ticking = this.#tick()
        .catch((error: unknown) => this.#noteTickFailure(error))
        .then(() => {
          if (this.ended === undefined && this.#closing === undefined) this.#scheduleTick();
        });
    });
  }

  async #tick(): Promise<void> {
    const { http, context } = this.#parts;
    const tick = this.#signTick();
    const path = `${this.#base}${providerPaths.sessions}/${this.#sessionId}/ticks`;
    const body = signedToJson(tickType, tick);
    const answer = (await http.json("POST", path, body, { timeoutMs: callTimeoutMs })) as {
      countersignature: Hex;
      successor: unknown;
      ended: unknown;
    };
    this.#keepTick(tick.message, answer.countersignature);
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
    this.#earlier = {
      seconds: this.#earlier.seconds + current,
      costWei: this.#earlier.costWei + this.#costOf(current),
    };
    this.#ticket = successor.message;
    this.#sessionId = sessionId;
    this.#startedAt = successor.message.openedAt;
    this.#lastTick = undefined;
    this.meter.reset();
    await this.#tick();
  }

  #signTick(): Signed<Tick> {
    const { context, key } = this.#parts;
    const ahead = this.#currentSeconds() + this.#ticket.tickSeconds;
    const least = this.#lastTick?.seconds ?? 0;
    const message = {
      sessionId: this.#sessionId,
      seconds: Math.min(this.#ticket.maxSeconds, Math.max(least, ahead)),
      ...this.meter.count(),
    };
    return signMessage(context.domainSeparator, tickType, message, key);
  }

  #keepTick(tick: Tick, countersignature: Hex): void {
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
    this.ended ??=
      error instanceof LakeError
        ? error
        : new LakeError("session-ended", "The Session ended: no Tick gets through.", {
            cause: error,
          });
  }

  #end(reason: CloseReason): void {
    this.ended ??= new LakeError("session-ended", `The Session has ended (${reason}).`, {
      data: { reason },
    });
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
