/*
 * The models that this Provider serves now. Each is loaded, measured, offered, watched, and can be
 * put up, repriced and taken down while the others go on serving.
 */
import {
  type Address,
  type Clock,
  formatHandle,
  type Hex,
  LakeError,
  parseHandle,
} from "@lake-travis/protocol";
import type { Engine } from "@lake-travis/protocol/inference";
import type { Logger } from "@lake-travis/platform";
import { modelOf } from "./core/open-session.ts";
import type { SessionBook } from "./core/session-book.ts";
import { createSlotQueue } from "./core/slot-queue.ts";
import { createSpeedWindow } from "./core/speed-window.ts";
import { type MeasuredSpeed, measureSpeed } from "./engine/measure-speed.ts";
import { limits } from "./limits.ts";
import type { OfferPublisher, OfferTerms } from "./offer-publisher.ts";
import type { ServedModel } from "./served-model.ts";
import type { SessionKeeper } from "./session-keeper.ts";

/** One model to serve and the owner's terms for it. */
export interface ModelToServe {
  /** `builder/name:tag`. */
  readonly handle: string;
  readonly manifestDigest: Hex;
  readonly weiPerSecond: bigint;
  readonly minSeconds: number;
  readonly engine: Engine;
}

/** A model whose engine runs and whose speed is known. */
export interface MeasuredModel {
  readonly wanted: ModelToServe;
  readonly speed: MeasuredSpeed;
  readonly loadMs: number;
  readonly measureMs: number;
}

/** Where Users reach this Provider; every Offer names it. */
export interface OfferPlace {
  readonly endpoint: string;
  readonly tlsFingerprint: Hex;
}

/** What a {@link ModelShelf} works with. */
export interface ShelfParts {
  readonly account: Address;
  readonly book: SessionBook;
  readonly keeper: SessionKeeper;
  readonly publisher: OfferPublisher;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One model of the shelf as its owner sees it. */
export interface ShelvedModel {
  readonly measured: MeasuredModel;
  readonly served: ServedModel;
  readonly weiPerSecond: bigint;
}

interface Shelved {
  readonly measured: MeasuredModel;
  readonly served: ServedModel;
  weiPerSecond: bigint;
  /** It is being taken down, so a recovered engine is no reason to offer it again. */
  isLeaving: boolean;
  stopWatching: () => void;
}

/** Starts and measures a model's engine; throws `engine-failed`. */
export async function loadModel(
  wanted: ModelToServe,
  parts: { readonly clock: Clock; readonly logger: Logger },
): Promise<MeasuredModel> {
  const { clock, logger } = parts;
  const begun = clock.now();
  await wanted.engine.start();
  const loaded = clock.now();
  const speed = await measureSpeed(wanted.engine, clock);
  const loadMs = loaded - begun;
  const measureMs = clock.now() - loaded;
  logger.info({ model: wanted.handle, ...speed, loadMs, measureMs }, "model measured");
  return { wanted, speed, loadMs, measureMs };
}

/** Serves several models and keeps their Offers true; see the file's head. */
export class ModelShelf {
  readonly #parts: ShelfParts;
  readonly #shelved = new Map<string, Shelved>();
  readonly #served = new Map<string, ServedModel>();
  #place: OfferPlace | undefined;
  #checkedAt: number;

  constructor(parts: ShelfParts) {
    this.#parts = parts;
    this.#checkedAt = parts.clock.now();
  }

  /** The models by `builder/name:tag`, as the HTTP side looks them up: always the newest. */
  get served(): ReadonlyMap<string, ServedModel> {
    return this.#served;
  }

