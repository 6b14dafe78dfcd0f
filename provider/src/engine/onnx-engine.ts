/*
 * ONNX Runtime for inference of predetermined length: classifiers of images and of table rows.
 *
 * The WebAssembly build is what comes along: a stranger's model is computed inside its sandbox,
 * on every platform, at 15 MB installed. Where an owner has installed `onnxruntime-node`, that
 * native build is used instead (see docs/engines.md).
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { InferenceSession, Tensor } from "onnxruntime-web";
import { LakeError, type Signal } from "@lake-travis/protocol";
import type {
  Classifications,
  Classifier,
  ClassifyRequest,
  Embeddings,
  Engine,
  EngineDescription,
  GenerationEvent,
} from "@lake-travis/protocol/inference";
import { describeHardware, physicalCores } from "./hardware.ts";
import { readLabels } from "./read-labels.ts";
import {
  describeGraph,
  isProbabilities,
  type OnnxGraph,
  probabilitiesOf,
  tensorData,
} from "./onnx-graph.ts";

/** What an {@link OnnxEngine} is started with. */
export interface OnnxEngineOptions {
  /** The `.onnx` file; its labels and further weights lie beside it. */
  readonly modelPath: string;
  readonly slots: number;
}

/** Makes the engine in a process of its own; see `ChildEngine`. */
export function createEngine(options: unknown): Engine {
  return new OnnxEngine(options as OnnxEngineOptions);
}

type Runtime = typeof import("onnxruntime-web");

interface Loaded {
  readonly runtime: Runtime;
  readonly session: InferenceSession;
  readonly graph: OnnxGraph;
  readonly classifier: Classifier;
  /** The model's outputs are probabilities already; others are made so by a softmax. */
  readonly givesProbabilities: boolean;
}

/** Below this size, handing work between threads costs more than a second thread computes. */
const oneThreadBytesMax = 16 * 1024 * 1024;
/** Numbers of one run: what a batch gains is gained by then, and a cancellation waits no longer. */
const batchNumbersMax = 65_536;

/** ONNX Runtime as an {@link Engine}. */
export class OnnxEngine implements Engine {
  readonly #options: OnnxEngineOptions;
  #loaded: Loaded | undefined;
  /** Runs go one after the other: one session computes one batch at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: OnnxEngineOptions) {
    this.#options = options;
  }

  get description(): EngineDescription {
    const { classifier } = this.#need();
    return {
      engineClass: "onnx",
      hardwareClass: describeHardware().hardwareClass,
      contextLength: 0,
      slots: this.#options.slots,
      capabilities: { ...nothing, classify: true },
      classifier,
    };
  }

  get trouble(): string | undefined {
    return this.#loaded === undefined ? "The engine is not running." : undefined;
  }

  onTrouble(): () => void {
    return () => undefined;
  }

  /** Throws `engine-failed` where the file is no classifier that ONNX Runtime can run. */
  async start(): Promise<void> {
    if (this.#loaded !== undefined) return;
    try {
      this.#loaded = await load(this.#options.modelPath);
    } catch (cause) {
      if (cause instanceof LakeError) throw cause;
      throw new LakeError("engine-failed", "ONNX Runtime cannot load this model.", {
        advice: "Check that the file is an ONNX model and that there is memory for it.",
        cause,
      });
    }
  }

  async stop(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    await this.#last.catch(() => undefined);
    await loaded?.session.release();
  }

  async *generate(): AsyncGenerator<GenerationEvent> {
    yield Promise.reject(cannot("generate text"));
  }

  embed(): Promise<Embeddings> {
    return Promise.reject(cannot("embed"));
  }

  classify(request: ClassifyRequest, signal: Signal): Promise<Classifications> {
    const result = this.#last.then(() => this.#classify(request, signal));
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #classify(request: ClassifyRequest, signal: Signal): Promise<Classifications> {
    const loaded = this.#need();
    const { graph, classifier } = loaded;
    for (const [index, row] of request.input.entries()) {
      if (row.length === graph.inputLength) continue;
      throw new LakeError(
        "model-input-invalid",
        `Input ${index} has ${row.length} numbers; this model reads ${graph.inputLength}.`,
        { data: { param: "input", expected: graph.inputLength } },
      );
    }
    const probabilities: number[][] = [];
    const step = graph.isBatched ? batchRows(graph.inputLength) : 1;
    for (let from = 0; from < request.input.length; from += step) {
      if (signal.aborted) throw signal.reason;
      const rows = await run(loaded, request.input.slice(from, from + step));
      const { givesProbabilities } = loaded;
      probabilities.push(...rows.map((row) => probabilitiesOf(row, givesProbabilities)));
      // Lets a cancellation in between two batches.
      if (from + step < request.input.length) await turnOver();
    }
    return { labels: classifier.labels, probabilities };
  }

  #need(): Loaded {
    if (this.#loaded === undefined) {
      throw new LakeError("engine-failed", "The engine is not running.");
    }
    return this.#loaded;
  }
}

