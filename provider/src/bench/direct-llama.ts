import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { getLlama, LlamaLogLevel } from "node-llama-cpp";

/** What one direct run gave. */
export interface DirectRun {
  readonly tokensPerSecond: number;
  readonly ttftMs: number;
  readonly text: string;
}

/** What a direct run is asked for. */
export interface DirectOrder {
  readonly streams: number;
  readonly tokens: number;
  readonly prompt: string;
}

/**
 * llama.cpp used directly, in a process that does nothing else: what the Provider is compared with.
 */
export class DirectLlama {
  readonly #child;

  constructor(modelPath: string, streamsMax: number) {
    this.#child = fork(fileURLToPath(import.meta.url), [modelPath, String(streamsMax)], {
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
  }

  run(order: DirectOrder): Promise<DirectRun> {
    return new Promise((resolve, reject) => {
      const onExit = (): void => reject(new Error("the direct engine ended"));
      this.#child.once("exit", onExit);
      this.#child.once("message", (run: DirectRun) => {
        this.#child.off("exit", onExit);
        resolve(run);
      });
      this.#child.send(order);
    });
  }

  stop(): void {
    this.#child.kill();
  }
}

async function serve(modelPath: string, streamsMax: number): Promise<void> {
  const llama = await getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    logLevel: LlamaLogLevel.error,
  });
  const model = await llama.loadModel({ modelPath });
  const context = await model.createContext({
    sequences: streamsMax,
    contextSize: 512,
    batchSize: 512,
    threads: 1,
  });
  const sequences = Array.from({ length: streamsMax }, () => context.getSequence());
  process.on("message", (order: DirectOrder) => {
    void (async () => {
      const begun = performance.now();
      const chosen = sequences.slice(0, order.streams);
      const runs = await Promise.all(
        chosen.map(async (sequence) => {
          await sequence.clearHistory();
          const output = [];
          let text = "";
          let firstAt = 0;
          const options = { temperature: 0, yieldEogToken: true };
          const input = model.tokenize(order.prompt, true);
          for await (const token of sequence.evaluate(input, options)) {
            if (output.length === 0) firstAt = performance.now();
            output.push(token);
            // Text is what any user of an engine wants, so writing it is part of the work.
            text += model.detokenize([token], false, output.slice(-9, -1));
            if (output.length >= order.tokens) break;
          }
          return { tokens: output.length, ttftMs: firstAt - begun, text };
        }),
      );
      const seconds = (performance.now() - begun) / 1_000;
      const tokens = runs.reduce((sum, run) => sum + run.tokens, 0);
      const [first] = runs;
      process.send?.({
        tokensPerSecond: tokens / seconds,
        ttftMs: first?.ttftMs ?? 0,
        text: first?.text ?? "",
      });
    })();
  });
}

if (process.send !== undefined && process.argv[2] !== undefined) {
  await serve(process.argv[2], Number(process.argv[3]));
}
