import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { type Clock, LakeError } from "@lake-travis/protocol";
import type { Logger } from "@lake-travis/platform";
import { routerLimits } from "../limits.ts";

/** How a {@link ShardSupervisor} is set up. */
export interface SupervisorOptions {
  readonly count: number;
  /** Starts the process of one shard; port 0 the first time, afterwards the one that it had. */
  readonly launch: (index: number, port: number) => ChildProcess;
  /** Where the shards find each other. */
  readonly mapFile: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a shard's process says of itself when it listens. */
export interface ShardFacts {
  readonly url: string;
  readonly [name: string]: unknown;
}

interface Shard {
  readonly index: number;
  child: ChildProcess | undefined;
  url: string | undefined;
  facts: ShardFacts | undefined;
  crashes: number;
  startedAt: number;
}

/** Keeps the shards' processes running, each on the port that its Users know. */
export class ShardSupervisor {
  readonly #options: SupervisorOptions;
  readonly #shards: Shard[];
  readonly #stopping = new AbortController();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#shards = Array.from({ length: options.count }, (_, index) => {
      return {
        index,
        child: undefined,
        url: undefined,
        facts: undefined,
        crashes: 0,
        startedAt: 0,
      };
    });
  }

  /** Where each shard listens; they keep these while the front lives. */
  get urls(): readonly string[] {
    return this.#shards.map(({ url }) => url ?? "");
  }

  /** What shard 0 said of itself: account, key, gateway. */
  get facts(): Readonly<Record<string, unknown>> {
    return this.#shards[0]?.facts ?? {};
  }

  /** The processes, by shard. */
  get pids(): readonly (number | undefined)[] {
    return this.#shards.map(({ child }) => child?.pid);
  }

  /** Starts all shards and waits until they listen; throws what the first to fail says. */
  async start(): Promise<void> {
    try {
      await Promise.all(this.#shards.map((shard) => this.#launch(shard)));
      await writeFile(this.#options.mapFile, JSON.stringify({ urls: this.urls }));
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Asks every shard to stop in order and waits until it has. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(
      this.#shards.map(async ({ child }) => {
        if (child === undefined || hasEnded(child)) return;
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGTERM");
        await ended;
      }),
    );
  }

  async #launch(shard: Shard): Promise<void> {
    const { launch, clock } = this.#options;
    const port = shard.url === undefined ? 0 : Number(new URL(shard.url).port);
    const child = launch(shard.index, port);
    shard.child = child;
    shard.startedAt = clock.now();
    child.once("exit", (code, signal) => {
      this.#onExit(shard, child, code, signal);
    });
    shard.facts = await readyFacts(child, shard.index);
    shard.url = shard.facts.url;
  }

  #onExit(shard: Shard, child: ChildProcess, code: number | null, signal: string | null): void {
    const { clock, logger } = this.#options;
    // One that never listened is told to whoever starts the front.
    if (this.#stopping.signal.aborted || shard.child !== child || shard.url === undefined) return;
    const isSteady = clock.now() - shard.startedAt > routerLimits.shardSteadyMs;
    shard.crashes = isSteady ? 1 : shard.crashes + 1;
    const wait = routerLimits.shardRestartMs * 2 ** Math.min(shard.crashes - 1, 20);
    const pauseMs = Math.min(wait, routerLimits.shardRestartMsMax);
    logger.error({ shard: shard.index, code, signal, pauseMs }, "ShardEnded");
    void this.#restart(shard, pauseMs);
  }

  async #restart(shard: Shard, pauseMs: number): Promise<void> {
    const { clock, logger } = this.#options;
    try {
      await clock.sleep(pauseMs, this.#stopping.signal);
      await this.#launch(shard);
      logger.info({ shard: shard.index }, "ShardRestarted");
    } catch (error) {
      // Its exit leads to the next attempt; a sleep that is cut short is the end.
      logger.warn({ shard: shard.index, err: error }, "ShardRestartFailed");
    }
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Waits for the `ready` message of `runUntilStopped`. */
function readyFacts(child: ChildProcess, index: number): Promise<ShardFacts> {
  return new Promise((resolve, reject) => {
    child.on("message", (message: { readonly ready?: ShardFacts }) => {
      if (message.ready !== undefined) resolve(message.ready);
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      const sentence = `Shard ${index} ended with code ${code ?? "none"} before it listened.`;
      reject(new LakeError("child-failed", sentence, { advice: "Its own log says why." }));
    });
  });
}
