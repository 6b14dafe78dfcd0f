import {
  type Address,
  type Clock,
  type Deployment,
  domainOf,
  domainSeparatorOf,
  LakeError,
  limits,
  type NodeDirectory,
  type Random,
  type Signatures,
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
import type { MoneyLeft } from "./endpoint/answer-headers.ts";
import { createOfferBoard, type OfferBoard } from "./endpoint/offer-board.ts";
import type { EndpointKey, SpendGuard } from "./ledger/spend-guard.ts";
import { clientLimits } from "./limits.ts";
import { type Asking, openByName, type Wish } from "./open-by-name.ts";
import { createOpenaiEndpoint } from "./openai-endpoint.ts";
import { createProviderConnections, type ProviderConnections } from "./provider-connections.ts";
import { createRouterClient, type RouterClient } from "./router-client.ts";
import type { Session } from "./session.ts";
import { createSessionPool, type SessionPool } from "./session-pool.ts";
import type { UserWallet } from "./wallet/user-wallet.ts";

/** What a User's node needs. Amounts are wei of MOR, times milliseconds. */
export interface LakeClientOptions {
  readonly deployment: Deployment;
  readonly dataDir: string;
  readonly routerUrl: string;
  /** Where OpenAI clients are served; absent: only this process's own code, by `fetch`. */
  readonly listen?: { readonly host: string; readonly port: number };
  readonly idleMs: number;
  readonly maxWeiPerSecond: bigint;
  readonly allowed: DelegationLimits;
  /** Asked only when a new Delegation is needed; the wallet is closed afterwards. */
  readonly wallet: () => Promise<UserWallet>;
  readonly clock: Clock;
  readonly random: Random;
  readonly signatures: Signatures;
  readonly directory: NodeDirectory;
  readonly logger: Logger;
  /** Holds the limits on what may be spent; absent: the Delegation's alone hold. */
  readonly guard?: SpendGuard;
  /** Handles by short name. */
  readonly aliases?: Readonly<Record<string, string>>;
  /** Bearer keys of the endpoint; none: everybody on this machine may ask. */
  readonly keys?: readonly EndpointKey[];
  /** Largest share of all cost that idle Sessions may reach, 0 to 1. */
  readonly idleShareMax?: number;
}

/** A User's node: Delegation, Session pool and the local OpenAI endpoint. */
export class LakeClient implements Startable {
  readonly #options: LakeClientOptions;
  readonly #router: RouterClient;
  readonly #domainSeparator: Uint8Array;
  readonly #connections: ProviderConnections;
  readonly #offers: OfferBoard;
  #held: HeldDelegation | undefined;
  #money: { at: number; allowance: bigint | null; deposit: bigint | null };
  #server: HttpServer | undefined;
  #fetch: ((request: Request) => Promise<Response>) | undefined;
  #pool: SessionPool | undefined;

  constructor(options: LakeClientOptions) {
    this.#options = options;
    this.#router = createRouterClient(options.routerUrl);
    this.#domainSeparator = domainSeparatorOf(domainOf(options.deployment));
    this.#connections = createProviderConnections(options.clock);
    this.#offers = createOfferBoard(() => this.#router.offers(), options.clock);
    this.#money = { at: 0, allowance: null, deposit: null };
  }

  /** The base URL for OpenAI clients; throws `internal` before `start` and without `listen`. */
  get endpoint(): string {
    const { listen } = this.#options;
    if (this.#server === undefined || listen === undefined) {
      throw new LakeError("internal", "The client is not listening.");
    }
    return `http://${listen.host}:${this.#server.port}/v1`;
  }

  /** The endpoint without a socket, for code in this process; throws `internal` before `start`. */
  fetch(request: Request): Promise<Response> {
    if (this.#fetch === undefined) throw new LakeError("internal", "The client is not started.");
    return this.#fetch(request);
  }

  async start(): Promise<void> {
    const { aliases = {}, clock, guard, idleMs, keys = [], listen, logger, random } = this.#options;
    const status = await this.#router.status();
    this.#checkNetwork(status.chainId, status.computeContract);
    await this.#delegate();
    const asking = this.#asking(status.router);
    this.#pool = createSessionPool({
      clock,
      idleMs,
      idleShareMax: this.#options.idleShareMax ?? idleShareDefault,
      open: (wish, signal) => this.#open(wish, asking, signal),
      onCloseFailure: (error) => logger.warn({ err: error }, "a Session was not closed in order"),
    });
    this.#fetch = createOpenaiEndpoint({
      pool: this.#pool,
      offers: this.#offers,
      clock,
      random,
      maxWeiPerSecond: this.#options.maxWeiPerSecond,
      aliases,
      keys,
      guard,
      moneyLeft: () => this.#moneyLeft(),
      onMoved: ({ from, midAnswer, reason, to }) =>
        logger.warn({ code: reason.code, from, to, midAnswer }, "AnswerMoved"),
      onFailure: (error) => logger.error({ err: error }, "a request failed"),
    });
    // Known Offers make the first Session open faster; without them it opens all the same.
    this.#offers.read().catch((error: unknown) => logger.warn({ err: error }, "no Offers read"));
    if (listen === undefined) return;
    this.#server = await serveHttp({ fetch: this.#fetch, ...listen });
    logger.info({ endpoint: this.endpoint }, "the OpenAI endpoint is up");
  }

  async stop(): Promise<void> {
    await this.#server?.close();
    await this.#pool?.stop();
    await this.#connections.close();
    await this.#router.stop();
  }

  #asking(routerAccount: Address): Asking {
    const { clock, directory, guard, logger, random, signatures } = this.#options;
    return {
      clock,
      random,
      signatures,
      directory,
      domainSeparator: this.#domainSeparator,
      router: this.#router,
      connections: this.#connections,
      routerAccount,
      delegation: () => this.#held as HeldDelegation,
      ...(guard === undefined ? {} : { openSpend: (granted) => guard.openSession(granted) }),
      onTrouble: (error: unknown) => logger.warn({ err: error }, "a last Tick was not taken"),
    };
  }

  async #open(wish: Wish, asking: Asking, signal: AbortSignal | undefined): Promise<Session> {
    this.#prepare(wish, asking);
    const { clock, logger } = this.#options;
    const startedAt = clock.now();
    try {
      const session = await this.#openKnown(wish, asking, signal);
      const { provider, sessionId, weiPerSecond } = session.figures();
      const price = weiPerSecond.toString();
      const ms = clock.now() - startedAt;
      logger.info({ sessionId, provider, weiPerSecond: price, ms }, "Session opened");
      return session;
    } catch (error) {
      const code = error instanceof LakeError ? error.code : "internal";
      logger.warn({ code }, "no Session was opened");
      throw await this.#explain(error);
    }
  }

  async #openKnown(wish: Wish, asking: Asking, signal?: AbortSignal): Promise<Session> {
    const { clock } = this.#options;
    if (this.#heldUntil() <= clock.now()) await this.#delegate();
    try {
      return await openByName(wish, asking, signal);
    } catch (error) {
      // The Router forgets nothing, but a fresh one may not know this Delegation yet.
      if (!(error instanceof LakeError) || error.code !== "delegation-unknown") throw error;
      await this.#delegate();
      return openByName(wish, asking, signal);
    }
  }

  /**
   * While the Router decides, hands are shaken with the Provider that will most likely be it, and
   * the keys that its answer is checked with are read: opening takes three round trips, not five.
   */
  #prepare(wish: Wish, asking: Asking): void {
    const { directory } = this.#options;
    const likely = this.#offers.likely(wish)?.offer.message;
    const accounts = [asking.routerAccount, ...(likely === undefined ? [] : [likely.provider])];
    if (likely !== undefined) this.#connections.warm(likely);
    for (const account of accounts) {
      // The check itself asks again and says what is wrong.
      directory.signingKeyOf(account).catch(() => undefined);
    }
    this.#offers.read().catch(() => undefined);
  }

  /** A refusal for the time on a message is this machine's clock more often than anything else. */
  async #explain(error: unknown): Promise<unknown> {
    const isTime = error instanceof LakeError && timeCodes.has(error.code);
    if (!isTime) return error;
    const status = await this.#router.status().catch(() => undefined);
    const offMs = this.#options.clock.now() - (status?.now ?? this.#options.clock.now());
    if (Math.abs(offMs) <= limits.clockSkewMsMax) return error;
    const seconds = Math.round(Math.abs(offMs) / 1000);
    const side = offMs > 0 ? "ahead of" : "behind";
    return new LakeError(
      "clock-wrong",
      `This machine's clock is ${seconds} s ${side} the Router's.`,
      {
        advice: "Set the clock; every signature here carries the time.",
        cause: error,
      },
    );
  }

  #moneyLeft(): MoneyLeft {
    const { clock, guard } = this.#options;
    if (this.#money.at + clientLimits.allowanceMsMax < clock.now()) {
      this.#money = { ...this.#money, at: clock.now() };
      // What is shown is a little old at worst; an answer does not wait for it.
      this.#delegate().catch(() => undefined);
    }
    const { allowance, deposit } = this.#money;
    return { allowance, deposit, today: guard?.today() ?? null };
  }

  #heldUntil(): number {
    return (this.#held?.signed.message.expiresAt ?? 0) - renewBeforeMs;
  }

  /** Makes the Router know our Delegation, renewed where it ends soon; hears what is left. */
  async #delegate(): Promise<void> {
    const { clock, dataDir } = this.#options;
    const kept = loadDelegation(dataDir, this.#domainSeparator);
    const held =
      kept !== undefined && kept.signed.message.expiresAt > clock.now() + renewBeforeMs
        ? kept
        : await this.#newDelegation();
    const { pseudonymKey, signed } = held;
    const left = await this.#router.delegate({ delegation: signed, pseudonymKey });
    this.#held = held;
    const [allowance, deposit] = [BigInt(left.allowance), BigInt(left.deposit)];
    this.#money = { at: clock.now(), allowance, deposit };
  }

  async #newDelegation(): Promise<HeldDelegation> {
    const { allowed, clock, dataDir, deployment, random } = this.#options;
    const wallet = await this.#options.wallet();
    try {
      const domain = domainOf(deployment);
      const made = await makeDelegation({ wallet, allowed, domain, clock, random });
      const domainSeparator = this.#domainSeparator;
      saveDelegation(dataDir, made.held, { delegateKey: made.delegateKey, domainSeparator });
      return made.held;
    } finally {
      await wallet.close();
    }
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

/** Of five paid seconds four may be idle: who reads an answer for a while asks again at no wait. */
const idleShareDefault = 0.8;

/** With these a Router refuses a message for the time that it carries. */
const timeCodes: ReadonlySet<string> = new Set(["message-expired", "deadline-too-far"]);
