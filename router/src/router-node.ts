import { availableParallelism } from "node:os";
import { join } from "node:path";
import {
  type Address,
  type Clock,
  type Deployment,
  domainOf,
  type Hex,
  type Random,
  type RouterChain,
  type Startable,
  toHex,
} from "@lake-travis/protocol";
import {
  type HttpServer,
  type Logger,
  nativeSignatures,
  serveHttp,
  signerFromKey,
  SignatureThreads,
} from "@lake-travis/platform";
import type { IpfsNode } from "@lake-travis/registry";
import { ChainFollower } from "./chain-follower.ts";
import type { Effect } from "./core/events.ts";
import { DurableMachine } from "./durable-machine.ts";
import { Edge } from "./edge.ts";
import { Heartbeats } from "./heartbeats.ts";
import { Gate } from "./http/gate.ts";
import { RfcDoor } from "./http/rfc-door.ts";
import { RfcSockets } from "./http/rfc-socket.ts";
import { createRouterApp, type RouterApp } from "./http/router-app.ts";
import { routerLimits } from "./limits.ts";
import { Metrics } from "./metrics.ts";
import { ProjectionThread } from "./projection/projection-thread.ts";
import { Projector } from "./projection/projector.ts";
import { ProviderCaller } from "./provider-caller.ts";
import { openRecordArchive } from "./record-archive.ts";
import { RfcDesk } from "./rfc-desk.ts";
import { Settler } from "./settler.ts";
import { withShardPaths } from "./shards/shard-desk.ts";
import { type ShardOptions, ShardPlace } from "./shards/shard-place.ts";
import { ShardReporter } from "./shards/shard-reporter.ts";

/** How a Router is set up. */
export interface RouterOptions {
  readonly deployment: Deployment;
  /** Folder of this Router alone, claimed by the caller. */
  readonly dataDir: string;
  /** The account that staked for this Router and is credited its fee. */
  readonly account: Address;
  /** The key registered for it, which signs Tickets and settlements and holds no money. */
  readonly signingKey: Hex;
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly chain: RouterChain;
  /** Serves the Records' files; started and stopped by the caller. */
  readonly ipfs: IpfsNode;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Requests a second from one address; the limit's default unless told otherwise. */
  readonly requestsPerSecondMax?: number;
  /** The projection's database: `sqlite:<path>` or `postgres://…`. */
  readonly databaseUrl: string;
  /** Makes the projection's tables anew. */
  readonly rebuildsProjection?: boolean;
  /** Threads for signatures; as many as there are cores beside this one's unless told otherwise. */
  readonly signatureThreads?: number;
  /** Where several processes share the work of this account. */
  readonly shard?: ShardOptions;
}

/** What a running Router tells about itself. */
export interface RouterFacts {
  readonly url: string;
  readonly router: Address;
  readonly signingKey: Address;
}

interface Parts {
  readonly machine: DurableMachine;
  readonly desk: RfcDesk;
  readonly caller: ProviderCaller;
  readonly heartbeats: Heartbeats;
  readonly settler: Settler | ShardReporter;
  readonly server: HttpServer;
  readonly sockets: RfcSockets;
  readonly signatures: SignatureThreads;
  readonly projection: ProjectionThread;
  readonly projector: Projector;
}

