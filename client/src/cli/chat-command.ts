import { writeFileSync } from "node:fs";
import { createInterface, type Interface } from "node:readline/promises";
import { Command } from "commander";
import { formatMorShort, LakeError } from "@lake-travis/protocol";
import { folderError } from "@lake-travis/platform";
import type { Lake, LakeSession } from "../sdk/index.ts";
import { type AskOptions, modelOf, priceOf, withAskOptions } from "./ask-options.ts";
import { exitCodes } from "./exit-code.ts";
import type { LakeContext } from "./lake-context.ts";
import { openLake } from "./open-lake.ts";
import { costLine, printAnswer } from "./print-answer.ts";
import type { Terminal } from "./terminal.ts";

/** `lake chat`: a conversation at the terminal. */
export function createChatCommand(context: LakeContext): Command {
  return withAskOptions(new Command("chat"))
    .description("talk with a model; /help shows what can be typed")
    .argument("[model]", "builder/name or builder/name:tag; the configured one if it is left out")
    .addHelpText("after", examples)
    .action((model: string | undefined, options: AskOptions) =>
      chat(context, modelOf(context, model), options),
    );
}

const examples = `
Examples:
  lake chat lake/travis-tiny
  lake chat lake/travis-tiny --system "You are a pirate." --max-price 0.5

Up and down recall what was typed; a line that ends in a backslash goes on in the next one. What is
said is kept in this process only. Ctrl-C stops an answer, twice or Ctrl-D ends the conversation.`;

/** What the conversation's commands work on. */
interface Conversation {
  readonly lake: Lake;
  readonly terminal: Terminal;
  readonly options: AskOptions;
  model: string;
  session: LakeSession;
}

async function chat(context: LakeContext, model: string, options: AskOptions): Promise<void> {
  const { terminal } = context;
  const lake = await openLake(context, priceOf(options));
  const talk: Conversation = {
    lake,
    terminal,
    options,
    model,
    session: lake.session(sessionOf(model, options)),
  };
  const reader = createInterface({
    input: process.stdin,
    output: process.stdout,
    historySize: 1_000,
    removeHistoryDuplicates: true,
  });
  let answering: AbortController | undefined;
  reader.on("SIGINT", () => {
    if (answering === undefined) reader.close();
    else answering.abort();
  });
  if (reader.terminal) terminal.say(`${model}: /help shows what can be typed, Ctrl-D ends.`);
  try {
    for await (const line of linesOf(reader)) {
      if (line.startsWith("/")) {
        if ((await obey(talk, line)) === "end") break;
      } else if (line.trim() !== "") {
        answering = new AbortController();
        await say(talk, line, answering.signal);
        answering = undefined;
      }
    }
  } finally {
    reader.close();
    await talk.session.close().catch(() => undefined);
    await lake.close();
  }
}

/** Lines as they are meant: a backslash at the end joins the next one. */
async function* linesOf(reader: Interface): AsyncGenerator<string> {
  let whole = "";
  let isOpen = reader.terminal;
  reader.once("close", () => (isOpen = false));
  const prompt = (text: string): void => {
    reader.setPrompt(text);
    // A script's lines may have ended while the last of them is still being answered.
    if (isOpen) reader.prompt();
  };
  prompt("› ");
  for await (const line of reader) {
    if (line.endsWith("\\")) {
      whole += `${line.slice(0, -1)}\n`;
      prompt("  ");
    } else {
      yield whole + line;
      whole = "";
      prompt("› ");
    }
  }
}

async function say(talk: Conversation, text: string, signal: AbortSignal): Promise<void> {
  const { session, terminal } = talk;
  try {
    const printed = await printAnswer(session.ask(text, { signal }), terminal);
    terminal.say(terminal.paint("dim", costLine(printed)));
  } catch (error) {
    if (signal.aborted) {
      terminal.say(terminal.paint("dim", "stopped"));
      return;
    }
    if (!(error instanceof LakeError)) throw error;
    // A conversation outlives one answer that failed: say why and let the User try again.
    terminal.say(terminal.paint("red", error.message));
    if (!process.stdin.isTTY) process.exitCode = exitCodes.failed;
  }
}

interface ChatVerb {
  readonly about: string;
  readonly run: (talk: Conversation, rest: string) => Promise<"end" | undefined> | undefined;
}

const verbs: Readonly<Record<string, ChatVerb>> = {
  help: {
    about: "this list",
    run: ({ terminal }) => {
      for (const [name, { about }] of Object.entries(verbs)) {
        terminal.say(`  /${name.padEnd(8)} ${about}`);
      }
      return undefined;
    },
  },
  new: {
    about: "forget what was said",
    run: ({ session, terminal }) => {
      session.clear();
      terminal.say("A new conversation.");
      return undefined;
    },
  },
  model: {
    about: "<handle>: go on with another model",
    run: async (talk, rest) => {
      if (rest === "") talk.terminal.say(talk.model);
      else await changeSession(talk, { model: rest });
      return undefined;
    },
  },
  system: {
    about: "<text>: begin anew with other instructions",
    run: async (talk, rest) => {
      await changeSession(talk, { system: rest });
      return undefined;
    },
  },
  models: { about: "what the network offers now", run: listModels },
  cost: {
    about: "price and Session of the last answer",
    run: ({ session, terminal }) => {
      const { cost } = session;
      if (cost === undefined) terminal.say("Nothing was paid yet.");
      else {
        const price = `${formatMorShort(cost.weiPerSecond * 3600n)} MOR/h`;
        terminal.say(`${price}, Session ${cost.sessionId} at ${cost.provider}`);
      }
      return undefined;
    },
  },
  save: {
    about: "<file>: write the conversation as JSON",
    run: ({ session, terminal }, rest) => {
      try {
        writeFileSync(rest, `${JSON.stringify(session.messages, null, 2)}\n`, { flag: "wx" });
        terminal.say(`Written to ${rest}.`);
      } catch (error) {
        terminal.say(folderError(rest, error).message);
      }
      return undefined;
    },
  },
  exit: { about: "end", run: () => Promise.resolve("end" as const) },
};

function obey(talk: Conversation, line: string): Promise<"end" | undefined> | undefined {
  const [name = "", ...words] = line.slice(1).trim().split(/\s+/);
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb !== undefined) return verb.run(talk, words.join(" "));
  talk.terminal.say(`There is no /${name.slice(0, 40)}. /help shows what there is.`);
  return undefined;
}

async function changeSession(
  talk: Conversation,
  change: { readonly model?: string; readonly system?: string },
): Promise<void> {
  await talk.session.close().catch(() => undefined);
  talk.model = change.model ?? talk.model;
  talk.session = talk.lake.session(sessionOf(talk.model, { ...talk.options, ...change }));
  talk.terminal.say(`Now talking with ${talk.model}.`);
}

async function listModels({ lake, terminal }: Conversation): Promise<undefined> {
  for (const { model, providers, weiPerSecond } of await lake.models()) {
    const price = formatMorShort(weiPerSecond * 3600n);
    terminal.say(`  ${model}  ${price} MOR/h, ${providers} Providers`);
  }
  return undefined;
}

function sessionOf(model: string, options: AskOptions): Parameters<Lake["session"]>[0] {
  const { maxPrice, maxTokens, system } = options;
  return {
    model,
    ...(system === undefined || system === "" ? {} : { system }),
    ...(maxPrice === undefined ? {} : { maxPrice }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
  };
}
