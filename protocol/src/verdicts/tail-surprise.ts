import { log2Of } from "./fixed-log.ts";
import { surpriseMax } from "./rules.ts";

/** Counts of small integers, to ask how unusual one of them is among all. */
export class TailCounts {
  readonly #counts = new Float64Array(1024);
  readonly #beyond = new Float64Array(1025);
  #total = 0;

  /** Counts a value from 0 to 1,023. */
  add(value: number): void {
    this.#counts[value] = (this.#counts[value] as number) + 1;
    this.#total += 1;
  }

  /** Call once after the last `add`. */
  close(): void {
    for (let value = 1023; value >= 0; value -= 1) {
      this.#beyond[value] = (this.#beyond[value + 1] as number) + (this.#counts[value] as number);
    }
  }

  /**
   * -log2 of the share of the others at or above a counted value, half of its equals counted, in
   * 1024ths of a bit. A few imagined others keep it small where there is little data.
   */
  surpriseOf(value: number): number {
    const equal = Math.max(0, (this.#counts[value] as number) - 1);
    const above = this.#beyond[value + 1] as number;
    const share = 2 * above + equal + imagined;
    const surprise = log2Of(2 * (this.#total - 1) + 4 * imagined) - log2Of(share);
    return Math.min(surpriseMax, Math.max(0, surprise));
  }
}

const imagined = 2;
