import { readFileSync } from "node:fs";
import { LakeError } from "@lake-travis/protocol";

/** A terminal to ask at; tests give their own. */
export interface PromptTerminal {
  readonly input: NodeJS.ReadableStream & {
    readonly isTTY?: boolean;
    setRawMode?: (on: boolean) => unknown;
  };
  readonly output: NodeJS.WritableStream;
}

/** Longer than any that a person types; bounds what is read from a file. */
const passphraseMax = 1024;
const enter = new Set(["\r", "\n", "\u0004"]);
const interrupt = "\u0003";
const erase = new Set(["\u007f", "\b"]);

/**
 * The passphrase of a keystore: the first line of a file where one is named, else typed at the
 * terminal without being shown. Throws `argument-invalid` where there is neither.
 */
export async function readPassphrase(options: {
  readonly question: string;
  readonly file: string | undefined;
  readonly terminal: PromptTerminal;
}): Promise<string> {
  const { file, question, terminal } = options;
  if (file !== undefined) return passphraseInFile(file);
  if (terminal.input.isTTY !== true) {
    throw new LakeError("argument-invalid", "The keystore's passphrase is needed.", {
      advice: "Name a file that holds it with --passphrase-file, or run this in a terminal.",
    });
  }
  return askHidden(question, terminal);
}

/** Asks twice for a new passphrase; throws `argument-invalid` where the two differ. */
export async function readNewPassphrase(options: {
  readonly file: string | undefined;
  readonly terminal: PromptTerminal;
}): Promise<string> {
  const question = "New passphrase: ";
  const first = await readPassphrase({ question, ...options });
  if (first.length < passphraseMin) {
    throw new LakeError("argument-invalid", "This passphrase is too short to protect a wallet.", {
      advice: `Use at least ${passphraseMin} characters; several words are easiest to remember.`,
    });
  }
  if (options.file !== undefined) return first;
  const second = await readPassphrase({ question: "The same again: ", ...options });
  if (first === second) return first;
  throw new LakeError("argument-invalid", "The two passphrases differ; nothing was written.", {
    advice: "Try again.",
  });
}

/** Below this, scrypt does not help against guessing. */
const passphraseMin = 8;

function passphraseInFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new LakeError("argument-invalid", `The passphrase file ${file} cannot be read.`, {
      cause,
    });
  }
  const [line = ""] = text.split(/\r?\n/, 1);
  if (line !== "" && line.length <= passphraseMax) return line;
  throw new LakeError(
    "argument-invalid",
    `The file ${file} holds no passphrase in its first line.`,
  );
}

async function askHidden(question: string, { input, output }: PromptTerminal): Promise<string> {
  output.write(question);
  input.setRawMode?.(true);
  input.resume();
  try {
    return await new Promise<string>((resolve, reject) => {
      let typed = "";
      const onData = (chunk: Buffer | string): void => {
        for (const key of chunk.toString()) {
          if (key === interrupt) {
            input.off("data", onData);
            reject(new LakeError("wallet-refused", "Interrupted; nothing was done."));
            return;
          }
          if (enter.has(key)) {
            input.off("data", onData);
            resolve(typed);
            return;
          }
          if (erase.has(key)) typed = typed.slice(0, -1);
          else if (typed.length < passphraseMax) typed += key;
        }
      };
      input.on("data", onData);
    });
  } finally {
    input.setRawMode?.(false);
    input.pause();
    output.write("\n");
  }
}
