import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type ChainEvent,
  delegationType,
  type Deployment,
  type Domain,
  domainOf,
  type Hex,
  type RouterStatus,
  routerPaths,
  signedToJson,
  zeroBytes32,
} from "@lake-travis/protocol";
import {
  createHttpClient,
  generateKey,
  type HttpClient,
  signerFromKey,
  systemClock,
} from "@lake-travis/platform";
import { SimulatedProvider } from "./simulated-provider.ts";
import { SimulatedUser } from "./simulated-user.ts";
import { factsToText, type TrialPlan } from "./trial-router.ts";

const account = (digit: string): Hex => `0x${digit.repeat(40)}`;
const startMsMax = 20_000;

/** How a {@link TrialNetwork} is set up. */
export interface TrialOptions {
  readonly users: number;
  readonly slots: number;
  readonly epochMs: number;
}

/** A Router in its own process, with a Provider and Users here; no chain and no engine needed. */
export class TrialNetwork {
  readonly router = account("a");
  readonly provider = account("c");
  readonly digest: Hex = `0x${"d".repeat(64)}`;
  readonly model = "lake/tiny:latest";
  readonly http: HttpClient = createHttpClient({ unreachable: "router-unreachable" });
  readonly users: SimulatedUser[] = [];
  readonly delegationHashes: Hex[] = [];
  readonly folder: string;
  readonly #options: TrialOptions;
  readonly #deployment: Deployment;
  readonly #signingKey = generateKey();
  readonly #providerKey = generateKey();
  #child: ChildProcess | undefined;
  #founded = false;
  #port = 0;
  #simulated: SimulatedProvider | undefined;

  private constructor(folder: string, options: TrialOptions) {
    this.folder = folder;
    this.#options = options;
    this.#deployment = {
      chainId: 31_337,
      rpcUrl: "http://127.0.0.1:1",
      deployBlock: 0,
      schedule: { genesisMs: systemClock.now() - 1_000, lengthMs: options.epochMs },
      mor: account("1"),
      modelRegistry: account("2"),
      nodeRegistry: account("3"),
      computeContract: account("4"),
    };
    for (let index = 0; index < options.users; index += 1) {
      this.users.push(new SimulatedUser(domainOf(this.#deployment), systemClock));
    }
  }

  /** Makes the network and starts it. */
  static async start(options: TrialOptions): Promise<TrialNetwork> {
    const folder = await mkdtemp(join(tmpdir(), "trial-router-"));
    const network = new TrialNetwork(folder, options);
    await network.startRouter();
    await network.#startProvider();
    await network.#delegate();
    return network;
  }

  get domain(): Domain {
    return domainOf(this.#deployment);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get simulated(): SimulatedProvider {
    if (this.#simulated === undefined) throw new Error("the Provider was not started");
    return this.#simulated;
  }

  /** Starts the Router's process, on the port that it had before. */
  async startRouter(): Promise<void> {
    const plan: TrialPlan = {
      folder: this.folder,
      deployment: this.#deployment,
      account: this.router,
      signingKey: this.#signingKey,
      port: this.#port,
      budget: (10n ** 24n).toString(),
      facts: factsToText(this.#founded ? [] : this.#facts()),
    };
    const path = new URL("./trial-router.ts", import.meta.url);
    const planPath = join(this.folder, "plan.json");
    await writeFile(planPath, JSON.stringify(plan));
    const child = fork(path, [planPath], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.#child = child;
    this.#port = await portOf(child);
    await this.#untilOpen();
    this.#founded = true;
  }

  /** Kills the Router's process as a power cut would. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }

  /** Ends everything and removes the folder. */
  async stop(): Promise<void> {
    await this.kill("SIGTERM");
    await this.#simulated?.stop();
    await this.http.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #untilOpen(): Promise<void> {
    const giveUpAt = systemClock.now() + startMsMax;
    while (systemClock.now() < giveUpAt) {
      const status = (await this.http.json("GET", this.url + routerPaths.status)) as RouterStatus;
      if (status.budget !== null) return;
      await systemClock.sleep(20);
    }
    throw new Error("the Router did not read its chain");
  }

  async #startProvider(): Promise<void> {
    this.#simulated = new SimulatedProvider({
      folder: this.folder,
      account: this.provider,
      signer: signerFromKey(this.#providerKey),
      domain: domainOf(this.#deployment),
      clock: systemClock,
      routerUrl: this.url,
    });
    await this.#simulated.start();
    const { model, digest: manifestDigest } = this;
    const { slots } = this.#options;
    await this.#simulated.publish({ model, manifestDigest, slots, weiPerSecond: 1_000n });
  }

  async #delegate(): Promise<void> {
    for (const user of this.users) {
      const delegation = user.delegation();
      const body = { delegation: signedToJson(delegationType, delegation) };
      await this.http.json("POST", this.url + routerPaths.delegations, body);
      this.delegationHashes.push(user.hashOf(delegation));
    }
  }

  #facts(): ChainEvent[] {
    const name = "lake/tiny";
    const manifestDigest = this.digest;
    const wei = 10n ** 18n;
    const from = account("0");
    return [
      ...this.users.map((user): ChainEvent => {
        return { type: "mor-transferred", from, to: user.wallet.address, wei };
      }),
      {
        type: "node-registered",
        account: this.provider,
        kind: "provider",
        signingKey: signerFromKey(this.#providerKey).address,
        stake: 1n,
      },
      {
        ...{ type: "model-published", name, manifestDigest, kind: "model" },
        ...{ builder: account("b"), baseDigest: zeroBytes32 },
      },
      { type: "tag-moved", name, tag: "latest", manifestDigest },
      { type: "builder-price-changed", name, weiPerSecond: 100n, fromEpoch: 0 },
    ];
  }
}

function portOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2_000);
    });
    child.on("message", (message: { ready?: { url: string } }) => {
      if (message.ready !== undefined) resolve(Number(new URL(message.ready.url).port));
    });
    child.once("exit", (code) => {
      reject(new Error(`the Router ended with code ${code}: ${said}`));
    });
  });
}
