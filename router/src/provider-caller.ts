import {
  type Accept,
  acceptType,
  type AcceptAnswers,
  type Clock,
  errorFromBody,
  heartbeatDigest,
  heartbeatSignatureHeader,
  type Hex,
  LakeError,
  limits,
  providerPaths,
  rfcType,
  type Signed,
  signedFromJson,
  signedToJson,
} from "@lake-travis/protocol";
import { createHttpClient, type HttpClient, type Logger } from "@lake-travis/platform";
import type { Effect } from "./core/events.ts";
import type { DurableMachine } from "./durable-machine.ts";
import type { Edge } from "./edge.ts";
import { routerLimits } from "./limits.ts";

type ProviderAsked = Extract<Effect, { type: "provider-asked" }>;

/** What waits for one Provider and what is under way there. */
interface Line {
  readonly client: HttpClient;
  readonly url: string;
  readonly waiting: { readonly asked: ProviderAsked; readonly until: number }[];
  calls: number;
  /** When the newest call began. */
  calledAt: number;
  isDue: boolean;
}

/**
 * The liveness check: asks Providers for their Accepts of RFCs over TLS pinned to their Offers.
 * Only the Provider grants its slots; one that says nothing in time, or no, is passed over. What
 * comes up for one Provider in one turn of the event loop, or while it is being asked, is asked in
 * one request.
 */
export class ProviderCaller {
  readonly #machine: DurableMachine;
  readonly #edge: Edge;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** By certificate and endpoint, the least recently used first. */
  readonly #lines = new Map<string, Line>();

  constructor(machine: DurableMachine, edge: Edge, clock: Clock, logger: Logger) {
    this.#machine = machine;
    this.#edge = edge;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Asks, and hands what comes of it to the state machine. */
  ask(asked: ProviderAsked): void {
    const line = this.#lineFor(asked);
    line.waiting.push({ asked, until: this.#clock.now() + limits.acceptMsMax });
    if (line.isDue) return;
    line.isDue = true;
    setImmediate(() => {
      line.isDue = false;
      this.#callAll(line);
    });
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#lines.values()].map(({ client }) => client.close()));
    this.#lines.clear();
  }

  #callAll(line: Line): void {
    while (this.#isReady(line)) this.#call(line);
    if (line.waiting.length === 0 || line.calls >= routerLimits.acceptCallsMax) return;
    this.#clock.after(routerLimits.acceptGatherMs, () => {
      this.#callAll(line);
    });
  }

  /** Whether what waits is asked now, or gathered a little longer behind a call under way. */
  #isReady(line: Line): boolean {
    if (line.waiting.length === 0 || line.calls >= routerLimits.acceptCallsMax) return false;
    const gathered = this.#clock.now() - line.calledAt >= routerLimits.acceptGatherMs;
    return line.calls === 0 || gathered || line.waiting.length >= routerLimits.acceptGatherMin;
  }

