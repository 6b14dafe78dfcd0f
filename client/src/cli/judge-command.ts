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

/** Lines of ASCII to a stream in large pieces, waiting where it is slower than we are. */
class LineOutput {
  readonly #stream: NodeJS.WriteStream;
  // Not joined as strings: ten million lines would be copied twice more.
  #bytes = Buffer.allocUnsafe(pieceBytes);
  #used = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  write(line: string): Promise<void> | undefined {
    const room = pieceBytes - this.#used;
    const wait = line.length + 1 > room ? this.#flush() : undefined;
    this.#used += this.#bytes.write(line, this.#used, "latin1");
    this.#bytes[this.#used] = newline;
    this.#used += 1;
    return wait;
  }

  async end(): Promise<void> {
    await this.#flush();
  }

  /** Gives the stream what is there, which is its own from then on. */
  #flush(): Promise<void> | undefined {
    const bytes = this.#bytes.subarray(0, this.#used);
    this.#bytes = Buffer.allocUnsafe(pieceBytes);
    this.#used = 0;
    return this.#stream.write(bytes) ? undefined : drained(this.#stream);
  }
}

async function drained(stream: NodeJS.WriteStream): Promise<void> {
  await once(stream, "drain");
}

const newline = 10;
/** Far longer than a line, which names at most 200 characters and all reasons. */
const pieceBytes = 256 * 1024;
