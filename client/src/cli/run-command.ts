import { text as readAll } from "node:stream/consumers";
import { Command } from "commander";
import { LakeError } from "@lake-travis/protocol";
import { type AskOptions, modelOf, priceOf, withAskOptions } from "./ask-options.ts";
import type { LakeContext } from "./lake-context.ts";
import { openLake } from "./open-lake.ts";
import { answerToJson, costLine, printAnswer } from "./print-answer.ts";
import { whileInterruptible } from "./while-interruptible.ts";

/** `lake run`: one question, one answer. */
export function createRunCommand(context: LakeContext): Command {
  return withAskOptions(new Command("run"))
    .description("ask a model once and print its answer as it comes")
    .argument("[model]", "builder/name or builder/name:tag; the configured one if it is left out")
    .argument("[prompt...]", "the question; - or nothing reads it from standard input")
    .addHelpText("after", examples)
    .action((model: string | undefined, prompt: string[], options: AskOptions) =>
      run(context, { model, prompt }, options),
    );
}

const examples = `
Examples:
  lake run lake/travis-tiny "What is a tick?"
  lake run lake/travis-tiny --system "Answer in one word." "Who pays the Builder?"
  cat notes.txt | lake run lake/travis-tiny -
  lake --json run lake/travis-tiny "Hello" | jq .text`;

async function run(
  context: LakeContext,
  asked: { readonly model: string | undefined; readonly prompt: readonly string[] },
  options: AskOptions,
): Promise<void> {
  const { terminal } = context;
  const model = modelOf(context, asked.model);
  const prompt = await promptOf(asked.prompt);
  const price = priceOf(options);
  const { maxPrice, maxTokens, system, temperature } = options;
  await whileInterruptible(async (signal) => {
    const lake = await openLake(context, price);
    try {
      const answer = lake.chat({
        model,
        messages: [
          ...(system === undefined ? [] : [{ role: "system" as const, content: system }]),
          { role: "user", content: prompt },
        ],
        signal,
        ...(maxPrice === undefined ? {} : { maxPrice }),
        ...(maxTokens === undefined ? {} : { maxTokens }),
        ...(temperature === undefined ? {} : { temperature }),
      });
      const printed = await printAnswer(answer, terminal);
      if (terminal.json) terminal.result(answerToJson(printed, model), "");
      else if (terminal.output.isTTY) terminal.say(terminal.paint("dim", costLine(printed)));
    } finally {
      await lake.close();
    }
  });
}

/** A prompt is words, not a file; larger ones belong in documents. */
const promptCharsMax = 4 * 1024 * 1024;

async function promptOf(words: readonly string[]): Promise<string> {
  const isPiped = words.length === 0 || (words.length === 1 && words[0] === "-");
  if (isPiped && words.length === 0 && process.stdin.isTTY) {
    throw new LakeError("argument-invalid", "What shall the model be asked?", {
      advice: 'Write lake run builder/model "your question", or try lake chat.',
    });
  }
  const prompt = isPiped ? await readAll(process.stdin) : words.join(" ");
  if (prompt.trim() === "" || prompt.length > promptCharsMax) {
    throw new LakeError("argument-invalid", "The question is empty or too long.");
  }
  return prompt;
}
