import {
  type Address,
  type Challenge,
  type Clock,
  closeReasons,
  closeType,
  type EndNotice,
  type Heartbeat,
  heartbeatDigest,
  heartbeatSignatureHeader,
  type HeartbeatReply,
  type Hex,
  isHex,
  LakeError,
  messageToJson,
  routerPaths,
  signedFromJson,
  signedToJson,
  type Signer,
  ticketType,
  tickType,
} from "@lake-travis/protocol";
import type { HttpClient, Logger } from "@lake-travis/platform";
import { limits } from "./limits.ts";
import type { Report, SessionKeeper } from "./session-keeper.ts";

/** What a {@link HeartbeatLoop} works with. */
export interface HeartbeatParts {
  readonly provider: Address;
  readonly signer: Signer;
  readonly domainSeparator: Uint8Array;
  readonly routerUrl: string;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly keeper: SessionKeeper;
  /** Refreshes what we know of the Router, so that its signed answers can be checked. */
  readonly lookAtRouter: () => Promise<void>;
  /** Hears after each answer which of our Offers the Router holds. */
  readonly onOffersHeld: (held: ReadonlySet<Hex>) => void;
}

/**
 * Reports to the Router once a second and at once when a Session opens or ends. What a Router that
 * does not answer has missed is reported again until it confirms.
 */
export class HeartbeatLoop {
  readonly #parts: HeartbeatParts;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #newsWaits = false;
  #lastAt = 0;
  #isLost = false;

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
  }

  /** Whether the Router answered the last Heartbeat. */
  get isHeard(): boolean {
    return !this.#isLost;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Sends the next Heartbeat now. */
  beatSoon(): void {
    this.#newsWaits = true;
    this.#wake?.();
  }

  /** Ends the loop with one last Heartbeat. */
  async stop(): Promise<void> {
    if (this.#running === undefined || this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    this.#wake?.();
    await this.#running;
    await this.#beat();
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#newsWaits = false;
      await this.#beat();
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    if (this.#newsWaits || this.#stopping.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(limits.heartbeatMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  async #beat(): Promise<void> {
    const { keeper, logger, onOffersHeld } = this.#parts;
    const { report, confirm } = keeper.report();
    try {
      await this.#parts.lookAtRouter();
      const reply = readReply(await this.#send(report));
      if (this.#isLost) logger.info("the Router answers again");
      this.#isLost = false;
      await confirm();
      if (report.hasMore) this.beatSoon();
      await keeper.applyReply(reply);
      onOffersHeld(new Set(reply.offers));
    } catch (error) {
      // Whatever it was, the next beat tries again: Sessions depend on this loop.
      if (!(error instanceof LakeError)) logger.error({ err: error }, "heartbeat failed");
      else if (!this.#isLost) logger.warn({ code: error.code }, `heartbeat: ${error.message}`);
      this.#isLost = true;
    }
  }

  #send(report: Report): Promise<unknown> {
    const { provider, signer, domainSeparator, routerUrl, http, clock } = this.#parts;
    // Strictly growing also where two beats fall into one millisecond.
    this.#lastAt = Math.max(clock.now(), this.#lastAt + 1);
    const body = Buffer.from(JSON.stringify(heartbeatJson(provider, this.#lastAt, report)));
    const signature = signer.sign(heartbeatDigest(domainSeparator, body));
    return http.json("POST", routerUrl + routerPaths.heartbeats, body, {
      headers: { [heartbeatSignatureHeader]: signature },
      timeoutMs: limits.heartbeatTimeoutMs,
    });
  }
}

/** The JSON form of a {@link Heartbeat}. */
function heartbeatJson(
  provider: Address,
  at: number,
  report: Report,
): Record<keyof Heartbeat, unknown> {
  return {
    provider,
    at,
    connected: report.connected,
    ticks: report.ticks.map(({ tick, signature, countersignature }) => ({
      tick: messageToJson(tickType, tick),
      signature,
      countersignature,
    })),
    closes: report.closes.map((close) => signedToJson(closeType, close)),
    challengeAnswers: report.challengeAnswers,
  };
}

/** Reads the Router's answer; throws `message-invalid` where it is not one. */
function readReply(json: unknown): HeartbeatReply {
  const source = (json ?? {}) as Partial<Record<keyof HeartbeatReply, unknown>>;
  return {
    ended: listOf(source.ended).map((item) => signedFromJson(closeType, item)),
    successors: listOf(source.successors).map((item) => {
      const { previous, ticket } = (item ?? {}) as { previous?: unknown; ticket?: unknown };
      if (!isHex(previous, 32)) throw invalidReply();
      return { previous, ticket: signedFromJson(ticketType, ticket) };
    }),
    notices: listOf(source.notices).map(noticeFromJson),
    challenges: listOf(source.challenges).map(challengeFromJson),
    offers: listOf(source.offers).filter((hash): hash is Hex => isHex(hash, 32)),
  };
}

function noticeFromJson(value: unknown): EndNotice {
  const { sessionId, endsAt, reason } = (value ?? {}) as Partial<Record<keyof EndNotice, unknown>>;
  const known = closeReasons.find((name) => name === reason);
  if (!isHex(sessionId, 32) || !isTime(endsAt) || known === undefined) throw invalidReply();
  return { sessionId, endsAt, reason: known };
}

function challengeFromJson(value: unknown): Challenge {
  const { sessionId, nonce, answerBy } = (value ?? {}) as Partial<Record<keyof Challenge, unknown>>;
  if (!isHex(sessionId, 32) || !isHex(nonce, 32) || !isTime(answerBy)) throw invalidReply();
  return { sessionId, nonce, answerBy };
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw invalidReply();
  return value;
}

function invalidReply(): LakeError {
  return new LakeError("message-invalid", "The Router's answer to a Heartbeat is not one.");
}
