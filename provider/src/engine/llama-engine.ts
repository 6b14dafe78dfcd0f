/*
 * llama.cpp inside this process, through node-llama-cpp.
 *
 * Method: one context with one sequence for each slot. Every generation pulls tokens from its own
 * sequence, and llama.cpp computes the pending tokens of all sequences in one batch, so that slots
 * share the cost of reading the weights. The higher-level chat session of the library is not used:
 * it costs a third of the speed at one stream and adds a system prompt of its own.
 */
import { statSync } from "node:fs";
import {
  getLlama,
  type Llama,
  type LlamaContext,
  type LlamaContextSequence,
  type LlamaEmbeddingContext,
  LlamaLogLevel,
  type LlamaModel,
  type Token,
} from "node-llama-cpp";
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
import { type ChatTemplate, createChatTemplate } from "./chat-template.ts";
import { mayCallTools, withToolCalls } from "./chosen-tool-call.ts";
import { createDecodeGate } from "./decode-gate.ts";
import { describeHardware, physicalCores } from "./hardware.ts";
import { asToolCall, forcedToolCall } from "./forced-tool-call.ts";
import { generateTokens } from "./llama-generation.ts";

/** What a {@link LlamaEngine} is started with. */
export interface LlamaEngineOptions {
  /** The GGUF file. */
  readonly modelPath: string;
  readonly slots: number;
  /** Tokens of each slot; the model's own length where it is absent. */
  readonly contextLength?: number;
  /** Chosen from the model's size and the physical cores where it is absent. */
  readonly threads?: number;
  /** `auto` uses a GPU where llama.cpp finds one. */
  readonly gpu?: "auto" | false;
}

// A model's context may be far longer than this machine has memory for; users who need more say so.
const contextLengthDefaultMax = 8_192;
/** Below this size, handing work between threads costs more than a second thread computes. */
const oneThreadBytesMax = 64 * 1024 * 1024;

/** Makes the engine in a process of its own; see `ChildEngine`. */
export function createEngine(options: unknown): Engine {
  return new LlamaEngine(options as LlamaEngineOptions);
}

interface Loaded {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly template: ChatTemplate;
  readonly description: EngineDescription;
  readonly threads: number;
}

/** llama.cpp as an {@link Engine}. */
export class LlamaEngine implements Engine {
  readonly #options: LlamaEngineOptions;
  readonly #free: LlamaContextSequence[] = [];
  readonly #waiting: ((sequence: LlamaContextSequence) => void)[] = [];
  readonly #gate = createDecodeGate();
  #loaded: Loaded | undefined;
  #embedding: Promise<LlamaEmbeddingContext> | undefined;

  constructor(options: LlamaEngineOptions) {
    this.#options = options;
  }

  get description(): EngineDescription {
    return this.#need().description;
  }

  /** In process there is nothing between health and a crash. */
  get trouble(): string | undefined {
    return this.#loaded === undefined ? "The engine is not running." : undefined;
  }

  onTrouble(): () => void {
    return () => undefined;
  }

  async start(): Promise<void> {
    if (this.#loaded !== undefined) return;
    const loaded = await load(this.#options);
    this.#loaded = loaded;
    for (let slot = 0; slot < this.#options.slots; slot += 1) {
      this.#free.push(loaded.context.getSequence());
    }
  }

  async stop(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    this.#free.length = 0;
    await loaded?.llama.dispose();
  }

  generate(generation: Generation, signal: Signal): AsyncGenerator<GenerationEvent> {
    const call = forcedToolCall(generation);
    if (call === undefined) {
      const events = this.#generate(generation, signal);
      const { template } = this.#need();
      return template.takesTools && mayCallTools(generation) ? withToolCalls(events) : events;
    }
    return asToolCall(call.name, this.#generate(call.generation, signal));
  }

  #generate(generation: Generation, signal: Signal): AsyncGenerator<GenerationEvent> {
    const { model, template, description, llama } = this.#need();
    const { contextLength } = description;
    return generateTokens({
      llama,
      model,
      generation,
      signal,
      contextLength,
      gate: this.#gate,
      readPrompt: () => {
        const tokens = promptTokens(model, template, generation);
        if (tokens.length < contextLength) return tokens;
        throw contextExceeded(tokens.length, contextLength);
      },
      takeSequence: () => this.#takeSequence(),
      giveBack: (sequence) => this.#giveBack(sequence),
    });
  }

  async embed(request: EmbeddingRequest, signal: Signal): Promise<Embeddings> {
    const { model, threads, description } = this.#need();
    this.#embedding ??= model.createEmbeddingContext({
      contextSize: description.contextLength,
      threads,
    });
    const context = await this.#embedding;
    const vectors: number[][] = [];
    let total = 0;
    for (const text of request.input) {
      if (signal.aborted) throw signal.reason;
      const tokens = model.tokenize(text);
      if (tokens.length >= description.contextLength) {
        throw contextExceeded(tokens.length, description.contextLength);
      }
      total += tokens.length;
      const { vector } = await context.getEmbeddingFor(tokens);
      vectors.push([...vector]);
    }
    return { vectors, promptTokens: total };
  }

