/*
 * A Provider for tests: real TLS, real signatures, and a model that counts. Its answer to anything
 * is `w0 w1 w2 ...`; asked to go on with `w0 w1 ` it says `w2 ...`, so that a test sees at once
 * where text was lost or doubled.
 */
import {
  type Address,
  closeType,
  type Hex,
  messageHash,
  type Offer,
  offerType,
  providerPaths,
  type Signed,
  signedFromJson,
  signedToJson,
  signMessage,
  type Signer,
  type TickReceipt,
  ticketType,
  tickType,
} from "@lake-travis/protocol";
import {
  generateKey,
  type HttpServer,
  loadOrCreateCertificate,
  serveHttp,
  signerFromKey,
  systemClock,
} from "@lake-travis/platform";

/** How a simulated Provider behaves. */
export interface ProviderScript {
  /** Words of a whole answer. */
  words: number;
  /** Milliseconds before each word. */
  wordMs: number;
  /** Cuts the connection in the middle of the event of this word. */
  dieAfter: number | undefined;
  /** Says `engine-failed` in the stream after so many words. */
  failAfter: number | undefined;
  /** Answers every request with this status. */
  refuseWith: number | undefined;
  /** Says that it goes on with an answer. */
  continues: boolean;
  /** What Ticks are told of the Session's end. */
  notice: TickReceipt["notice"];
  slots: number;
  minSeconds: number;
  weiPerSecond: bigint;
}

/** A Session as the Provider saw it. */
export interface SeenSession {
  readonly sessionId: Hex;
  readonly seconds: number[];
  readonly closes: number[];
}

const scriptDefault: ProviderScript = {
  words: 20,
  wordMs: 0,
  dieAfter: undefined,
  failAfter: undefined,
  refuseWith: undefined,
  continues: true,
  notice: null,
  slots: 4,
  minSeconds: 1,
  weiPerSecond: 1_000n,
};

/** See the head of this file. */
export class SimulatedProvider {
  readonly account: Address;
  readonly signer: Signer = signerFromKey(generateKey());
  readonly script: ProviderScript;
  readonly sessions: SeenSession[] = [];
  /** Bodies of inference requests, newest last. */
  readonly requests: Record<string, unknown>[] = [];
  readonly #separator: Uint8Array;
  #server: HttpServer | undefined;
  #fingerprint: Hex = "0x";
  #port = 0;
  #folder = "";

  constructor(account: Address, separator: Uint8Array, script: Partial<ProviderScript> = {}) {
    this.account = account;
    this.#separator = separator;
    this.script = { ...scriptDefault, ...script };
  }

  /** Serves; after `die`, again at the same address. */
  async start(folder = this.#folder): Promise<void> {
    this.#folder = folder;
    const tls = await loadOrCreateCertificate(folder, systemClock);
    this.#fingerprint = tls.fingerprint;
    const fetch = (request: Request): Promise<Response> => this.#answer(request);
    this.#server = await serveHttp({ fetch, host: "127.0.0.1", port: this.#port, tls });
    this.#port = this.#server.port;
  }

  /** Ends as a killed process does: every connection breaks at once. */
  async die(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.close(0);
  }

  get isAlive(): boolean {
    return this.#server !== undefined;
  }

