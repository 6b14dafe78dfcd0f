import { LakeError } from "@lake-travis/protocol";

/** What a step found: plain figures for people and programs. */
export type Figures = Readonly<Record<string, string | number | boolean>>;

/** Prints the workflow, one line a step. */
export interface StepPrinter {
  /** Runs a step; prints what it returns, or what it threw before throwing it again. */
  step(name: string, work: () => Promise<StepResult>): Promise<void>;
  /** A line between steps, for people only. */
  say(line: string): void;
}

/** The line and the figures of a step that was verified. */
export interface StepResult {
  /** What happened, in words. */
  readonly line: string;
  readonly figures: Figures;
}

/** Makes a printer that writes lines for people, or JSON lines with `json`. */
export function createStepPrinter(options: {
  readonly json: boolean;
  readonly write: (text: string) => void;
  readonly now: () => number;
}): StepPrinter {
  const { json, write, now } = options;
  let number = 0;
  return {
    say: (line) => {
      if (!json) write(`${line}\n`);
    },
    async step(name, work) {
      number += 1;
      const startedAt = now();
      try {
        const { figures, line } = await work();
        const ms = Math.round(now() - startedAt);
        if (json) write(`${JSON.stringify({ step: number, name, ok: true, ms, ...figures })}\n`);
        else write(`${lineStart(number, true)} ${line} (${(ms / 1000).toFixed(1)} s)\n`);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        const code = error instanceof LakeError ? error.code : "internal";
        if (json) write(`${JSON.stringify({ step: number, name, ok: false, code, message })}\n`);
        else write(`${lineStart(number, false)} ${name}: ${message}\n`);
        throw error;
      }
    },
  };
}

/** Throws `step-unverified` unless what a step performed is also true. */
export function verify(condition: boolean, sentence: string): asserts condition {
  if (condition) return;
  throw new LakeError("step-unverified", `Not true: ${sentence}.`, {
    advice: "The logs' folder says what each process did.",
  });
}

function lineStart(number: number, ok: boolean): string {
  return `${String(number).padStart(2)} ${ok ? "✓" : "✗"}`;
}
