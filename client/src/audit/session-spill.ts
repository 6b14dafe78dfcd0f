import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

/** The sessionIds of one epoch in a temporary file, in order, so that memory need not hold them. */
export class SessionSpill {
  readonly #path: string;
  readonly #file: number;
  readonly #buffer = Buffer.allocUnsafe(bufferBytes);
  #used = 0;

  constructor(folder: string, epoch: number) {
    this.#path = join(folder, `sessions-${epoch}`);
    this.#file = openSync(this.#path, "w+", 0o600);
  }

  /** Keeps the id that stands in `bytes`; at most 255 bytes. */
  add(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (this.#used + length + 1 > bufferBytes) this.#flush();
    this.#buffer[this.#used] = length;
    for (let at = 0; at < length; at += 1) {
      this.#buffer[this.#used + 1 + at] = bytes[from + at] as number;
    }
    this.#used += length + 1;
  }

  /** The ids in the order in which they were added. */
  *read(): Generator<string> {
    this.#flush();
    let held = 0;
    let place = 0;
    for (;;) {
      const read = readSync(this.#file, this.#buffer, held, bufferBytes - held, place);
      place += read;
      const end = held + read;
      let from = 0;
      while (from < end && from + (this.#buffer[from] as number) < end) {
        const to = from + 1 + (this.#buffer[from] as number);
        yield this.#buffer.toString("latin1", from + 1, to);
        from = to;
      }
      this.#buffer.copyWithin(0, from, end);
      held = end - from;
      if (read === 0) return;
    }
  }

  /** Removes the file. */
  remove(): void {
    closeSync(this.#file);
    rmSync(this.#path, { force: true });
  }

  #flush(): void {
    if (this.#used > 0) writeSync(this.#file, this.#buffer, 0, this.#used);
    this.#used = 0;
  }
}

const bufferBytes = 1024 * 1024;
