/*
 * A Provider as one thing to start and stop: engines, book, journal, HTTP, Heartbeats, Offers.
 */
import { join } from "node:path";
import {
  type Address,
  chargedSeconds,
  type Clock,
  type CloseReason,
  closeReasons,
  type Deployment,
  domainOf,
  domainSeparatorOf,
  type Hex,
  LakeError,
  type NodeDirectory,
  parties,
  payeeKinds,
  type Random,
  type Signer,
  type Startable,
} from "@lake-travis/protocol";
import type { Engine } from "@lake-travis/protocol/inference";
import {
  createHttpClient,
  type HttpClient,
  type HttpServer,
  loadOrCreateKey,
  type Logger,
  nativeSignatures,
  serveHttp,
  signerFromKey,
} from "@lake-travis/platform";
import { CertificateKeeper } from "./certificate-keeper.ts";
import { createSessionBook, type ServedSession, type SessionBook } from "./core/session-book.ts";
import { countAt } from "./core/session-count.ts";
import { HeartbeatLoop } from "./heartbeat.ts";
import { createProviderApp } from "./http/provider-app.ts";
import { type AppendFile, openAppendFile } from "./journal/append-file.ts";
import { entriesOf, restoreBook } from "./journal/book-journal.ts";
import { limits } from "./limits.ts";
import { loadModel, type MeasuredModel, ModelShelf, type ModelToServe } from "./model-shelf.ts";
import { type NodeSnapshot, snapshotOf } from "./node-snapshot.ts";
import { OfferPublisher } from "./offer-publisher.ts";
import { RouterLink } from "./router-link.ts";
import { SessionKeeper } from "./session-keeper.ts";

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
  /** Without a URL: the host that Offers name where `host` is a wildcard. */
  readonly publicHost?: string;
  readonly models: readonly ModelToServe[];
  readonly directory: NodeDirectory;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Hears of each Session that has ended, and at a start of the newest ones again. */
  readonly onSessionEnded?: (ended: EndedSession) => void;
}

/** An ended Session as its Provider counted it. */
export interface EndedSession {
  readonly sessionId: Hex;
  /** `builder/name:tag`, or the manifest digest where the Offer is forgotten. */
  readonly model: string;
  /** Unix milliseconds. */
  readonly endedAt: number;
  /** By our clock and both signatures; the Router's Record decides. */
  readonly chargedSeconds: number;
  /** The Provider's own part of the whole price. */
  readonly weiPerSecond: bigint;
  readonly reason: CloseReason;
  readonly requestsAnswered: number;
  readonly requestsFailed: number;
  readonly tokens: number;
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
  readonly shelf: ModelShelf;
  readonly server: HttpServer;
  readonly certificates: CertificateKeeper;
  readonly http: HttpClient;
  readonly stopTimers: () => Promise<void>;
  readonly facts: ProviderFacts;
  readonly startedAt: number;
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
    const { facts, certificates } = this.#get();
    return { ...facts, tlsFingerprint: certificates.fingerprint };
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
    for (const wanted of options.models) measured.push(await loadModel(wanted, options));
    this.#running = await run(options, signer, measured);
  }

  /** Loads, measures and offers one more model; throws `engine-failed` and leaves the rest. */
  async addModel(wanted: ModelToServe): Promise<void> {
    const { shelf } = this.#get();
    const measured = await loadModel(wanted, this.#options);
    shelf.put(measured);
    await shelf.offer(wanted.handle);
  }

  /**
   * Takes a model down. False where a Session of it is open: nobody gets a new one meanwhile, and
   * the next call tries again.
   */
  async removeModel(handle: string): Promise<boolean> {
    return await this.#get().shelf.takeDown(handle);
  }

  /** Offers a model again that was about to be taken down; one in trouble waits till it is well. */
  async offerAgain(handle: string): Promise<void> {
    const { shelf } = this.#get();
    const shelved = shelf.models.find(({ measured }) => measured.wanted.handle === handle);
    if (shelved === undefined || shelf.isOffered(handle)) return;
    if (shelved.served.engine.trouble === undefined) await shelf.offer(handle);
  }

  /** Asks another price for a model from now on; open Sessions keep theirs. */
  async setPrice(handle: string, weiPerSecond: bigint): Promise<void> {
    await this.#get().shelf.reprice(handle, weiPerSecond);
  }

  /**
   * Shows another certificate from now on and offers it; open Sessions notice nothing. Throws
   * `provider-refused` where it was done too often of late.
   */
  async renewCertificate(): Promise<void> {
    await this.#get().certificates.renew();
  }

  /** How everything stands now. */
  snapshot(): NodeSnapshot {
    const { account, routerUrl, clock } = this.#options;
    const { book, heartbeat, publisher, shelf, startedAt } = this.#get();
    const { endpoint, signingKey, tlsFingerprint } = this.facts;
    return snapshotOf(
      { account, endpoint, signingKey, tlsFingerprint, routerUrl, startedAt, now: clock.now() },
      { book, heartbeat, publisher, shelf },
    );
  }

  /**
   * Stops in order: no new Sessions, Offers withdrawn, running answers finish (up to
   * {@link limits.drainMs}), Sessions closed, a last Heartbeat, everything shut.
   */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    const { book, keeper, publisher, heartbeat, server, journal, shelf, http } = running;
    book.refusal = new LakeError("shutting-down", "This Provider is shutting down.");
    await publisher.withdraw();
    await shelf.drained();
    await keeper.endAll("shutting-down");
    await running.stopTimers();
    await heartbeat.stop();
    await server.close(0);
    await shelf.stop();
    await journal.close();
    await http.close();
  }

  #get(): Running {
    if (this.#running !== undefined) return this.#running;
    throw new LakeError("internal", "The Provider is not running.");
  }
}

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
  const onEnded = (session: ServedSession): void => {
    const ended = endedSessionOf(book, session);
    if (ended !== undefined) options.onSessionEnded?.(ended);
  };
  const engineOf = (model: string): Engine | undefined => shelf.served.get(model)?.engine;
  const parts = { book, journal, restored, clock, random, logger, onNews, onEnded, engineOf };
  const keeper = new SessionKeeper(parts);
  // A crash may have come between a Close and whoever keeps account of it.
  for (const session of book.sessions.values()) onEnded(session);
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
  const shelf: ModelShelf = new ModelShelf({ account, book, keeper, publisher, clock, logger });
  for (const model of measured) shelf.put(model);
  const models = shelf.served;
  const isRouterSignature = router.hasSigned.bind(router);
  const app = createProviderApp({ keeper, clock, logger, isRouterSignature, models });
  const certificates = await CertificateKeeper.open({ dataDir, clock, logger, book });
  const { host } = options;
  const fetch = (request: Request): Response | Promise<Response> => app.fetch(request);
  const server = await serveHttp({ fetch, host, port: options.port, tls: certificates.tls });
  const publicHost = options.publicHost ?? host;
  const endpoint = options.publicUrl ?? `https://${urlHost(publicHost)}:${server.port}`;
  await certificates.attach({ server, shelf, endpoint });
  const offers = await makeOffers(shelf, measured);
  heartbeat.start();
  const stopTimers = startSweeping({ keeper, clock, logger, shelf, certificates });
  const facts = {
    endpoint,
    port: server.port,
    tlsFingerprint: certificates.fingerprint,
    signingKey: signer.address,
    offers,
  };
  const startedAt = clock.now();
  const hands = { journal, book, keeper, heartbeat, publisher, shelf, server, certificates, http };
  return { ...hands, stopTimers, facts, startedAt };
}

