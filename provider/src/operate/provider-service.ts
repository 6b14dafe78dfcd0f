/*
 * A configured Provider as one thing to start and stop: storage, models, node, earnings, the
 * owner's socket, metrics, and whoever moves prices and models while it runs.
 */
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import {
  type Deployment,
  formatHandle,
  LakeError,
  type ModelNames,
  parseHandle,
  type Startable,
} from "@lake-travis/protocol";
import {
  type HttpServer,
  type Logger,
  serveHttp,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import {
  type ChainClient,
  createModelNames,
  createNodeDirectory,
} from "@lake-travis/platform/chain";
import { IpfsNode, type OnProgress, type PullPlan } from "@lake-travis/registry";
import { type ModelPlan, type PreparedModel, prepareModel } from "../prepare-model.ts";
import { type EndedSession, type ProviderFacts, ProviderNode } from "../provider-node.ts";
import { serveControl } from "./control-socket.ts";
import { type EarningsLedger, type EarningsRow, openEarningsLedger } from "./earnings-ledger.ts";
import { explainDemand } from "./follow-demand.ts";
import { metricsPage } from "./metrics-page.ts";
import type { ConfiguredModel, ProviderConfig } from "./provider-config.ts";
import { readMachine } from "./read-machine.ts";
import { problemsOf, type StatusReport, statusToJson } from "./status-report.ts";

/** What a {@link ProviderService} is made of. */
export interface ServiceOptions {
  readonly config: ProviderConfig;
  readonly deployment: Deployment;
  readonly chain: ChainClient;
  readonly routerUrl: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly onPlan?: (model: string, plan: PullPlan) => void;
  readonly onProgress?: OnProgress;
}

/** Something that looks at the running Provider from time to time and changes it. */
export interface Follower {
  readonly everyMs: number;
  look(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** See the file's head. */
export class ProviderService implements Startable {
  readonly node: ProviderNode;
  readonly storage: IpfsNode;
  readonly names: ModelNames;
  readonly options: ServiceOptions;
  readonly #models: PreparedModel["model"][] = [];
  readonly #releases = new Map<string, () => void>();
  readonly #stopping = new AbortController();
  readonly #followers: Promise<void>[] = [];
  #isServing = false;
  #ledger: EarningsLedger | undefined;
  #stopControl: () => Promise<void> = () => Promise.resolve();
  #metrics: HttpServer | undefined;

  constructor(options: ServiceOptions) {
    const { chain, config, deployment, logger, routerUrl } = options;
    this.options = options;
    const { dataDir, storage, listen } = config;
    this.storage = new IpfsNode({ dataDir, host: storage.host, port: storage.port });
    this.names = createModelNames(chain, systemRandom);
    this.node = new ProviderNode({
      deployment,
      dataDir,
      account: config.account,
      routerUrl,
      host: listen.host,
      port: listen.port,
      ...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl }),
      publicHost: publicHostOf(listen.host),
      models: this.#models,
      directory: createNodeDirectory(chain),
      clock: systemClock,
      random: systemRandom,
      logger,
      onSessionEnded: (ended) => this.#note(ended),
    });
  }

  /** Whether the node runs; before that only storage may. */
  get isServing(): boolean {
    return this.#isServing;
  }

  /** Gateways that models are pulled from. */
  get holders(): readonly string[] {
    const { config, deployment } = this.options;
    return [...(deployment.holders ?? []), ...config.holders];
  }

  /** What was earned so far. */
  get earnings(): readonly EarningsRow[] {
    return this.#ledger?.rows ?? [];
  }

  /** What the node says of itself, and where its blocks are shared. */
  get facts(): ProviderFacts & { readonly gatewayUrl: string } {
    return { ...this.node.facts, gatewayUrl: this.storage.gatewayUrl };
  }

  /**
   * Pulls what is missing, loads, measures, listens, offers. Throws what these throw; what was
   * pulled stays.
   */
  async start(): Promise<void> {
    const { config } = this.options;
    await this.openStorage();
    for (const model of config.models) {
      const prepared = await this.prepare(planOf(model, config));
      this.#models.push(prepared.model);
      this.#hold(prepared.model);
    }
    await this.node.start();
    this.#isServing = true;
    this.#stopControl = await serveControl(config.dataDir, async (path) => {
      if (path === "/status") return statusToJson(await this.report());
      return path === "/plan" ? { plan: await explainDemand(this) } : undefined;
    });
    if (config.metrics !== undefined) {
      const fetch = (request: Request): Promise<Response> => this.#metricsAnswer(request);
      this.#metrics = await serveHttp({ fetch, ...config.metrics });
    }
  }

  /** Opens what lies on the disk and nothing else; {@link start} does it too. */
  async openStorage(): Promise<void> {
    if (this.#ledger !== undefined) return;
    await this.storage.start();
    this.#ledger = await openEarningsLedger(join(this.options.config.dataDir, "earnings.jsonl"));
  }

  /** Lets somebody look at this Provider from time to time until it stops. */
  follow(follower: Follower): void {
    this.#followers.push(this.#run(follower));
  }

  /** Pulls a model and chooses its engine, without loading it. */
  async prepare(plan: ModelPlan): Promise<PreparedModel> {
    const { onPlan, onProgress, signal } = this.options;
    return await prepareModel(plan, {
      storage: this.storage,
      names: this.names,
      holders: this.holders,
      signal,
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(onPlan === undefined
        ? {}
        : { onPlan: (pull: PullPlan) => onPlan(formatHandle(parseHandle(plan.model)), pull) }),
    });
  }

  /** Serves one more model from now on. */
  async addModel(plan: ModelPlan): Promise<void> {
    const { model } = await this.prepare(plan);
    await this.node.addModel(model);
    this.#hold(model);
  }

  /** Takes a model down; false where a Session of it is still open. */
  async removeModel(handle: string): Promise<boolean> {
    if (!(await this.node.removeModel(handle))) return false;
    this.#releases.get(handle)?.();
    this.#releases.delete(handle);
    return true;
  }

  /** How everything stands. */
  async report(): Promise<StatusReport> {
    const node = this.node.snapshot();
    const machine = await readMachine(this.options.config.dataDir);
    return { node, earnings: this.earnings, machine, problems: problemsOf(node, machine) };
  }

  /** Stops in order: nobody new, running answers finish, then everything is shut. */
  async stop(): Promise<void> {
    this.#stopping.abort(new LakeError("shutting-down", "This Provider is shutting down."));
    await Promise.all(this.#followers.splice(0));
    this.#isServing = false;
    await this.node.stop();
    await this.#stopControl();
    await this.#metrics?.close(0);
    for (const release of this.#releases.values()) release();
    await this.storage.stop();
    await this.#ledger?.close();
  }

  // `lake models rm` and `gc` on the same folder leave alone what is being served.
  #hold({ handle, manifestDigest }: PreparedModel["model"]): void {
    this.#releases.set(handle, this.storage.hold(manifestDigest));
  }

  #note(ended: EndedSession): void {
    this.#ledger?.note(ended).catch((error: unknown) => {
      // The Router's Records know it too; the next start tries again for the newest Sessions.
      this.options.logger.error({ err: error }, "earnings not noted");
    });
  }

  async #run(follower: Follower): Promise<void> {
    const { everyMs } = follower;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await follower.look(signal);
        await systemClock.sleep(everyMs, signal);
      } catch (error) {
        if (signal.aborted) break;
        const code = error instanceof LakeError ? error.code : "internal";
        this.options.logger.warn({ code, err: error }, "could not follow; tried again later");
        await systemClock.sleep(everyMs, signal).catch(() => undefined);
      }
    }
    await follower.stop();
  }

  async #metricsAnswer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/metrics") {
      const headers = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };
      return new Response(metricsPage(await this.report()), { headers });
    }
    if (pathname === "/healthz") {
      const { problems } = await this.report();
      return Response.json({ ok: problems.length === 0 }, { status: problems.length ? 503 : 200 });
    }
    return new Response("There is /metrics and /healthz.\n", { status: 404 });
  }
}

/** A configured model as a plan to prepare. */
function planOf(model: ConfiguredModel, config: ProviderConfig): ModelPlan {
  const { engine, enginePackage: name, minSeconds, slots, weiPerSecond } = model;
  const enginePackage = name === undefined ? undefined : { name, folder: config.dataDir };
  const { gpu } = config;
  return { model: model.model, weiPerSecond, minSeconds, slots, gpu, engine, enginePackage };
}

/** The host that Offers name for a listening address: this machine's own one for a wildcard. */
function publicHostOf(host: string): string {
  const isWildcard = host === "0.0.0.0" || host === "::";
  return isWildcard ? (ownAddress() ?? "127.0.0.1") : host;
}

function ownAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
}
