import {
  acceptType,
  type Close,
  closeType,
  type Hex,
  messageHash,
  type Open,
  openType,
  parties,
  providerPaths,
  type RequestForCompute,
  rfcType,
  type SessionOpened,
  type Signed,
  signedFromJson,
  signedToJson,
  signMessage,
  type Signer,
  type Tick,
  type Ticket,
  ticketType,
  tickType,
  zeroBytes32,
} from "@lake-travis/protocol";
import { generateKey, signerFromKey } from "@lake-travis/platform";
import { randomHex, type SimulatedRouter } from "./simulated-router.ts";

/** How requests reach the Provider under test: over TLS, or straight into its app. */
export type Send = (path: string, init: RequestInit) => Promise<Response>;

/** A User for tests: one session key, real signatures. */
export class SimulatedUser {
  readonly key: Signer = signerFromKey(generateKey());
  readonly router: SimulatedRouter;
  readonly send: Send;
  sessionId: Hex = zeroBytes32;
  token = "";

  constructor(router: SimulatedRouter, send: Send) {
    this.router = router;
    this.send = send;
  }

  /** A signed RFC for an Offer that the Router holds. */
  rfc(offerHash: Hex, changes: Partial<RequestForCompute> = {}): Signed<RequestForCompute> {
    const offer = this.router.offers.get(offerHash)?.message;
    const message: RequestForCompute = {
      router: this.router.account,
      delegationHash: randomHex(),
      sessionKey: this.key.address,
      model: offer?.model ?? "a/b",
      manifestDigest: zeroBytes32,
      maxWeiPerSecond: 10n ** 18n,
      minMilliTps: 0,
      maxLatencyMs: 0,
      maxSeconds: 600,
      nonce: randomHex(),
      deadline: this.router.now() + 10_000,
      wishHash: zeroBytes32,
      ...changes,
    };
    return signMessage(this.router.separator, rfcType, message, this.key);
  }

  /** Lets the Router ask for an Accept and make the Ticket from it. */
  async ticket(offerHash: Hex, changes: Partial<Ticket> = {}): Promise<Signed<Ticket>> {
    const rfc = this.rfc(offerHash);
    const answer = await this.post(providerPaths.accepts, {
      rfc: signedToJson(rfcType, rfc),
      offerHash,
    });
    if (!answer.ok) throw new Error(`accept: ${await answer.text()}`);
    const accept = signedFromJson(acceptType, await answer.json());
    return this.router.ticketFor({ rfc: rfc.message, accept: accept, offerHash, changes });
  }

  /** The body of an opening; `with` replaces parts before they are signed. */
  opening(
    ticket: Signed<Ticket>,
    changes: { readonly open?: Partial<Open>; readonly tick?: Partial<Tick> } = {},
  ): Record<string, unknown> {
    const sessionId = messageHash(this.router.separator, ticketType, ticket.message);
    const open: Open = {
      sessionId,
      nonce: randomHex(),
      openedAt: this.router.now(),
      ...changes.open,
    };
    return {
      ticket: signedToJson(ticketType, ticket),
      open: signedToJson(openType, signMessage(this.router.separator, openType, open, this.key)),
      tick: this.tick({ sessionId, ...changes.tick }),
    };
  }

  /** A signed Tick as JSON. */
  tick(changes: Partial<Tick>): unknown {
    const tick: Tick = {
      sessionId: this.sessionId,
      seconds: 2,
      requestsAnswered: 0,
      requestsFailed: 0,
      tokens: 0,
      ttftMs: 0,
      activeMs: 0,
      ...changes,
    };
    return signedToJson(tickType, signMessage(this.router.separator, tickType, tick, this.key));
  }

  /** Opens a Session and remembers its token; throws where the Provider refuses. */
  async open(offerHash: Hex, seconds = 60): Promise<SessionOpened> {
    const ticket = await this.ticket(offerHash);
    const body = this.opening(ticket, { tick: { seconds } });
    const answer = await this.post(providerPaths.sessions, body);
    if (!answer.ok) throw new Error(`open: ${await answer.text()}`);
    const opened = (await answer.json()) as SessionOpened;
    this.sessionId = opened.sessionId;
    this.token = opened.token;
    return opened;
  }

  /** Sends a Tick. */
  sendTick(changes: Partial<Tick>): Promise<Response> {
    return this.post(`${providerPaths.sessions}/${this.sessionId}/ticks`, this.tick(changes));
  }

  /** Closes the Session. */
  close(): Promise<Response> {
    const message: Close = {
      sessionId: this.sessionId,
      tickHash: zeroBytes32,
      party: parties.indexOf("user"),
      reason: 0,
    };
    const signed = signMessage(this.router.separator, closeType, message, this.key);
    const path = `${providerPaths.sessions}/${this.sessionId}/close`;
    return this.post(path, signedToJson(closeType, signed));
  }

  /** Asks the model; the Session's token goes along. */
  ask(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    return this.send(path, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.token}` },
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Posts JSON without the token. */
  post(path: string, body: unknown): Promise<Response> {
    return this.send(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }
}