/** What an ended Session was worth; undefined while it is open. */
function endedSessionOf(book: SessionBook, session: ServedSession): EndedSession | undefined {
  const { close, closedAt, lastTick, ticket, startedAt } = session;
  if (close === undefined) return undefined;
  const { offerHash, manifestDigest, minSeconds, payees, provider } = ticket.message;
  const own = payees.filter(({ kind, account }) => {
    return kind === payeeKinds.provider && account === provider;
  });
  const { requestsAnswered, requestsFailed, tokens } = countAt(session.tally, closedAt);
  const reason = closeReasons[close.message.reason] ?? "finished";
  return {
    sessionId: session.sessionId,
    model: book.offers.get(offerHash)?.signed.message.model ?? manifestDigest,
    endedAt: closedAt,
    chargedSeconds: chargedSeconds({
      tickedSeconds: lastTick.tick.seconds,
      measuredMs: closedAt - startedAt,
      minSeconds,
      requestsAnswered: lastTick.tick.requestsAnswered,
      endedBy: parties[close.message.party] ?? "router",
      endReason: reason,
    }),
    weiPerSecond: own.reduce((sum, payee) => sum + payee.weiPerSecond, 0n),
    reason,
    requestsAnswered,
    requestsFailed,
    tokens,
  };
}

async function makeOffers(
  shelf: ModelShelf,
  measured: readonly MeasuredModel[],
): Promise<ProviderFacts["offers"]> {
  const offers: ProviderFacts["offers"][number][] = [];
  for (const { wanted, speed, loadMs, measureMs } of measured) {
    offers.push({
      model: wanted.handle,
      offerHash: await shelf.offer(wanted.handle),
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

function startSweeping(parts: {
  readonly keeper: SessionKeeper;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly shelf: ModelShelf;
  readonly certificates: CertificateKeeper;
}): () => Promise<void> {
  const { keeper, clock, logger, shelf, certificates } = parts;
  const stopping = new AbortController();
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await keeper.sweep();
        shelf.correctSpeeds();
        certificates.renewWhenOld();
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
