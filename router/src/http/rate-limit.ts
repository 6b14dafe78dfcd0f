import { type Clock, LakeError } from "@lake-travis/protocol";
import { routerLimits } from "../limits.ts";

/** Requests that may come at once before the rate counts, in seconds' worth. */
const burstSeconds = 10;

interface Bucket {
  left: number;
  filledAt: number;
}

/** Bounds how often each key (an address of the network, or of a signer) may ask. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  readonly #perSecond: number;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  /** Counts one request; throws `rate-limited`. */
  admit(key: string): void {
    const now = this.#clock.now();
    const burst = this.#perSecond * burstSeconds;
    const bucket = this.#buckets.get(key) ?? { left: burst, filledAt: now };
    const filled = ((now - bucket.filledAt) * this.#perSecond) / 1000;
    bucket.left = Math.min(burst, bucket.left + filled);
    bucket.filledAt = now;
    // The most recently seen last, so that the oldest is the one to forget.
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > routerLimits.ratedAddressesMax) {
      this.#buckets.delete(this.#buckets.keys().next().value ?? key);
    }
    if (bucket.left < 1) {
      throw new LakeError("rate-limited", "Too many requests from here.", {
        advice: "Wait a second.",
      });
    }
    bucket.left -= 1;
  }
}