  #call(line: Line): void {
    const now = this.#clock.now();
    const batch = line.waiting.splice(0, limits.acceptBatchMax);
    const inTime = batch.filter(({ until }) => until > now).map(({ asked }) => asked);
    for (const { asked, until } of batch) if (until <= now) this.#miss(asked, silent());
    if (inTime.length === 0) return;
    line.calls += 1;
    line.calledAt = now;
    // A call never rejects: what goes wrong is each RFC's answer.
    void this.#askAll(line, inTime).finally(() => {
      line.calls -= 1;
      this.#callAll(line);
    });
  }

  async #askAll(line: Line, batch: readonly ProviderAsked[]): Promise<void> {
    let answers: readonly unknown[];
    try {
      answers = await this.#send(line, batch);
    } catch (error) {
      for (const asked of batch) this.#miss(asked, error);
      return;
    }
    batch.forEach((asked, index) => {
      this.#take(asked, answers[index]).catch((error: unknown) => {
        this.#miss(asked, error);
      });
    });
  }

  async #send(line: Line, batch: readonly ProviderAsked[]): Promise<readonly unknown[]> {
    const requests = batch.map(({ rfc, offerHash }) => {
      return { rfc: signedToJson(rfcType, rfc), offerHash };
    });
    const body = Buffer.from(JSON.stringify({ requests }));
    const digest = heartbeatDigest(this.#edge.separator, body);
    const headers = { [heartbeatSignatureHeader]: await this.#edge.signDigest(digest) };
    const post = (): Promise<unknown> =>
      line.client.json("POST", line.url, body, { timeoutMs: limits.acceptMsMax, headers });
    const begunAt = this.#clock.now();
    const answer = await post().catch((error: unknown) => {
      // To ask twice does no harm: a Provider answers the same.
      const early = this.#clock.now() - begunAt < routerLimits.acceptRetryMsMax;
      if (early && !isRefusal(error)) return post();
      throw error;
    });
    const { answers } = (answer ?? {}) as Partial<AcceptAnswers>;
    if (Array.isArray(answers) && answers.length === batch.length)
      return answers as readonly unknown[];
    throw new LakeError("provider-refused", "The Provider answered something else.");
  }

  async #take(asked: ProviderAsked, answer: unknown): Promise<void> {
    const { rfcHash, offerHash } = asked;
    const accept = acceptFromJson(answer);
    const { message } = accept;
    if (message.rfcHash !== rfcHash || message.offerHash !== offerHash) {
      throw new LakeError("provider-refused", "The Accept is for something else.");
    }
    const { hash, signer } = await this.#edge.identify(acceptType, accept);
    const at = this.#clock.now();
    // A journal that fails is told through the machine's `failed`.
    const event = { type: "accept-received", accept, hash, signer, at } as const;
    this.#machine.submit(event).catch(() => undefined);
  }

  #miss(asked: ProviderAsked, error: unknown): void {
    const { rfcHash, offerHash, provider } = asked;
    const isFull = codeOf(error) === "slots-full";
    const reason = isFull ? "full" : isRefusal(error) ? "refused" : "silent";
    this.#logger.info({ provider, reason, code: codeOf(error) }, "AcceptMissing");
    const at = this.#clock.now();
    const event = { type: "accept-missing", rfcHash, offerHash, reason, at } as const;
    this.#machine.submit(event).catch(() => undefined);
  }

  #lineFor({ tlsFingerprint, endpoint }: ProviderAsked): Line {
    const key = `${tlsFingerprint} ${endpoint}`;
    const line = this.#lines.get(key) ?? newLine(tlsFingerprint, endpoint);
    this.#lines.delete(key);
    this.#lines.set(key, line);
    for (const [oldest, idle] of this.#lines) {
      if (this.#lines.size <= routerLimits.providerConnectionsMax) break;
      if (idle.calls + idle.waiting.length > 0 || idle === line) continue;
      this.#lines.delete(oldest);
      idle.client.close().catch(() => undefined);
    }
    return line;
  }
}

function newLine(pinnedFingerprint: Hex, endpoint: string): Line {
  const client = createHttpClient({ unreachable: "provider-unreachable", pinnedFingerprint });
  const url = endpoint + providerPaths.accepts;
  return { client, url, waiting: [], calls: 0, calledAt: 0, isDue: false };
}

function acceptFromJson(answer: unknown): Signed<Accept> {
  const failed = typeof answer === "object" && answer !== null && "error" in answer;
  if (failed) throw errorFromBody(answer, 503, "provider-refused");
  return signedFromJson(acceptType, answer);
}

function silent(): LakeError {
  return new LakeError("provider-unreachable", "This Provider did not answer in time.");
}

function isRefusal(error: unknown): boolean {
  return error instanceof LakeError && error.code !== "provider-unreachable";
}

function codeOf(error: unknown): string {
  return error instanceof LakeError ? error.code : "internal";
}
