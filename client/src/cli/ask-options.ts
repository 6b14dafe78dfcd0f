import { Command, InvalidArgumentError, Option } from "commander";
import { LakeError, parseMor } from "@lake-travis/protocol";
import type { LakeContext } from "./lake-context.ts";

/** What may be said about an answer beside the question. */
export interface AskOptions {
  readonly system?: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly maxPrice?: string;
}

/** Adds the options of {@link AskOptions} to a command. */
export function withAskOptions(command: Command): Command {
  return command
    .option("--system <text>", "instructions that come first")
    .addOption(new Option("--max-tokens <n>", "longest answer").argParser(wholeNumber))
    .addOption(new Option("--temperature <t>", "0 is the likeliest answer").argParser(figure))
    .option("--max-price <MOR>", "highest whole price in MOR an hour");
}

/** The model that a command names, or the configured one. */
export function modelOf(context: LakeContext, named: string | undefined): string {
  const model = named ?? context.place().config.model;
  if (model !== undefined) return model;
  throw new LakeError("argument-invalid", "Which model?", {
    advice: "Name one (lake models lists them), or set one with lake config set model <handle>.",
  });
}

/** A price in wei of MOR an hour, where one was named; throws `argument-invalid`. */
export function priceOf({ maxPrice }: AskOptions): { readonly maxPrice?: bigint } {
  return maxPrice === undefined ? {} : { maxPrice: parseMor(maxPrice) };
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number above 0.");
}

function figure(text: string): number {
  if (/^\d{1,2}(\.\d{1,6})?$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a number such as 0.7.");
}