const nothing = {
  chat: false,
  completions: false,
  embeddings: false,
  classify: false,
  jsonSchema: false,
  grammar: false,
  logprobs: false,
  tools: false,
} as const;

async function load(modelPath: string): Promise<Loaded> {
  const runtime = await importRuntime();
  const { size } = statSync(modelPath);
  const threads = size <= oneThreadBytesMax ? 1 : physicalCores();
  runtime.env.wasm.numThreads = threads;
  const externalData = readExternalData(modelPath);
  const session = await runtime.InferenceSession.create(readFileSync(modelPath), {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // Its warnings quote the model's own names; errors come as exceptions.
    logSeverityLevel: 4,
    ...(externalData.length === 0 ? {} : { externalData }),
  });
  const graph = describeGraph(session);
  const half = new Array<number>(graph.inputLength).fill(0.5);
  const unlabelled = { runtime, session, graph };
  const [probe = []] = await run(unlabelled, [half]);
  const givesProbabilities = isProbabilities(probe);
  const classes = probabilitiesOf(probe, givesProbabilities).length;
  const labels = readLabels(dirname(modelPath), classes);
  const classifier = { inputShape: graph.inputShape, labels };
  return { ...unlabelled, classifier, givesProbabilities };
}

async function importRuntime(): Promise<Runtime> {
  // Not in package.json: 113 MB to download that most Providers would never use.
  const native: string = "onnxruntime-node";
  try {
    return (await import(native)) as Runtime;
  } catch (cause) {
    if ((cause as { code?: string }).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    return await import("onnxruntime-web");
  }
}

/** Weights that lie in files beside the model, under the names that the graph calls them. */
function readExternalData(modelPath: string): { readonly path: string; readonly data: Buffer }[] {
  const folder = dirname(modelPath);
  const names = readdirSync(folder).filter((name) => {
    return name !== basename(modelPath) && /[._](data|weights|bin)$/.test(name);
  });
  return names.map((path) => ({ path, data: readFileSync(join(folder, path)) }));
}

async function run(
  loaded: Pick<Loaded, "runtime" | "session" | "graph">,
  rows: readonly (readonly number[])[],
): Promise<number[][]> {
  const { runtime, session, graph } = loaded;
  const { inputName, inputType, inputShape, outputName } = graph;
  const input = new runtime.Tensor(inputType, tensorData(inputType, rows) as Float32Array, [
    rows.length,
    ...inputShape,
  ]);
  const outputs = await session.run({ [inputName]: input }, [outputName]);
  const output = outputs[outputName] as Tensor;
  const numbers = Array.from(output.data as Float32Array, Number);
  const width = numbers.length / rows.length;
  output.dispose();
  input.dispose();
  return rows.map((_row, index) => numbers.slice(index * width, (index + 1) * width));
}

function batchRows(inputLength: number): number {
  return Math.max(1, Math.floor(batchNumbersMax / inputLength));
}

function turnOver(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function cannot(verb: string): LakeError {
  return new LakeError("model-input-invalid", `This model classifies; it does not ${verb}.`, {
    advice: "Use /v1/classify.",
  });
}
