import { recordLimits } from "@lake-travis/protocol";

/**
 * The Sessions that a file has named so far, as two 32-bit hashes each: 12 bytes a Session. Two
 * different ones are taken for the same with a chance of n^2 / 2^65 (3e-6 for ten million).
 */
export class SessionSet {
  size = 0;
  #hashes = new Uint32Array(1 << 12);
  #checks = new Uint32Array(1 << 12);
  /** Lines; 0 marks an empty place. */
  #lines = new Uint32Array(1 << 12);

  /** Notes a Session; the line that named it before, or 0. */
  add(hash: number, check: number, line: number): number {
    const mask = this.#lines.length - 1;
    let slot = hash & mask;
    while (this.#lines[slot] !== 0) {
      if (this.#hashes[slot] === hash && this.#checks[slot] === check) {
        return this.#lines[slot] as number;
      }
      slot = (slot + 1) & mask;
    }
    this.#hashes[slot] = hash;
    this.#checks[slot] = check;
    this.#lines[slot] = line;
    this.size += 1;
    if (this.size * 3 > this.#lines.length * 2) this.#grow();
    return 0;
  }

  /** Whether a file may hold no more. */
  get isFull(): boolean {
    return this.size >= recordLimits.recordsMax;
  }

  #grow(): void {
    const { length } = this.#lines;
    const [hashes, checks, lines] = [this.#hashes, this.#checks, this.#lines];
    this.#hashes = new Uint32Array(length * 2);
    this.#checks = new Uint32Array(length * 2);
    this.#lines = new Uint32Array(length * 2);
    const mask = length * 2 - 1;
    for (let old = 0; old < length; old += 1) {
      if (lines[old] === 0) continue;
      let slot = (hashes[old] as number) & mask;
      while (this.#lines[slot] !== 0) slot = (slot + 1) & mask;
      this.#hashes[slot] = hashes[old] as number;
      this.#checks[slot] = checks[old] as number;
      this.#lines[slot] = lines[old] as number;
    }
  }
}
