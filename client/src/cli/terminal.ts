import { createInterface } from "node:readline/promises";
import { LakeError } from "@lake-travis/protocol";
import type { PromptTerminal } from "../wallet/read-passphrase.ts";

/** Colours that carry a meaning; each is also said in words. */
export type Colour = "red" | "green" | "yellow" | "dim" | "bold";

const codes: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 };

/** Where a command speaks to a person or a script. */
export class Terminal implements PromptTerminal {
  readonly input: NodeJS.ReadStream = process.stdin;
  readonly output: NodeJS.WriteStream = process.stderr;
  readonly #json: () => boolean;

  constructor(json: () => boolean) {
    this.#json = json;
  }

  get json(): boolean {
    return this.#json();
  }

  /** Whether a person sits at both ends. */
  get isInteractive(): boolean {
    return this.input.isTTY && this.output.isTTY;
  }

  /** A command's result: JSON for scripts, else text. */
  result(json: object, text: string): void {
    process.stdout.write(this.json ? `${JSON.stringify(json)}\n` : `${text}\n`);
  }

  /** Words for a person, beside the result. */
  say(text: string): void {
    this.output.write(`${text}\n`);
  }

  /** Colours only where they are seen: not in a file, not with NO_COLOR (https://no-color.org). */
  paint(colour: Colour, text: string): string {
    const isOff = (process.env["NO_COLOR"] ?? "") !== "" || process.env["TERM"] === "dumb";
    if (isOff || this.json || !process.stdout.isTTY) return text;
    return `\u001b[${codes[colour]}m${text}\u001b[0m`;
  }

  /** Asks for a yes; throws `argument-invalid` where nobody can be asked. */
  async confirm(question: string, isYes: boolean): Promise<void> {
    if (isYes) return;
    if (!this.isInteractive) {
      throw new LakeError("argument-invalid", "This moves MOR and needs a yes.", {
        advice: "Add --yes to say so in a script.",
      });
    }
    const asking = createInterface({ input: this.input, output: this.output });
    try {
      const answer = await asking.question(`${question} [y/N] `);
      if (/^y(es)?$/i.test(answer.trim())) return;
    } finally {
      asking.close();
    }
    throw new LakeError("wallet-refused", "Nothing was sent.");
  }
}
