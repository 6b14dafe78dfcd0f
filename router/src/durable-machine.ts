import { randomBytes } from "node:crypto";
import { type Address, type Deployment, LakeError, toHex } from "@lake-travis/protocol";
import type { Logger } from "@lake-travis/platform";
import type { Effect, RouterEvent } from "./core/events.ts";
import { coreFormat, type RouterState } from "./core/state.ts";
import { type Step, step } from "./core/step.ts";
import { Compaction } from "./journal/compaction.ts";
import { Journal } from "./journal/journal.ts";
import { encodeEvent, recover } from "./journal/recover.ts";

/** Told every effect; those that promise something only once they are on the disk. */
export type EffectListener = (effect: Effect) => void;

/** How a machine is opened. */
export interface MachineOptions {
  readonly folder: string;
  readonly router: Address;
  readonly deployment: Deployment;
  readonly logger: Logger;
  readonly now: number;
  /** Which of how many Routers of the account; absent: the only one. */
  readonly shard?: { readonly index: number; readonly count: number };
}

/**
 * The state machine with its journal: an event changes the state at once, and its effects leave
 * only when it is durable.
 */
export class DurableMachine {
  readonly state: RouterState;
  readonly #journal: Journal;
  readonly #compaction: Compaction;
  readonly #listeners = new Set<EffectListener>();
  readonly #failed = Promise.withResolvers<never>();

  private constructor(state: RouterState, journal: Journal, compaction: Compaction) {
    this.state = state;
    this.#journal = journal;
    this.#compaction = compaction;
    // Whoever wants to know asks for `failed`; until then it is not unhandled.
    this.#failed.promise.catch(() => undefined);
  }

  /**
   * Recovers the state in a folder, or founds a new one there. Throws `journal-corrupt`,
   * `folder-unusable`, `disk-full`, or `chain-wrong` where the folder belongs to another Router.
   */
  static async open(options: MachineOptions): Promise<DurableMachine> {
    const { folder, logger, now } = options;
    const begunAt = performance.now();
    const recovered = await recover(folder);
    const compaction = new Compaction(folder, logger);
    const journal = await Journal.open(folder, recovered, (sealed) => {
      compaction.begin(sealed);
    });
    const machine = new DurableMachine(recovered.state, journal, compaction);
    const { replayed, torn } = recovered;
    const ms = Math.round(performance.now() - begunAt);
    logger.info({ replayed, torn, ms, sessions: machine.state.sessions.size }, "RouterRecovered");
    if (machine.state.domain.chainId === 0) await machine.#found(options);
    requireSame(machine.state, options);
    await machine.submit({ type: "router-restarted", at: now });
    return machine;
  }

  /** Rejects when the journal cannot be written any more; the Router must stop then. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** Adds a listener; the result removes it. */
  listen(listener: EffectListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Applies an event at once. Resolves with its effects when it is durable; rejects with `disk-
   * full` or `folder-unusable`.
   */
  async submit(event: RouterEvent): Promise<readonly Effect[]> {
    const done = step(this.state, event);
    await this.#keep(event, done);
    return done.effects;
  }

  /** As {@link submit}; throws the refusal where the event was refused. */
  async require(event: RouterEvent): Promise<readonly Effect[]> {
    const effects = await this.submit(event);
    throwRefusal(effects);
    return effects;
  }

  /**
   * Applies an event that promises nothing, such as an RFC: what it leads to is promised by later
   * events, which reach the disk behind it, so that nobody waits for it. Throws the refusal where
   * it was refused.
   */
  enter(event: RouterEvent): void {
    const done = step(this.state, event);
    if (done.effects.some(isPromise)) {
      // A failure is told through `failed`.
      this.#keep(event, done).catch(() => undefined);
    } else {
      if (done.changed) this.#journal.appendUnpromised(encodeEvent(event));
      this.#tell(done.effects);
    }
    throwRefusal(done.effects);
  }

  /** Waits until everything is on the disk and closes the journal. */
  async close(): Promise<void> {
    await this.#compaction.stop();
    await this.#journal.close();
  }

  async #keep(event: RouterEvent, { effects, changed }: Step): Promise<void> {
    const promises = effects.filter(isPromise);
    this.#tell(effects.filter((effect) => !isPromise(effect)));
    if (changed) await this.#write(event);
    this.#tell(promises);
  }

  #tell(effects: readonly Effect[]): void {
    for (const effect of effects) for (const listener of this.#listeners) listener(effect);
  }

  async #write(event: RouterEvent): Promise<void> {
    try {
      await this.#journal.append(encodeEvent(event));
    } catch (error) {
      this.#failed.reject(error);
      throw error;
    }
  }

  async #found(options: MachineOptions): Promise<void> {
    const { router, deployment } = options;
    const { chainId, computeContract, schedule } = deployment;
    const secret = toHex(randomBytes(32));
    const { index, count } = options.shard ?? { index: 0, count: 1 };
    const place = { router, chainId, computeContract, schedule, shard: { index, count } };
    await this.submit({ type: "router-founded", format: coreFormat, ...place, secret });
  }
}

function throwRefusal(effects: readonly Effect[]): void {
  for (const effect of effects) {
    if (effect.type !== "refused") continue;
    const { code, message, advice } = effect.refusal;
    throw new LakeError(code, message, advice === undefined ? {} : { advice });
  }
}

/**
 * Whether an effect is something that others will hold the Router to, so that it must not leave
 * before it is durable. To ask a Provider for a slot promises nothing: after a crash the question
 * is forgotten, and the Accept lapses by itself. Not waiting there halves the time to a Ticket.
 */
function isPromise({ type }: Effect): boolean {
  return type !== "provider-asked" && type !== "rfc-queued" && type !== "rfc-refused";
}

function requireSame(state: RouterState, options: MachineOptions): void {
  const { deployment, router, shard = { index: 0, count: 1 } } = options;
  const { shard: known } = state;
  if (known.count !== shard.count || known.index !== shard.index) {
    throw new LakeError(
      "argument-invalid",
      `This folder is shard ${known.index} of ${known.count}.`,
      {
        advice: "Users would lose their shard's memory: keep --shards, or name another --data-dir.",
      },
    );
  }
  const same =
    state.router === router &&
    state.domain.chainId === deployment.chainId &&
    state.domain.computeContract === deployment.computeContract;
  if (same) return;
  throw new LakeError("chain-wrong", "This data folder belongs to another Router or network.", {
    advice: "Name another folder with --data-dir.",
  });
}
