import { grown } from "./verdicts/id-table.ts";
import { LakeError } from "./errors.ts";

/** Numbers for names that stand as ASCII bytes in a file, without making a string of each. */
export class ByteNames {
  size = 0;
  readonly #most: number;
  #heap = new Uint8Array(1 << 16);
  #heapView = new DataView(this.#heap.buffer);
  #used = 0;
  #starts = new Float64Array(1025);
  #hashes = new Uint32Array(1024);
  #slots = new Int32Array(2048).fill(-1);

  /** @param most how many names at most; one more throws `body-too-large` */
  constructor(most: number) {
    this.#most = most;
  }

  /** The number of the name that stands from `from` to before `to`; `hash` is its `hashName`. */
  idOf(bytes: DataView, from: number, to: number, hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = spread(hash) & mask;
    for (let id = this.#slots[slot] as number; id >= 0; id = this.#slots[slot] as number) {
      if (this.#hashes[id] === hash && this.#equals(id, bytes, from, to)) return id;
      slot = (slot + 1) & mask;
    }
    return this.#add(bytes, from, to, hash, slot);
  }

  /** The name behind a number. */
  nameOf(id: number): string {
    let text = "";
    const end = this.#starts[id + 1] as number;
    for (let at = this.#starts[id] as number; at < end; at += 1) {
      text += String.fromCharCode(this.#heap[at] as number);
    }
    return text;
  }

  #equals(id: number, bytes: DataView, from: number, to: number): boolean {
    const start = this.#starts[id] as number;
    if ((this.#starts[id + 1] as number) - start !== to - from) return false;
    return sameBytes(this.#heapView, start, bytes, from, to - from);
  }

  #add(bytes: DataView, from: number, to: number, hash: number, slot: number): number {
    const id = this.size;
    if (id >= this.#most) {
      throw new LakeError("body-too-large", `More than ${this.#most} names of one kind.`);
    }
    while (this.#used + to - from > this.#heap.length) {
      this.#heap = grown(this.#heap);
      this.#heapView = new DataView(this.#heap.buffer);
    }
    if (id + 2 > this.#starts.length) this.#starts = grown(this.#starts);
    if (id === this.#hashes.length) this.#hashes = grown(this.#hashes);
    for (let at = from; at < to; at += 1) {
      this.#heap[this.#used] = bytes.getUint8(at);
      this.#used += 1;
    }
    this.#starts[id + 1] = this.#used;
    this.#hashes[id] = hash;
    this.#slots[slot] = id;
    this.size += 1;
    if (this.size * 2 > this.#slots.length) this.#rehash();
    return id;
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1);
    const mask = slots.length - 1;
    for (let id = 0; id < this.size; id += 1) {
      let slot = spread(this.#hashes[id] as number) & mask;
      while ((slots[slot] as number) >= 0) slot = (slot + 1) & mask;
      slots[slot] = id;
    }
    this.#slots = slots;
  }
}

/** Where the hash of a name begins; then {@link hashStep} for every two bytes, then the odd one. */
export const hashSeed = 0x811c9dc5;

/** The hash's next value: FNV-1a over pairs of bytes, the first one lower. */
export function hashStep(hash: number, pair: number): number {
  return Math.imul(hash ^ pair, 0x01000193);
}

/** The hash of a name, as {@link ByteNames.idOf} wants it. */
export function hashName(bytes: DataView, from: number, to: number): number {
  let hash = hashSeed;
  let at = from;
  for (; at + 1 < to; at += 2) hash = hashStep(hash, bytes.getUint16(at, true));
  if (at < to) hash = hashStep(hash, bytes.getUint8(at));
  return hash >>> 0;
}

/** Whether `length` bytes are the same in two places. */
export function sameBytes(
  a: DataView,
  fromA: number,
  b: DataView,
  fromB: number,
  length: number,
): boolean {
  let at = 0;
  for (; at + 3 < length; at += 4) {
    if (a.getInt32(fromA + at, true) !== b.getInt32(fromB + at, true)) return false;
  }
  for (; at < length; at += 1) {
    if (a.getUint8(fromA + at) !== b.getUint8(fromB + at)) return false;
  }
  return true;
}

function spread(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