/** A Router: matches Users with Providers, meters, records, settles. */
export class RouterNode implements Startable {
  readonly #options: RouterOptions;
  readonly #place: ShardPlace | undefined;
  readonly #stopping = new AbortController();
  #parts: Parts | undefined;
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#place = options.shard === undefined ? undefined : new ShardPlace(options.shard);
  }

  /** Where it listens and who it is; once started. */
  get facts(): RouterFacts {
    const { account, host, signingKey } = this.#options;
    const port = this.#parts?.server.port ?? 0;
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
    return { url, router: account, signingKey: signerFromKey(signingKey).address };
  }

  /** Rejects when the Router cannot go on, such as on a full disk. */
  get failed(): Promise<never> {
    return this.#parts?.machine.failed ?? new Promise<never>(() => undefined);
  }

  /**
   * Recovers, listens, and follows the chain. Throws `journal-corrupt`, `folder-unusable`,
   * `disk-full`, `chain-wrong`, `port-taken`.
   */
  async start(): Promise<void> {
    const { deployment, dataDir, account, logger, clock, chain, ipfs } = this.#options;
    const signer = signerFromKey(this.#options.signingKey);
    const machine = await DurableMachine.open({
      folder: join(dataDir, "journal"),
      router: account,
      deployment,
      logger,
      now: clock.now(),
      ...(this.#options.shard === undefined ? {} : { shard: this.#options.shard }),
    });
    const place = this.#place;
    const signatures = new SignatureThreads({
      privateKey: this.#options.signingKey,
      threads: this.#options.signatureThreads ?? defaultSignatureThreads(),
    });
    const edge = new Edge(domainOf(deployment), nativeSignatures, signer, signatures);
    const caller = new ProviderCaller(machine, edge, clock, logger);
    const desk = new RfcDesk(machine, edge, clock, caller, place);
    const heartbeats = new Heartbeats(machine, edge, clock);
    const archive = await openRecordArchive(join(dataDir, "records"), ipfs);
    const settler =
      place === undefined || place.options.index === 0
        ? new Settler({ machine, edge, chain, archive, router: account, logger })
        : new ShardReporter({ machine, archive, place, logger });
    const metrics = new Metrics();
    machine.listen((effect) => {
      metrics.countEffect(effect);
      logEffect(logger, effect);
    });
    const { requestsPerSecondMax = routerLimits.requestsPerSecondMax } = this.#options;
    const gate = new Gate({ clock, logger, metrics, requestsPerSecondMax });
    const door = new RfcDoor(gate, desk, metrics);
    const { databaseUrl, rebuildsProjection = false } = this.#options;
    const projection = new ProjectionThread({ url: databaseUrl, shard: 0 });
    const projector = new Projector({ projection, archive, shard: 0, clock, logger });
    const bare = createRouterApp({
      ...{ machine, edge, door, heartbeats, archive, metrics, clock },
      ...(place === undefined ? {} : { place }),
      publicRecord: projection,
      isProjectionUp: () => projector.isUp,
    });
    const app = place?.options.index === 0 ? withShardPaths(bare, machine, place) : bare;
    const sockets = new RfcSockets(door);
    const server = await this.#listen(app, door, sockets).catch(async (error: unknown) => {
      sockets.close();
      await projection.close();
      await signatures.close();
      await machine.close();
      throw error;
    });
    // Shard 0 publishes for all; the others only answer questions from the same database.
    if (place === undefined || place.options.index === 0) projector.start(rebuildsProjection);
    this.#parts = {
      ...{ machine, desk, caller, heartbeats, settler, server, sockets, signatures },
      ...{ projection, projector },
    };
    this.#loops = this.#runLoops(this.#parts);
  }

  /** Stops listening, finishes what is under way, and closes the journal. */
  async stop(): Promise<void> {
    const parts = this.#parts;
    if (parts === undefined || this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    parts.desk.stop();
    parts.sockets.close();
    await parts.server.close();
    await this.#loops;
    await parts.caller.close();
    if (parts.settler instanceof ShardReporter) await parts.settler.stop();
    await parts.projector.stop();
    await parts.projection.close();
    await parts.machine.close();
    await parts.signatures.close();
  }

  #listen(app: RouterApp, door: RfcDoor, sockets: RfcSockets): Promise<HttpServer> {
    const { host, port } = this.#options;
    return serveHttp({ fetch: app, raw: door.raw, upgrade: sockets.upgrade, host, port });
  }

  async #runLoops({ machine, heartbeats, settler }: Parts): Promise<void> {
    const { chain, clock, random, logger, deployment } = this.#options;
    const { signal } = this.#stopping;
    const { deployBlock } = deployment;
    const follower = new ChainFollower({
      ...{ machine, chain, clock, logger, deployBlock },
      secretOf: (epoch) => this.#place?.epochSecret(epoch) ?? toHex(random.bytes(32)),
    });
    const following = follower.run(signal).catch((error: unknown) => {
      if (!signal.aborted) logger.error({ err: error }, "ChainLost");
    });
    let lastAt = clock.now();
    const timers = repeat(clock, routerLimits.timerMs, signal, () => {
      const at = clock.now();
      const paused = at - lastAt > routerLimits.pauseMs;
      lastAt = at;
      if (paused) {
        heartbeats.resume();
        machine.submit({ type: "router-resumed", at }).catch(() => undefined);
        logger.warn("RouterResumed");
      }
      // A journal that fails is told through `failed`.
      machine.submit({ type: "time-passed", at }).catch(() => undefined);
      heartbeats.watch();
      return Promise.resolve();
    });
    const settling = repeat(clock, routerLimits.settleMs, signal, () => settler.run());
    await Promise.all([following, timers, settling]);
  }
}

function defaultSignatureThreads(): number {
  return Math.min(routerLimits.signatureThreadsMax, Math.max(1, availableParallelism() - 1));
}

async function repeat(
  clock: Clock,
  everyMs: number,
  signal: AbortSignal,
  action: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    await action();
    // An aborted sleep is the end of the loop.
    await clock.sleep(everyMs, signal).catch(() => undefined);
  }
}

function logEffect(logger: Logger, effect: Effect): void {
  switch (effect.type) {
    case "ticket-granted": {
      const { sessionId, ticket } = effect;
      const { provider, maxSeconds, reservedAllowance, reservedDeposit } = ticket;
      const reserved = (reservedAllowance + reservedDeposit).toString();
      logger.info({ sessionId, provider, maxSeconds, reserved }, "TicketGranted");
      break;
    }
    case "session-ended": {
      const { type: _, charge, ...figures } = effect;
      logger.info({ ...figures, charge: charge.toString() }, "SessionEnded");
      break;
    }
    case "session-opened":
    case "successor-granted":
    case "settlement-finalised":
    case "tick-refused": {
      const { type, ...facts } = effect;
      logger.info("ticket" in facts ? { ...facts, ticket: undefined } : facts, eventName(type));
      break;
    }
    default:
  }
}

/** `session-opened` -> `SessionOpened`. */
function eventName(type: string): string {
  return type
    .split("-")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}
