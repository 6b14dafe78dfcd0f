import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** One line of `npm start -- --json`. */
export type StepLine = Readonly<Record<string, unknown>> & {
  readonly step: number;
  readonly name: string;
  readonly ok: boolean;
};

/** A local network that was started as a user starts it. */
export interface StartedNetwork {
  readonly process: ChildProcess;
  readonly steps: readonly StepLine[];
  readonly stderr: () => string;
  /** Resolves with the step of this name; rejects if the process ends before. */
  step(name: string): Promise<StepLine>;
  readonly exited: Promise<number | null>;
}

const launcher = fileURLToPath(new URL("../../../install/launch.mjs", import.meta.url));
const entry = fileURLToPath(new URL("../main.ts", import.meta.url));

/** Starts the local network as `npm start -- <args>` does. */
export function startNetwork(args: readonly string[]): StartedNetwork {
  const child = spawn(process.execPath, [launcher, entry, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const steps: StepLine[] = [];
  const waiting = new Map<string, (line: StepLine) => void>();
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  createInterface({ input: child.stdout }).on("line", (text) => {
    if (!text.startsWith("{")) return;
    const line = JSON.parse(text) as StepLine;
    steps.push(line);
    waiting.get(line.name)?.(line);
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return {
    process: child,
    steps,
    stderr: () => stderr,
    exited,
    step: (name) => {
      const known = steps.find((line) => line.name === name);
      if (known !== undefined) return Promise.resolve(known);
      return new Promise((resolve, reject) => {
        waiting.set(name, resolve);
        void exited.then((code) => {
          const last = JSON.stringify(steps.at(-1) ?? null);
          reject(new Error(`ended with ${code ?? "a signal"} before '${name}': ${last} ${stderr}`));
        });
      });
    },
  };
}
