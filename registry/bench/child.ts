import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A script of this folder in its own process, which talks in lines of JSON. */
export class Child {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(script: string, words: readonly string[]) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    this.process = spawn(process.execPath, [path, ...words], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const { stdout } = this.process;
    if (stdout === null) throw new Error("The child has no output.");
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** The next line; throws if the child ended without one. */
  async read(): Promise<Record<string, string | number>> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error("The child ended without an answer.");
    return JSON.parse(line.value) as Record<string, string | number>;
  }

  /** Asks for one more line. */
  async ask(): Promise<Record<string, string | number>> {
    this.process.stdin?.write("?\n");
    return await this.read();
  }

  /** Ends the child by closing its input, or at once with a signal. */
  async end(signal?: NodeJS.Signals): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, "exit");
    if (signal === undefined) this.process.stdin?.end();
    else this.process.kill(signal);
    await ended;
  }
}
