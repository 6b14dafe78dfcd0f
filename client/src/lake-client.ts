import {
  type Clock,
  type Deployment,
  domainOf,
  domainSeparatorOf,
  LakeError,
  type NodeDirectory,
  type Random,
  type Signatures,
  type Signer,
  type Startable,
} from "@lake-travis/protocol";
import { type HttpServer, type Logger, serveHttp } from "@lake-travis/platform";
import {
  type DelegationLimits,
  type HeldDelegation,
  loadDelegation,
  makeDelegation,
  saveDelegation,
} from "./delegation.ts";
import { openByName } from "./open-by-name.ts";
import { createOpenaiEndpoint } from "./openai-endpoint.ts";
import { createRouterClient, type RouterClient } from "./router-client.ts";
import { createSessionPool, type SessionPool } from "./session-pool.ts";

/** What a User's node needs. Amounts are wei of MOR, times milliseconds. */
export interface LakeClientOptions {
  readonly deployment: Deployment;
  readonly dataDir: string;
  readonly routerUrl: string;
  readonly host: string;
  readonly port: number;
  readonly idleMs: number;
  readonly maxWeiPerSecond: bigint;
  readonly allowed: DelegationLimits;
  /** Asked only when a new Delegation is needed; the wallet's key is dropped afterwards. */
  readonly wallet: () => Signer;
  readonly clock: Clock;
  readonly random: Random;
  readonly signatures: Signatures;
  readonly directory: NodeDirectory;
  readonly logger: Logger;
}

/** A User's node: Delegation, Session pool and the local OpenAI endpoint. */
export class LakeClient implements Startable {
  readonly #options: LakeClientOptions;
  readonly #router: RouterClient;
  readonly #domainSeparator: Uint8Array;
  #server: HttpServer | undefined;
  #pool: SessionPool | undefined;

  constructor(options: LakeClientOptions) {
    this.#options = options;
    this.#router = createRouterClient(options.routerUrl);
    this.#domainSeparator = domainSeparatorOf(domainOf(options.deployment));
  }

  /** The base URL for OpenAI clients; throws `internal` before `start`. */
  get endpoint(): string {
    const { host } = this.#options;
    if (this.#server === undefined) throw new LakeError("internal", "The client is not started.");
    return `http://${host}:${this.#server.port}/v1`;
  }

  async start(): Promise<void> {
    const { clock, host, idleMs, logger, maxWeiPerSecond, port } = this.#options;
    const status = await this.#router.status();
    this.#checkNetwork(status.chainId, status.computeContract);
    const delegation = await this.#delegation();
    const asking = {
      clock,
      random: this.#options.random,
      signatures: this.#options.signatures,
      directory: this.#options.directory,
      domainSeparator: this.#domainSeparator,
      router: this.#router,
      routerAccount: status.router,
      delegation,
      onTrouble: (error: unknown) => logger.warn({ err: error }, "a last Tick was not taken"),
    };
    this.#pool = createSessionPool({
      clock,
      idleMs,
      open: (wish, signal) => this.#openLogged(() => openByName(wish, asking, signal)),
      onCloseFailure: (error) => logger.warn({ err: error }, "a Session was not closed in order"),
    });
    const fetch = createOpenaiEndpoint({
      pool: this.#pool,
      router: this.#router,
      clock,
      maxWeiPerSecond,
      onFailure: (error) => logger.error({ err: error }, "a request failed"),
    });
    this.#server = await serveHttp({ fetch, host, port });
    logger.info({ endpoint: this.endpoint }, "the OpenAI endpoint is up");
  }

  async stop(): Promise<void> {
    await this.#server?.close();
    await this.#pool?.stop();
    await this.#router.stop();
  }

  async #openLogged(open: () => ReturnType<typeof openByName>): ReturnType<typeof openByName> {
    try {
      const session = await open();
      const { sessionId, provider, weiPerSecond } = session.figures();
      const price = weiPerSecond.toString();
      this.#options.logger.info({ sessionId, provider, weiPerSecond: price }, "Session opened");
      return session;
    } catch (error) {
      const code = error instanceof LakeError ? error.code : "internal";
      this.#options.logger.warn({ code }, "no Session was opened");
      // The Router forgets nothing, but a fresh one may not know this Delegation yet.
      if (code !== "delegation-unknown") throw error;
      await this.#delegation();
      return open();
    }
  }

  async #delegation(): Promise<HeldDelegation> {
    const { clock, dataDir } = this.#options;
    const kept = loadDelegation(dataDir, this.#domainSeparator);
    const held =
      kept !== undefined && kept.signed.message.expiresAt > clock.now() + renewBeforeMs
        ? kept
        : this.#newDelegation();
    const { pseudonymKey, signed } = held;
    await this.#router.delegate({ delegation: signed, pseudonymKey });
    return held;
  }

  #newDelegation(): HeldDelegation {
    const { allowed, clock, dataDir, random, wallet } = this.#options;
    const domainSeparator = this.#domainSeparator;
    const made = makeDelegation({ wallet: wallet(), allowed, domainSeparator, clock, random });
    saveDelegation(dataDir, made.held, { delegateKey: made.delegateKey, domainSeparator });
    return made.held;
  }

  #checkNetwork(chainId: number, computeContract: string): void {
    const { deployment } = this.#options;
    if (chainId === deployment.chainId && computeContract === deployment.computeContract) return;
    throw new LakeError("chain-wrong", "This Router belongs to another network.", {
      advice: "Check --router and --deployment: both must name the same chain and contracts.",
    });
  }
}

/** A Delegation that ends within a day is renewed now, so that no Session meets its end. */
const renewBeforeMs = 86_400_000;
