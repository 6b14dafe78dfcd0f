import { createInterface } from "node:readline/promises";
import { LakeError } from "@lake-travis/protocol";

/** Where questions are asked and answers shown. */
export interface Terminal {
  /** Whether somebody can answer. */
  readonly isInteractive: boolean;
  say(text: string): void;
  /** Shows text in place of the line before, for progress; nothing where nobody looks. */
  show(text: string): void;
  /** Asks for a line; an empty answer is `fallback`. */
  ask(question: string, fallback?: string): Promise<string>;
  /** Asks without showing what is typed. */
  askHidden(question: string): Promise<string>;
  confirm(question: string): Promise<boolean>;
}

/** A terminal's first column, with the line's rest cleared. */
const lineStart = "\r\u001b[2K";

/** The terminal of this process; with `json` text goes to standard error instead. */
export function createTerminal(options: { readonly json: boolean }): Terminal {
  const { stdin } = process;
  const output = options.json ? process.stderr : process.stdout;
  const isInteractive = stdin.isTTY && output.isTTY;
  const ask = async (question: string, fallback = ""): Promise<string> => {
    if (!isInteractive) throw unanswered(question);
    const lines = createInterface({ input: stdin, output });
    try {
      const shown = fallback === "" ? "" : ` [${fallback}]`;
      const answer = (await lines.question(`${question}${shown}: `)).trim();
      return answer === "" ? fallback : answer;
    } finally {
      lines.close();
    }
  };
  return {
    isInteractive,
    say: (text) => void output.write(`${text}\n`),
    show: (text) => {
      if (isInteractive) output.write(lineStart + text);
    },
    ask,
    askHidden: async (question) => {
      if (!isInteractive) throw unanswered(question);
      output.write(`${question}: `);
      return await readHidden(stdin, output);
    },
    confirm: async (question) => /^y(es)?$/i.test(await ask(`${question} (yes/no)`, "no")),
  };
}

function unanswered(question: string): LakeError {
  return new LakeError("argument-invalid", `Nobody is here to answer: ${question}`, {
    advice: "Give it as a flag (see --help), or run this in a terminal.",
  });
}

/** Longer passphrases than this are no passphrases but a paste gone wrong. */
const hiddenMax = 1_024;

function readHidden(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const finish = (settle: () => void): void => {
      input.off("data", onData);
      input.setRawMode(false);
      input.pause();
      output.write("\n");
      settle();
    };
    const onData = (chunk: Buffer): void => {
      for (const char of chunk.toString("utf8")) {
        if (char === "\r" || char === "\n") {
          finish(() => resolve(text));
          return;
        }
        if (char === "\u0003" || text.length > hiddenMax) {
          finish(() => reject(new LakeError("argument-invalid", "Nothing was entered.")));
          return;
        }
        text = char === "\u007f" || char === "\b" ? text.slice(0, -1) : text + char;
      }
    };
    input.setRawMode(true);
    input.resume();
    input.on("data", onData);
  });
}