  offer(model: string, manifestDigest: Hex): Signed<Offer> {
    const { minSeconds, slots, weiPerSecond } = this.script;
    const offer: Offer = {
      provider: this.account,
      model,
      manifestDigest,
      weiPerSecond,
      minSeconds,
      slots,
      milliTps: 100_000,
      engineClass: "simulated",
      hardwareClass: "cpu",
      endpoint: `https://127.0.0.1:${this.#port}`,
      tlsFingerprint: this.#fingerprint,
      validUntil: Date.now() + 60_000,
      sequence: Date.now(),
    };
    return signMessage(this.#separator, offerType, offer, this.signer);
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = (await request.json()) as Record<string, unknown>;
    if (pathname === providerPaths.sessions) return this.#open(body);
    if (pathname.endsWith("/ticks")) return this.#tick(body);
    if (pathname.endsWith("/close")) return this.#close(body);
    this.requests.push(body);
    const { refuseWith } = this.script;
    if (refuseWith !== undefined) {
      const code = refuseWith === 400 ? "model-input-invalid" : "engine-failed";
      return Response.json({ error: { message: "no", code } }, { status: refuseWith });
    }
    if (pathname === "/v1/embeddings") {
      const data = [{ object: "embedding", index: 0, embedding: [1, 2, 3] }];
      return Response.json({ object: "list", data, model: body["model"] });
    }
    return this.#infer(pathname, body);
  }

  #open(body: Record<string, unknown>): Response {
    const ticket = signedFromJson(ticketType, body["ticket"]);
    const sessionId = messageHash(this.#separator, ticketType, ticket.message);
    const tick = signedFromJson(tickType, body["tick"]);
    this.sessions.push({ sessionId, seconds: [tick.message.seconds], closes: [] });
    const { signature } = signMessage(this.#separator, tickType, tick.message, this.signer);
    const { slots } = this.script;
    return Response.json({ sessionId, token: "t".repeat(43), countersignature: signature, slots });
  }

  #tick(body: unknown): Response {
    const tick = signedFromJson(tickType, body).message;
    this.#seen(tick.sessionId)?.seconds.push(tick.seconds);
    const { signature } = signMessage(this.#separator, tickType, tick, this.signer);
    const { notice } = this.script;
    return Response.json({ countersignature: signature, successor: null, ended: null, notice });
  }

  #close(body: unknown): Response {
    const close = signedFromJson(closeType, body);
    this.#seen(close.message.sessionId)?.closes.push(close.message.reason);
    return Response.json({ countersignature: "0x", ended: signedToJson(closeType, close) });
  }

  #seen(sessionId: Hex): SeenSession | undefined {
    return this.sessions.find((session) => session.sessionId === sessionId);
  }

  #infer(pathname: string, body: Record<string, unknown>): Response {
    const isChat = pathname === "/v1/chat/completions";
    const from = begunWords(body, isChat);
    const max = typeof body["max_tokens"] === "number" ? body["max_tokens"] : Infinity;
    const to = Math.min(this.script.words, from + max);
    const finish = to < this.script.words ? "length" : "stop";
    const continued = this.script.continues ? { "lake-continues": "1" } : {};
    if (body["stream"] !== true) {
      const text = wordsOf(from, to);
      const choice = isChat ? { message: { role: "assistant", content: text } } : { text };
      const usage = { prompt_tokens: 5, completion_tokens: to - from, total_tokens: 5 + to - from };
      const choices = [{ index: 0, ...choice, finish_reason: finish }];
      return Response.json({ id: "x", model: body["model"], choices, usage });
    }
    const events = this.#events({ isChat, from, to, finish });
    const stream = ReadableStream.from<Uint8Array>(events);
    return new Response(stream, { headers: { "content-type": "text/event-stream", ...continued } });
  }

  async *#events(answer: {
    readonly isChat: boolean;
    readonly from: number;
    readonly to: number;
    readonly finish: string;
  }): AsyncGenerator<Uint8Array> {
    const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
    const head = { id: `answer-${this.account.slice(2, 6)}`, created: 1, model: "m" };
    const event = (choice: object, finish_reason: string | null = null): string =>
      `data: ${JSON.stringify({ ...head, choices: [{ index: 0, ...choice, finish_reason }] })}\n\n`;
    if (answer.isChat) yield encode(event({ delta: { role: "assistant", content: "" } }));
    for (let at = answer.from; at < answer.to; at += 1) {
      const { dieAfter, failAfter, wordMs } = this.script;
      if (wordMs > 0) await new Promise((resolve) => setTimeout(resolve, wordMs));
      const text = wordsOf(at, at + 1);
      const whole = event(answer.isChat ? { delta: { content: text } } : { text });
      if (dieAfter === at) {
        yield encode(whole.slice(0, 30));
        await new Promise((resolve) => setTimeout(resolve, 20));
        await this.die();
      }
      if (failAfter === at) {
        const error = { message: "The engine failed.", code: "engine-failed" };
        yield encode(`data: ${JSON.stringify({ error })}\n\n`);
        return;
      }
      yield encode(whole);
    }
    yield encode(event(answer.isChat ? { delta: {} } : { text: "" }, answer.finish));
    yield encode("data: [DONE]\n\n");
  }
}

/** The words from one number up to another: `w3 w4 `. */
export function wordsOf(from: number, to: number): string {
  return Array.from({ length: Math.max(0, to - from) }, (_, at) => `w${from + at} `).join("");
}

function begunWords(body: Record<string, unknown>, isChat: boolean): number {
  const last = (body["messages"] as { content: string }[] | undefined)?.at(-1)?.content ?? "";
  const begun = isChat ? (body["continue_final_message"] === true ? last : "") : body["prompt"];
  return [...String(begun).matchAll(/w\d+ /g)].length;
}
