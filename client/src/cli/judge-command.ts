import { readFileSync, statSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { Command } from "commander";
import {
  type Baseline,
  baselineFromJson,
  baselineHash,
  genesisBaseline,
  LakeError,
  verdictLimits,
  verdictLine,
} from "@lake-travis/protocol";
import { judgeFile } from "../audit/judge-file.ts";

interface JudgeFlags {
  readonly baseline?: string;
  readonly writeBaseline?: string;
  readonly anyOrder?: boolean;
}

const examples = `
Examples:
  lake judge records.jsonl > verdicts.jsonl
  lake judge tuesday.jsonl --baseline monday.json --write-baseline tuesday.json`;

/** `lake judge <records.jsonl>`: one JSON line per Record on standard output. */
export function judgeCommand(): Command {
  return new Command("judge")
    .description("infer a verdict for each Record of a file, by the published formula")
    .argument("<records>", "JSON Lines, one Record each, as docs/records.md describes")
    .option("--baseline <file>", "what the epoch before handed on; without it the published prior")
    .option("--write-baseline <file>", "keep what the next epoch begins with")
    .option("--any-order", "take Records that are not in the order of time")
    .option("--json", "verdicts are JSON lines in any case")
    .addHelpText("after", examples)
    .action(judge);
}

async function judge(path: string, flags: JudgeFlags): Promise<void> {
  const output = new LineOutput(process.stdout);
  const found = await judgeFile({
    path,
    baseline: flags.baseline === undefined ? genesisBaseline : readBaseline(flags.baseline),
    anyOrder: flags.anyOrder ?? false,
    onVerdict: (verdict) => output.write(verdictLine(verdict)),
  });
  await output.end();
  const { records, epochs, failed, reviewed, baseline } = found;
  if (flags.writeBaseline !== undefined) {
    writeFileSync(flags.writeBaseline, `${JSON.stringify(baseline)}\n`);
  }
  const sums = `${records} Records of ${epochs} epochs: ${failed} fail, ${reviewed} for review`;
  process.stderr.write(`${sums}; next baseline ${baselineHash(baseline)}\n`);
}

function readBaseline(path: string): Baseline {
  let value: unknown;
  try {
    if (statSync(path).size > verdictLimits.baselineBytesMax) throw new Error("too large");
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new LakeError("argument-invalid", `The baseline ${path} cannot be read.`, { cause });
  }
  return baselineFromJson(value);
}

/** Lines to a stream in large pieces, waiting where it is slower than we are. */
class LineOutput {
  readonly #stream: NodeJS.WriteStream;
  #text = "";

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  write(line: string): Promise<void> | undefined {
    this.#text += `${line}\n`;
    return this.#text.length >= pieceLength ? this.#flush() : undefined;
  }

  async end(): Promise<void> {
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const text = this.#text;
    this.#text = "";
    if (text !== "" && !this.#stream.write(text, "latin1")) await once(this.#stream, "drain");
  }
}

const pieceLength = 256 * 1024;
