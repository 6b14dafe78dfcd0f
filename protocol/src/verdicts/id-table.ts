/*
 * Dense numbers for pairs of numbers, in flat arrays: a Map of ten million pairs would cost a
 * gigabyte and a string each.
 */
import { LakeError } from "../errors.ts";

/** Gives each distinct pair of 32-bit numbers the next number, from 0. */
export class PairTable {
  /** The pairs in the order of their numbers. */
  firsts = new Uint32Array(1024);
  seconds = new Uint32Array(1024);
  size = 0;
  readonly #most: number;
  #slots = new Int32Array(2048).fill(-1);

  /** @param most how many pairs at most; one more throws `body-too-large` */
  constructor(most: number) {
    this.#most = most;
  }

  /** The number of a pair, new where it was not seen before. */
  idOf(first: number, second: number): number {
    let mask = this.#slots.length - 1;
    let slot = mix(first, second) & mask;
    for (let id = this.#slots[slot] as number; id >= 0; id = this.#slots[slot] as number) {
      if (this.firsts[id] === first && this.seconds[id] === second) return id;
      slot = (slot + 1) & mask;
    }
    const id = this.size;
    if (id >= this.#most) {
      throw new LakeError("body-too-large", `More than ${this.#most} parties or pairs of them.`);
    }
    if (id === this.firsts.length) {
      this.firsts = grown(this.firsts);
      this.seconds = grown(this.seconds);
    }
    this.firsts[id] = first;
    this.seconds[id] = second;
    this.#slots[slot] = id;
    this.size += 1;
    if (this.size * 2 > this.#slots.length) {
      this.#rehash();
      mask = this.#slots.length - 1;
    }
    return id;
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1);
    const mask = slots.length - 1;
    for (let id = 0; id < this.size; id += 1) {
      let slot = mix(this.firsts[id] as number, this.seconds[id] as number) & mask;
      while ((slots[slot] as number) >= 0) slot = (slot + 1) & mask;
      slots[slot] = id;
    }
    this.#slots = slots;
  }
}

/** The same numbers in an array twice as long. */
export function grown<T extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(
  array: T,
): T {
  const Made = array.constructor as new (length: number) => T;
  const made = new Made(array.length * 2);
  made.set(array);
  return made;
}

function mix(first: number, second: number): number {
  let hash = Math.imul(first, 0x9e3779b1) ^ Math.imul(second ^ (second >>> 15), 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae3d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
