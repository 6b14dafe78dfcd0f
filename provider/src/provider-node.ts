/*
 * A Provider as one thing to start and stop: engines, book, journal, HTTP, Heartbeats, Offers.
 */
import { join } from "node:path";
import {
  type Address,
  type Clock,
  type Deployment,
  domainOf,
  domainSeparatorOf,
  type Hex,
  LakeError,
  type NodeDirectory,
  type Random,
  type Signer,
  type Startable,
} from "@lake-travis/protocol";
import type { Engine } from "@lake-travis/protocol/inference";
import {
  createHttpClient,
  type HttpClient,
  type HttpServer,
  loadOrCreateCertificate,
  loadOrCreateKey,
  type Logger,
  nativeSignatures,
  serveHttp,
  signerFromKey,
} from "@lake-travis/platform";
import { createSessionBook, type SessionBook } from "./core/session-book.ts";
import { createSlotQueue } from "./core/slot-queue.ts";
import { createSpeedWindow } from "./core/speed-window.ts";
import { type MeasuredSpeed, measureSpeed } from "./engine/measure-speed.ts";
import { HeartbeatLoop } from "./heartbeat.ts";
import { createProviderApp } from "./http/provider-app.ts";
import { type AppendFile, openAppendFile } from "./journal/append-file.ts";
import { entriesOf, restoreBook } from "./journal/book-journal.ts";
import { limits } from "./limits.ts";
import { OfferPublisher, type OfferTerms } from "./offer-publisher.ts";
import { RouterLink } from "./router-link.ts";
import type { ServedModel } from "./served-model.ts";
import { SessionKeeper } from "./session-keeper.ts";

/** One model to serve and the owner's terms for it. */
export interface ModelToServe {
  /** `builder/name:tag`. */
  readonly handle: string;
  readonly manifestDigest: Hex;
  readonly weiPerSecond: bigint;
  readonly minSeconds: number;
  readonly engine: Engine;
}

/** What a {@link ProviderNode} is made of. */
export interface ProviderNodeOptions {
  readonly deployment: Deployment;
  /** A folder of this process alone; `signing.key` in it is the registered signing key. */
  readonly dataDir: string;
  /** The node account: the cold one that staked and is paid. */
  readonly account: Address;
  readonly routerUrl: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Where Users reach this machine, `https://host:port`; by default the listening address. */
  readonly publicUrl?: string;
  readonly models: readonly ModelToServe[];
  readonly directory: NodeDirectory;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What a Provider that runs tells whoever started it. */
export interface ProviderFacts {
  readonly endpoint: string;
  readonly port: number;
  readonly tlsFingerprint: Hex;
  readonly signingKey: Address;
  readonly offers: readonly {
    readonly model: string;
    readonly offerHash: Hex;
    readonly weiPerSecond: string;
    readonly milliTps: number;
    readonly milliTpsAlone: number;
    readonly ttftMs: number;
    readonly loadMs: number;
    readonly measureMs: number;
  }[];
}

interface Running {
  readonly journal: AppendFile;
  readonly book: SessionBook;
  readonly keeper: SessionKeeper;
  readonly heartbeat: HeartbeatLoop;
  readonly publisher: OfferPublisher;
  readonly models: ReadonlyMap<string, ServedModel>;
  readonly server: HttpServer;
  readonly http: HttpClient;
  readonly stopTimers: () => Promise<void>;
  readonly facts: ProviderFacts;
}

interface MeasuredModel {
  readonly wanted: ModelToServe;
  readonly speed: MeasuredSpeed;
  readonly loadMs: number;
  readonly measureMs: number;
}

/** Serves models to Sessions; see the file's head. */
export class ProviderNode implements Startable {
  readonly #options: ProviderNodeOptions;
  #running: Running | undefined;

  constructor(options: ProviderNodeOptions) {
    this.#options = options;
  }

