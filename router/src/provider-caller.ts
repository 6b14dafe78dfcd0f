import {
  acceptType,
  type Clock,
  heartbeatSignatureHeader,
  type Hex,
  LakeError,
  limits,
  providerPaths,
  rfcType,
  signedFromJson,
  signedToJson,
} from "@lake-travis/protocol";
import { createHttpClient, type HttpClient, type Logger } from "@lake-travis/platform";
import type { Effect } from "./core/events.ts";
import type { DurableMachine } from "./durable-machine.ts";
import type { Edge } from "./edge.ts";
import { routerLimits } from "./limits.ts";

type ProviderAsked = Extract<Effect, { type: "provider-asked" }>;

/**
 * The liveness check: asks a Provider for its Accept of an RFC over TLS pinned to its Offer. Only
 * the Provider grants its slots; one that says nothing in time, or no, is passed over.
 */
export class ProviderCaller {
  readonly #machine: DurableMachine;
  readonly #edge: Edge;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** One client per certificate, the least recently used first. */
  readonly #clients = new Map<Hex, HttpClient>();

  constructor(machine: DurableMachine, edge: Edge, clock: Clock, logger: Logger) {
    this.#machine = machine;
    this.#edge = edge;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Asks, and hands what comes of it to the state machine. */
  async ask(asked: ProviderAsked): Promise<void> {
    const { rfcHash, offerHash } = asked;
    try {
      const accept = await this.#call(asked);
      const event = this.#edge.accept(accept, this.#clock.now());
      const { message } = accept;
      if (message.rfcHash !== rfcHash || message.offerHash !== offerHash) {
        throw new LakeError("provider-refused", "The Accept is for something else.");
      }
      await this.#machine.submit(event);
    } catch (error) {
      const reason = isRefusal(error) ? "refused" : "silent";
      const { provider } = asked;
      this.#logger.info({ provider, reason, code: codeOf(error) }, "AcceptMissing");
      const at = this.#clock.now();
      await this.#machine.submit({ type: "accept-missing", rfcHash, offerHash, reason, at });
    }
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
    this.#clients.clear();
  }

  async #call(asked: ProviderAsked): Promise<ReturnType<typeof signedFromJson<AcceptFields>>> {
    const body = Buffer.from(
      JSON.stringify({ rfc: signedToJson(rfcType, asked.rfc), offerHash: asked.offerHash }),
    );
    const answer = await this.#clientFor(asked.tlsFingerprint).json(
      "POST",
      asked.endpoint + providerPaths.accepts,
      body,
      {
        timeoutMs: limits.acceptMsMax,
        headers: { [heartbeatSignatureHeader]: this.#edge.signBytes(body) },
      },
    );
    return signedFromJson(acceptType, answer);
  }

  #clientFor(fingerprint: Hex): HttpClient {
    const known = this.#clients.get(fingerprint);
    const client =
      known ??
      createHttpClient({ unreachable: "provider-unreachable", pinnedFingerprint: fingerprint });
    this.#clients.delete(fingerprint);
    this.#clients.set(fingerprint, client);
    for (const [oldest, idle] of this.#clients) {
      if (this.#clients.size <= routerLimits.providerConnectionsMax) break;
      this.#clients.delete(oldest);
      idle.close().catch(() => undefined);
    }
    return client;
  }
}

type AcceptFields = (typeof acceptType)["fields"];

function isRefusal(error: unknown): boolean {
  return error instanceof LakeError && error.code !== "provider-unreachable";
}

function codeOf(error: unknown): string {
  return error instanceof LakeError ? error.code : "internal";
}