  classify(): Promise<Classifications> {
    return Promise.reject(
      new LakeError("model-input-invalid", "This model generates text; it does not classify.", {
        advice: "Use /v1/chat/completions.",
      }),
    );
  }

  #need(): Loaded {
    if (this.#loaded === undefined) {
      throw new LakeError("engine-failed", "The engine is not running.");
    }
    return this.#loaded;
  }

  #takeSequence(): Promise<LlamaContextSequence> {
    const sequence = this.#free.pop();
    if (sequence !== undefined) return Promise.resolve(sequence);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async #giveBack(sequence: LlamaContextSequence): Promise<void> {
    if (this.#loaded === undefined) return;
    // Nothing of one User's prompt may speed up, and so betray itself to, another one's.
    await this.#gate.alone(() => sequence.clearHistory());
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(sequence);
    else next(sequence);
  }
}

async function load(options: LlamaEngineOptions): Promise<Loaded> {
  try {
    const llama = await getLlama({
      gpu: options.gpu ?? "auto",
      build: "never",
      skipDownload: true,
      progressLogs: false,
      logLevel: LlamaLogLevel.error,
    });
    const model = await llama.loadModel({ modelPath: options.modelPath });
    const contextSize =
      options.contextLength ?? Math.min(model.trainContextSize, contextLengthDefaultMax);
    const threads = options.threads ?? threadsFor(options.modelPath);
    const context = await model.createContext({
      sequences: options.slots,
      contextSize,
      batchSize: Math.min(contextSize, 512),
      threads,
    });
    const template = createChatTemplate(model.fileInfo.metadata.tokenizer.chat_template, {
      bos: model.tokens.bosString ?? "",
      eos: model.tokens.eosString ?? "",
    });
    const gpus = llama.gpu === false ? [] : await llama.getGpuDeviceNames();
    const description = describe({ slots: options.slots, contextSize, gpus, template });
    return { llama, model, context, template, description, threads };
  } catch (cause) {
    throw new LakeError("engine-failed", "llama.cpp cannot load this model.", {
      advice: "Check that the file is a GGUF model and that there is memory for it.",
      cause,
    });
  }
}

function describe(facts: {
  readonly slots: number;
  readonly contextSize: number;
  readonly gpus: readonly string[];
  readonly template: ChatTemplate;
}): EngineDescription {
  return {
    engineClass: "llama.cpp",
    hardwareClass: describeHardware(facts.gpus).hardwareClass,
    contextLength: facts.contextSize,
    slots: facts.slots,
    capabilities: {
      chat: true,
      completions: true,
      embeddings: true,
      classify: false,
      jsonSchema: true,
      grammar: true,
      logprobs: true,
      tools: facts.template.takesTools,
      continues: true,
    },
  };
}

function threadsFor(modelPath: string): number {
  return statSync(modelPath).size <= oneThreadBytesMax ? 1 : physicalCores();
}

function promptTokens(model: LlamaModel, template: ChatTemplate, generation: Generation): Token[] {
  const text =
    generation.kind === "chat" ? template.render(generation.request) : generation.request.prompt;
  const tokens = model.tokenize(text, generation.kind === "chat");
  const { bos, shouldPrependBosToken } = model.tokens;
  if (shouldPrependBosToken && bos !== null && tokens[0] !== bos) tokens.unshift(bos);
  return tokens;
}

function contextExceeded(promptLength: number, contextLength: number): LakeError {
  return new LakeError(
    "context-length-exceeded",
    `The prompt has ${promptLength} tokens; this model reads ${contextLength - 1} at most.`,
    {
      advice: "Shorten the conversation.",
      data: { promptTokens: promptLength, contextLength, param: "messages" },
    },
  );
}
