import {
  type Clock,
  type Hex,
  LakeError,
  type Offer,
  offerType,
  routerPaths,
  signedToJson,
} from "@lake-travis/protocol";
import type { HttpClient, Logger } from "@lake-travis/platform";
import type { OwnOffer } from "./core/session-book.ts";
import { limits } from "./limits.ts";
import type { SessionKeeper } from "./session-keeper.ts";

/** Everything of an Offer that does not change by itself. */
export type OfferTerms = Omit<Offer, "validUntil" | "sequence">;

/** What an {@link OfferPublisher} works with. */
export interface PublisherParts {
  readonly keeper: SessionKeeper;
  readonly http: HttpClient;
  readonly routerUrl: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The highest sequence used before. */
  readonly sequence: number;
}

/** Keeps the Router's list of our Offers true: makes, renews, changes and withdraws them. */
export class OfferPublisher {
  readonly #parts: PublisherParts;
  readonly #current = new Map<string, OwnOffer>();
  #held: ReadonlySet<Hex> = new Set();
  #sequence: number;
  #sending: Promise<void> = Promise.resolve();

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#sequence = parts.sequence;
  }

  /** The Offers that stand now. */
  get offers(): readonly OwnOffer[] {
    return [...this.#current.values()];
  }

  /** Whether the Router said in its last answer that it holds this Offer. */
  isHeld(hash: Hex): boolean {
    return this.#held.has(hash);
  }

  /** The terms of the Offer that stands for a model. */
  termsOf(model: string): OfferTerms {
    const own = this.#current.get(model);
    if (own === undefined) throw new LakeError("internal", `No Offer stands for ${model}.`);
    return termsOf(own.signed.message);
  }

  /**
   * Signs and sends an Offer with these terms; a newer sequence replaces the model's older one.
   * A Router that does not answer gets it after its next Heartbeat.
   */
  async publish(terms: OfferTerms): Promise<OwnOffer> {
    this.#sequence += 1;
    const validUntil = this.#parts.clock.now() + limits.offerMs;
    const own = await this.#parts.keeper.offer({ ...terms, validUntil, sequence: this.#sequence });
    this.#current.set(terms.model, own);
    await this.#enqueue(own);
    return own;
  }

  /** The same as {@link publish} without waiting for it. */
  replaceSoon(terms: OfferTerms): void {
    this.publish(terms).catch((error: unknown) => {
      // The Offer that stands is still good; the next occasion tries again.
      this.#parts.logger.error({ err: error, model: terms.model }, "offer not replaced");
    });
  }

  /**
   * Withdraws a model's Offer, or every one: no slots, a higher sequence. Open Sessions go on.
   */
  async withdraw(model?: string): Promise<void> {
    for (const { signed } of this.offers) {
      const { message } = signed;
      if (message.slots === 0 || (model !== undefined && message.model !== model)) continue;
      await this.publish({ ...termsOf(message), slots: 0 });
    }
  }

  /** Sends again what the Router does not hold, and renews what has passed half its time. */
  reconcile(held: ReadonlySet<Hex>): void {
    const now = this.#parts.clock.now();
    this.#held = held;
    for (const own of this.offers) {
      const { message } = own.signed;
      if (message.slots === 0) continue;
      if (message.validUntil - now < limits.offerMs / 2) this.replaceSoon(termsOf(message));
      else if (!held.has(own.hash)) void this.#enqueue(own);
    }
  }

  // One after the other, so that a Router never sees an older sequence after a newer one.
  #enqueue(own: OwnOffer): Promise<void> {
    this.#sending = this.#sending.then(() => this.#send(own));
    return this.#sending;
  }

  async #send(own: OwnOffer): Promise<void> {
    const { http, routerUrl, logger } = this.#parts;
    const { model, sequence, slots } = own.signed.message;
    if (this.#current.get(model) !== own) return;
    try {
      const json = signedToJson(offerType, own.signed);
      await http.json("POST", routerUrl + routerPaths.offers, json);
      logger.info({ model, sequence, slots }, "offer published");
    } catch (error) {
      if (!(error instanceof LakeError)) throw error;
      logger.warn({ model, sequence, code: error.code }, `offer not taken: ${error.message}`);
    }
  }
}

function termsOf(offer: Offer): OfferTerms {
  const { validUntil: _validUntil, sequence: _sequence, ...terms } = offer;
  return terms;
}