  /** Every model with its terms. */
  get models(): readonly ShelvedModel[] {
    return [...this.#shelved.values()];
  }

  /** Lets requests reach a loaded model; it is not offered before {@link offer}. */
  put(measured: MeasuredModel): void {
    const { keeper, clock } = this.#parts;
    const { handle, engine, weiPerSecond } = measured.wanted;
    const { slots } = engine.description;
    const queue = createSlotQueue({ slots, lines: () => keeper.lineIdsOf(handle) });
    const createdAtSeconds = Math.floor(clock.now() / 1_000);
    const served = { handle, engine, queue, speed: createSpeedWindow(), createdAtSeconds };
    const shelved: Shelved = {
      measured,
      served,
      weiPerSecond,
      isLeaving: false,
      stopWatching: () => undefined,
    };
    shelved.stopWatching = this.#watch(shelved);
    this.#shelved.set(handle, shelved);
    this.#served.set(handle, served);
  }

  /** Says where Users reach us; Offers that stand already are replaced by ones that say so. */
  async moveTo(place: OfferPlace): Promise<void> {
    const isFirst = this.#place === undefined;
    this.#place = place;
    if (isFirst) return;
    for (const handle of this.#shelved.keys()) {
      if (this.isOffered(handle)) await this.offer(handle);
    }
  }

  /** Makes a model's Offer, or replaces it by one with the newest terms; returns its hash. */
  async offer(handle: string): Promise<Hex> {
    const shelved = this.#get(handle);
    shelved.isLeaving = false;
    this.#parts.book.refusals.delete(handle);
    const own = await this.#parts.publisher.publish(this.#termsOf(shelved));
    return own.hash;
  }

  /** Whether Users can get a Session for this model now. */
  isOffered(handle: string): boolean {
    const own = this.#parts.publisher.offers.find(({ signed }) => signed.message.model === handle);
    return own !== undefined && own.signed.message.slots > 0;
  }

  /** Asks another price from now on; open Sessions keep theirs. */
  async reprice(handle: string, weiPerSecond: bigint): Promise<void> {
    const shelved = this.#get(handle);
    if (shelved.weiPerSecond === weiPerSecond) return;
    shelved.weiPerSecond = weiPerSecond;
    if (this.isOffered(handle)) await this.offer(handle);
  }

  /**
   * Takes a model down: no new Session from now on, and the engine stops where none is open.
   * Returns false where a Session is open or may still be opened; then ask again later.
   */
  async takeDown(handle: string): Promise<boolean> {
    const { book, publisher } = this.#parts;
    const shelved = this.#get(handle);
    const advice = "Take another Offer.";
    const gone = new LakeError("provider-refused", "This model is being taken down.", { advice });
    book.refusals.set(handle, gone);
    shelved.isLeaving = true;
    await publisher.withdraw(handle);
    if (this.openSessionsOf(handle) > 0 || this.#grantsOf(handle) > 0) return false;
    this.#shelved.delete(handle);
    this.#served.delete(handle);
    shelved.stopWatching();
    await shelved.served.engine.stop();
    return true;
  }

  /** Sessions of a model that are open now. */
  openSessionsOf(handle: string): number {
    const lines = [...this.#parts.book.lines.values()];
    return lines.filter((line) => modelOf(line) === handle).length;
  }

  /** Replaces Offers whose speed the newest answers no longer reach, or reach again. */
  correctSpeeds(): void {
    const { clock, book, publisher } = this.#parts;
    if (clock.now() - this.#checkedAt < limits.speedCheckMs || book.refusal !== undefined) return;
    this.#checkedAt = clock.now();
    for (const [handle, { measured, served }] of this.#shelved) {
      if (!this.isOffered(handle)) continue;
      const terms = publisher.termsOf(handle);
      const known = { published: terms.milliTps, measured: measured.speed.milliTpsFull };
      const milliTps = served.speed.judge(known);
      if (milliTps !== terms.milliTps) publisher.replaceSoon({ ...terms, milliTps });
    }
  }

  /** Waits till no answer is being made, at most {@link limits.drainMs}. */
  async drained(): Promise<void> {
    const { clock } = this.#parts;
    const until = clock.now() + limits.drainMs;
    const isBusy = (): boolean => [...this.#served.values()].some(({ queue }) => queue.running > 0);
    while (isBusy() && clock.now() < until) await clock.sleep(drainPollMs);
  }

  /** Stops every engine. */
  async stop(): Promise<void> {
    for (const { served, stopWatching } of this.#shelved.values()) {
      stopWatching();
      await served.engine.stop();
    }
  }

  #get(handle: string): Shelved {
    const shelved = this.#shelved.get(handle);
    if (shelved !== undefined) return shelved;
    throw new LakeError("model-unknown", `${handle} is not served here.`);
  }

  // Accepts that we gave for a model and whose Users have not connected yet.
  #grantsOf(handle: string): number {
    const { book, clock } = this.#parts;
    const waiting = [...book.grants.values()].filter(({ used, accept }) => {
      const offer = book.offers.get(accept.message.offerHash)?.signed.message.model;
      const isSame = offer !== undefined && formatHandle(parseHandle(offer)) === handle;
      return !used && isSame && accept.message.expiresAt > clock.now();
    });
    return waiting.length;
  }

  #termsOf({ measured, weiPerSecond }: Shelved): OfferTerms {
    const { wanted, speed } = measured;
    if (this.#place === undefined) throw new LakeError("internal", "Nothing listens yet.");
    const { engineClass, hardwareClass, slots } = wanted.engine.description;
    return {
      provider: this.#parts.account,
      model: wanted.handle,
      manifestDigest: wanted.manifestDigest,
      weiPerSecond,
      minSeconds: wanted.minSeconds,
      slots,
      milliTps: speed.milliTpsFull,
      engineClass,
      hardwareClass,
      ...this.#place,
    };
  }

  /** Withdraws a model the moment its engine is in trouble, and offers it when it is well. */
  #watch(shelved: Shelved): () => void {
    const { handle, engine } = shelved.measured.wanted;
    const { book, keeper, publisher, logger } = this.#parts;
    const follow = async (trouble: string | undefined): Promise<void> => {
      if (book.refusal !== undefined) return;
      if (trouble === undefined) {
        logger.info({ model: handle }, "the engine is well again");
        if (!shelved.isLeaving) await this.offer(handle);
        return;
      }
      logger.error({ model: handle, trouble }, "the engine is in trouble");
      book.refusals.set(handle, new LakeError("engine-failed", trouble));
      await Promise.all([keeper.endAll("engine-failed", handle), publisher.withdraw(handle)]);
    };
    return engine.onTrouble((trouble) => {
      follow(trouble).catch((error: unknown) =>
        logger.error({ err: error }, "trouble not handled"),
      );
    });
  }
}

const drainPollMs = 20;
