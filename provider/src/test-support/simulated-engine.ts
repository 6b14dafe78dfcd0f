import { LakeError, type Signal } from "@lake-travis/protocol";
import type {
  Classifications,
  Embeddings,
  EmbeddingRequest,
  Engine,
  EngineDescription,
  Generation,
  GenerationEvent,
} from "@lake-travis/protocol/inference";
import { createStopScanner, stopsOf } from "../engine/stop-scanner.ts";

/** How a {@link SimulatedEngine} behaves. */
export interface SimulatedEngineOptions {
  readonly slots?: number;
  /** Pause before each token; 0 emits at full speed. */
  readonly tokenMs?: number;
  readonly tokens?: number;
  /** Fails after so many tokens. */
  readonly failAfter?: number;
}

/** An engine without a model, with the same promises as the real ones. */
export class SimulatedEngine implements Engine {
  readonly options: SimulatedEngineOptions;
  /** Tokens made so far, also those that nobody read. */
  tokensMade = 0;
  #isRunning = false;
  #trouble: string | undefined;
  readonly #listeners = new Set<(trouble: string | undefined) => void>();

  constructor(options: SimulatedEngineOptions = {}) {
    this.options = options;
  }

  get description(): EngineDescription {
    if (!this.#isRunning) throw new LakeError("engine-failed", "The engine is not running.");
    return {
      engineClass: "simulated",
      hardwareClass: "cpu-simulated",
      contextLength: 4_096,
      slots: this.options.slots ?? 4,
      capabilities: {
        chat: true,
        completions: true,
        embeddings: true,
        classify: false,
        jsonSchema: false,
        grammar: false,
        logprobs: false,
        tools: false,
      },
    };
  }

  get trouble(): string | undefined {
    return this.#isRunning ? this.#trouble : "The engine is not running.";
  }

  /** Makes the engine ill, or well again. */
  setTrouble(trouble: string | undefined): void {
    this.#trouble = trouble;
    for (const listener of this.#listeners) listener(trouble);
  }

  onTrouble(listener: (trouble: string | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): Promise<void> {
    this.#isRunning = true;
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#isRunning = false;
    return Promise.resolve();
  }

  async *generate(generation: Generation, signal: Signal): AsyncGenerator<GenerationEvent> {
    const promptTokens = JSON.stringify(generation.request).length >> 2;
    if (promptTokens >= 4_096) {
      throw new LakeError("context-length-exceeded", "The prompt is too long.");
    }
    const { tokenMs = 0, tokens = 16, failAfter = Infinity } = this.options;
    const tokensMax = Math.min(tokens, generation.request.max_tokens ?? tokens);
    yield { type: "prompt-read", promptTokens };
    const scanner = createStopScanner(stopsOf(generation.request.stop));
    let stopped = false;
    let made = 0;
    for (; made < tokensMax && !stopped; made += 1) {
      if (tokenMs > 0) await new Promise((resolve) => setTimeout(resolve, tokenMs));
      if (signal.aborted) throw signal.reason;
      if (made >= failAfter) throw new Error("the simulated engine fails here");
      this.tokensMade += 1;
      const scanned = scanner.push(`t${made} `);
      stopped = scanned.stopped;
      yield { type: "token-delta", text: scanned.text, tokens: 1 };
    }
    if (!stopped) yield { type: "token-delta", text: scanner.flush(), tokens: 0 };
    const finishReason = !stopped && tokensMax < tokens ? "length" : "stop";
    yield { type: "generation-ended", finishReason, promptTokens, completionTokens: made };
  }

  embed(request: EmbeddingRequest): Promise<Embeddings> {
    const vectors = request.input.map((text) => [text.length, 1, 0]);
    return Promise.resolve({ vectors, promptTokens: request.input.length });
  }

  classify(): Promise<Classifications> {
    return Promise.reject(new LakeError("model-input-invalid", "This engine does not classify."));
  }
}
