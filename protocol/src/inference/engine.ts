import type { Hex } from "../hex.ts";
import type { Signal } from "../ports/clock.ts";
import type { Startable } from "../ports/startable.ts";
import type { ChatRequest } from "./chat-request.ts";
import type { ClassifyRequest } from "./classify-request.ts";
import type { CompletionRequest } from "./completion-request.ts";
import type { EmbeddingRequest } from "./embedding-request.ts";
import type { FinishReason, TokenLogprob } from "./openai-answers.ts";

/** What an engine can be asked for. */
export interface EngineCapabilities {
  readonly chat: boolean;
  readonly completions: boolean;
  readonly embeddings: boolean;
  readonly classify: boolean;
  /** `response_format` with a JSON schema is obeyed, not only requested. */
  readonly jsonSchema: boolean;
  /** `grammar` in GBNF is obeyed. */
  readonly grammar: boolean;
  readonly logprobs: boolean;
  readonly tools: boolean;
  /** A chat with `continue_final_message` goes on with its last message; absent: it may not. */
  readonly continues?: boolean;
}

/** What an engine is; known once it has started. */
export interface EngineDescription {
  /** A slug such as `llama.cpp`, `openai-compatible`, `onnx`: the Offer's `engineClass`. */
  readonly engineClass: string;
  /** A slug such as `cpu-x64-2`: the Offer's `hardwareClass`. */
  readonly hardwareClass: string;
  /** Tokens of prompt and answer together; 0 where there is no such bound or it is not known. */
  readonly contextLength: number;
  /** How many generations run at once; more wait. */
  readonly slots: number;
  readonly capabilities: EngineCapabilities;
  /** What a classifier reads and tells; absent where the engine does not classify. */
  readonly classifier?: Classifier;
}

/** The two ends of a classifier. */
export interface Classifier {
  /** Sizes of one input, outermost first; a request's list of numbers fills it row by row. */
  readonly inputShape: readonly number[];
  readonly labels: readonly string[];
}

/** One thing to generate. */
export type Generation =
  | { readonly kind: "chat"; readonly request: ChatRequest }
  | { readonly kind: "completion"; readonly request: CompletionRequest };

/** What happens while an engine generates, in this order: one prompt, deltas, one end. */
export type GenerationEvent =
  | { readonly type: "prompt-read"; readonly promptTokens: number }
  | {
      readonly type: "token-delta";
      readonly text: string;
      /** Tokens behind this text: 0 for a tail that was held back, 1 as a rule. */
      readonly tokens: number;
      readonly logprobs?: readonly TokenLogprob[];
      /** Further fields of the delta, as the engine wrote them (`tool_calls`, reasoning). */
      readonly extra?: Readonly<Record<string, unknown>>;
    }
  | {
      readonly type: "generation-ended";
      readonly finishReason: FinishReason;
      readonly promptTokens: number;
      readonly completionTokens: number;
    };

/** Vectors, one for each input. */
export interface Embeddings {
  readonly vectors: readonly (readonly number[])[];
  readonly promptTokens: number;
}

/** Class probabilities, one list for each input, in the order of `labels`. */
export interface Classifications {
  readonly labels: readonly string[];
  readonly probabilities: readonly (readonly number[])[];
}

/**
 * Something that infers: the one port behind every engine.
 *
 * Consumers pull: an engine makes no more than one event ahead of its reader, so a slow reader
 * costs no memory. An aborted signal, or a reader that leaves its loop, stops the work within one
 * token. Failures are `model-input-invalid`, `context-length-exceeded` (the User's), `slots-full`
 * or `engine-failed` (the engine's).
 */
export interface Engine extends Startable {
  /** Throws `engine-failed` before the engine has started. */
  readonly description: EngineDescription;
  /** Undefined while the engine can serve, else the sentence that says why it cannot. */
  readonly trouble: string | undefined;
  /** Calls `listener` at each change of `trouble`; the result stops that. */
  onTrouble(listener: (trouble: string | undefined) => void): () => void;
  generate(generation: Generation, signal: Signal): AsyncIterable<GenerationEvent>;
  embed(request: EmbeddingRequest, signal: Signal): Promise<Embeddings>;
  classify(request: ClassifyRequest, signal: Signal): Promise<Classifications>;
  /**
   * Answers a Router's challenge, by the process that computes: `ChallengeAnswer.digest` for this
   * nonce. Absent where this machine has no hold of the weights.
   */
  prove?(nonce: Hex, signal: Signal): Promise<Hex>;
}