  /** What runs; throws `internal` before {@link start}. */
  get facts(): ProviderFacts {
    if (this.#running === undefined)
      throw new LakeError("internal", "The Provider is not running.");
    return this.#running.facts;
  }

  /**
   * Loads and measures every model, listens, and makes its Offers. Throws `engine-failed`,
   * `port-taken`, `folder-unusable`, `signer-wrong` where the signing key is not registered.
   */
  async start(): Promise<void> {
    if (this.#running !== undefined) return;
    const options = this.#options;
    const signer = signerFromKey(loadOrCreateKey(join(options.dataDir, "signing.key")));
    await requireRegistered(options, signer);
    // One after the other: models measured at the same time would slow each other down.
    const measured: MeasuredModel[] = [];
    for (const wanted of options.models) measured.push(await startModel(wanted, options));
    this.#running = await run(options, signer, measured);
  }

  /**
   * Stops in order: no new Sessions, Offers withdrawn, running answers finish (up to
   * {@link limits.drainMs}), Sessions closed, a last Heartbeat, everything shut.
   */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    const { book, keeper, publisher, heartbeat, server, journal, models, http } = running;
    book.refusal = new LakeError("shutting-down", "This Provider is shutting down.");
    await publisher.withdraw();
    await this.#drained(models);
    await keeper.endAll("shutting-down");
    await running.stopTimers();
    await heartbeat.stop();
    await server.close(0);
    for (const { engine } of models.values()) await engine.stop();
    await journal.close();
    await http.close();
  }

  async #drained(models: ReadonlyMap<string, ServedModel>): Promise<void> {
    const { clock } = this.#options;
    const until = clock.now() + limits.drainMs;
    const isBusy = (): boolean => [...models.values()].some(({ queue }) => queue.running > 0);
    while (isBusy() && clock.now() < until) await clock.sleep(drainPollMs);
  }
}

const drainPollMs = 20;

async function requireRegistered(options: ProviderNodeOptions, signer: Signer): Promise<void> {
  const registered = await options.directory.signingKeyOf(options.account);
  if (registered === signer.address) return;
  const what =
    registered === undefined
      ? `The account ${options.account} is not registered as a Provider.`
      : `The account ${options.account} is registered with another signing key.`;
  throw new LakeError("signer-wrong", what, {
    advice: `Register it with the signing key ${signer.address}, which lies in the data folder.`,
  });
}

async function startModel(
  wanted: ModelToServe,
  options: ProviderNodeOptions,
): Promise<MeasuredModel> {
  const { clock, logger } = options;
  const begun = clock.now();
  await wanted.engine.start();
  const loaded = clock.now();
  const speed = await measureSpeed(wanted.engine, clock);
  const loadMs = loaded - begun;
  const measureMs = clock.now() - loaded;
  logger.info({ model: wanted.handle, ...speed, loadMs, measureMs }, "model measured");
  return { wanted, speed, loadMs, measureMs };
}

async function run(
  options: ProviderNodeOptions,
  signer: Signer,
  measured: readonly MeasuredModel[],
): Promise<Running> {
  const { deployment, dataDir, account, clock, random, logger, routerUrl, directory } = options;
  const domainSeparator = domainSeparatorOf(domainOf(deployment));
  const http = createHttpClient({ unreachable: "router-unreachable" });
  const signatures = nativeSignatures;
  const router = new RouterLink({ routerUrl, http, directory, clock, signatures, domainSeparator });
  const book = createSessionBook({
    provider: account,
    signer,
    domainSeparator,
    schedule: deployment.schedule,
    signatures,
    routerKeyOf: (address) => router.keyOf(address),
  });
  const { file: journal, entries } = await openAppendFile(join(dataDir, "sessions.jsonl"));
  const restored = restoreBook(book, entries);
  await journal.rewrite(entriesOf(book, restored.unreported));
  const onNews = (): void => heartbeat.beatSoon();
  const keeper = new SessionKeeper({ book, journal, restored, clock, random, logger, onNews });
  const { sequence } = restored;
  const publisher = new OfferPublisher({ keeper, http, routerUrl, clock, logger, sequence });
  const heartbeat: HeartbeatLoop = new HeartbeatLoop({
    provider: account,
    signer,
    domainSeparator,
    routerUrl,
    http,
    clock,
    logger,
    keeper,
    lookAtRouter: () => router.look(),
    onOffersHeld: (held) => publisher.reconcile(held),
  });
  const models = servedModels(measured, keeper, clock);
  const isRouterSignature = router.hasSigned.bind(router);
  const app = createProviderApp({ keeper, clock, logger, isRouterSignature, models });
  const tls = await loadOrCreateCertificate(dataDir, clock);
  const { host } = options;
  const fetch = (request: Request): Response | Promise<Response> => app.fetch(request);
  const server = await serveHttp({ fetch, host, port: options.port, tls });
  const endpoint = options.publicUrl ?? `https://${urlHost(host)}:${server.port}`;
  const offers = await makeOffers({ options, publisher, measured, endpoint, tls });
  heartbeat.start();
  const correctSpeeds = speedCorrector({ measured, models, publisher, book, clock });
  const stopTimers = startSweeping({ keeper, clock, logger, correctSpeeds });
  for (const { wanted } of measured) {
    const { handle, engine } = wanted;
    const terms = publisher.termsOf(handle);
    watchEngine({ handle, engine, terms, book, keeper, publisher, logger });
  }
  const facts = {
    endpoint,
    port: server.port,
    tlsFingerprint: tls.fingerprint,
    signingKey: signer.address,
    offers,
  };
  return { journal, book, keeper, heartbeat, publisher, models, server, http, stopTimers, facts };
}

function servedModels(
  measured: readonly MeasuredModel[],
  keeper: SessionKeeper,
  clock: Clock,
): ReadonlyMap<string, ServedModel> {
  return new Map(
    measured.map(({ wanted: { handle, engine } }) => {
      const { slots } = engine.description;
      const queue = createSlotQueue({ slots, lines: () => keeper.lineIdsOf(handle) });
      const createdAtSeconds = Math.floor(clock.now() / 1_000);
      const speed = createSpeedWindow();
      return [handle, { handle, engine, queue, speed, createdAtSeconds }];
    }),
  );
}

async function makeOffers(parts: {
  readonly options: ProviderNodeOptions;
  readonly publisher: OfferPublisher;
  readonly measured: readonly MeasuredModel[];
  readonly endpoint: string;
  readonly tls: { readonly fingerprint: Hex };
}): Promise<ProviderFacts["offers"]> {
  const offers: ProviderFacts["offers"][number][] = [];
  for (const { wanted, speed, loadMs, measureMs } of parts.measured) {
    const { engineClass, hardwareClass, slots } = wanted.engine.description;
    const own = await parts.publisher.publish({
      provider: parts.options.account,
      model: wanted.handle,
      manifestDigest: wanted.manifestDigest,
      weiPerSecond: wanted.weiPerSecond,
      minSeconds: wanted.minSeconds,
      slots,
      milliTps: speed.milliTpsFull,
      engineClass,
      hardwareClass,
      endpoint: parts.endpoint,
      tlsFingerprint: parts.tls.fingerprint,
    });
    offers.push({
      model: wanted.handle,
      offerHash: own.hash,
      weiPerSecond: wanted.weiPerSecond.toString(),
      milliTps: speed.milliTpsFull,
      milliTpsAlone: speed.milliTpsAlone,
      ttftMs: speed.ttftMs,
      loadMs,
      measureMs,
    });
  }
  return offers;
}

/** Withdraws a model the moment its engine is in trouble, and offers it again when it is well. */
function watchEngine(parts: {
  readonly handle: string;
  readonly engine: Engine;
  readonly terms: OfferTerms;
  readonly book: SessionBook;
  readonly keeper: SessionKeeper;
  readonly publisher: OfferPublisher;
  readonly logger: Logger;
}): void {
  const { handle, engine, terms, book, keeper, publisher, logger } = parts;
  const follow = async (trouble: string | undefined): Promise<void> => {
    if (book.refusal !== undefined) return;
    if (trouble === undefined) {
      logger.info({ model: handle }, "the engine is well again");
      book.refusals.delete(handle);
      await publisher.publish(terms);
      return;
    }
    logger.error({ model: handle, trouble }, "the engine is in trouble");
    book.refusals.set(handle, new LakeError("engine-failed", trouble));
    await Promise.all([keeper.endAll("engine-failed", handle), publisher.withdraw(handle)]);
  };
  engine.onTrouble((trouble) => {
    follow(trouble).catch((error: unknown) => logger.error({ err: error }, "trouble not handled"));
  });
}

/** Replaces an Offer whose speed its answers no longer reach, or reach again. */
function speedCorrector(parts: {
  readonly measured: readonly MeasuredModel[];
  readonly models: ReadonlyMap<string, ServedModel>;
  readonly publisher: OfferPublisher;
  readonly book: SessionBook;
  readonly clock: Clock;
}): () => void {
  const { measured, models, publisher, book, clock } = parts;
  let checkedAt = clock.now();
  return () => {
    if (clock.now() - checkedAt < limits.speedCheckMs || book.refusal !== undefined) return;
    checkedAt = clock.now();
    for (const { wanted, speed } of measured) {
      const terms = publisher.termsOf(wanted.handle);
      if (terms.slots === 0) continue;
      const known = { published: terms.milliTps, measured: speed.milliTpsFull };
      const milliTps = models.get(wanted.handle)?.speed.judge(known) ?? terms.milliTps;
      if (milliTps !== terms.milliTps) publisher.replaceSoon({ ...terms, milliTps });
    }
  };
}

function startSweeping(parts: {
  readonly keeper: SessionKeeper;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly correctSpeeds: () => void;
}): () => Promise<void> {
  const { keeper, clock, logger } = parts;
  const stopping = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await keeper.sweep();
        parts.correctSpeeds();
        await clock.sleep(limits.sweepMs, stopping.signal);
      } catch (error) {
        // An aborted sleep is the end; a full disk is told and tried again at the next sweep.
        if (stopping.signal.aborted) return;
        logger.error({ err: error }, "sweep failed");
        await clock.sleep(limits.sweepMs);
      }
    }
  };
  const done = loop();
  return async () => {
    stopping.abort();
    await done;
  };
}

function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
