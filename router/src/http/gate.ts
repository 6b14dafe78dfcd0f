import { type Address, type Clock, LakeError } from "@lake-travis/protocol";
import { type Logger, tellableError } from "@lake-travis/platform";
import { routerLimits } from "../limits.ts";
import type { Metrics } from "../metrics.ts";
import { RateLimit } from "./rate-limit.ts";

/** What a {@link Gate} works with. */
export interface GateParts {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Of one address of the network, and of one signing key. */
  readonly requestsPerSecondMax: number;
}

/** Admits requests, whichever way they come, and notes what is refused. */
export class Gate {
  readonly #parts: GateParts;
  readonly #addressRate: RateLimit;
  readonly #keyRate: RateLimit;
  #running = 0;

  constructor(parts: GateParts) {
    this.#parts = parts;
    this.#addressRate = new RateLimit(parts.clock, parts.requestsPerSecondMax);
    this.#keyRate = new RateLimit(parts.clock, parts.requestsPerSecondMax);
  }

  /** Does what one request from `address` asks for; throws `rate-limited` where it may not. */
  async pass<T>(address: string, action: () => Promise<T>): Promise<T> {
    this.#addressRate.admit(address);
    if (this.#running >= routerLimits.requestsMax) {
      throw new LakeError("rate-limited", "This Router is answering too many requests.");
    }
    this.#running += 1;
    try {
      return await action();
    } finally {
      this.#running -= 1;
    }
  }

  /**
   * Counts a request against the key that signed it, once that is known: whoever asks from many
   * addresses is still one. Throws `rate-limited`.
   */
  readonly admitKey = (key: Address): void => {
    this.#keyRate.admit(key);
  };

  /** Counts a failure, logs it where it is ours, and gives it as it may be told. */
  refuse(error: unknown): LakeError {
    const told = tellableError(error);
    if (told.code === "internal") this.#parts.logger.error({ err: error }, "RequestFailed");
    this.#parts.metrics.countRefusal(told.code);
    return told;
  }
}
