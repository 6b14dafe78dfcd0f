/*
 * What the OpenAI endpoints answer, as Providers write it and clients read it. A reader must bear
 * fields that are not listed here: other servers add their own, and they are passed on.
 */

/** Tokens that a request took. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly [extra: string]: unknown;
}

/** Why an answer ended. */
export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "function_call";

/** One token with its natural logarithm of probability, and the likeliest others. */
export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[] | null;
  readonly top_logprobs: readonly Omit<TokenLogprob, "top_logprobs">[];
}

/** What one chunk adds to a choice. */
export interface ChatDelta {
  readonly role?: "assistant";
  readonly content?: string | null;
  readonly [extra: string]: unknown;
}

/** One `data:` line of a streamed chat completion. */
export interface ChatCompletionChunk {
  readonly id: string;
  readonly object: "chat.completion.chunk";
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly delta: ChatDelta;
    readonly logprobs?: { readonly content: readonly TokenLogprob[] } | null;
    readonly finish_reason: FinishReason | null;
  }[];
  readonly usage?: Usage | null;
  readonly [extra: string]: unknown;
}

/** An unstreamed chat completion. */
export interface ChatCompletion {
  readonly id: string;
  readonly object: "chat.completion";
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly message: {
      readonly role: "assistant";
      readonly content: string | null;
      readonly [extra: string]: unknown;
    };
    readonly logprobs: { readonly content: readonly TokenLogprob[] } | null;
    readonly finish_reason: FinishReason | null;
  }[];
  readonly usage: Usage;
  readonly [extra: string]: unknown;
}

/** A plain completion; streamed, each `data:` line has this shape too. */
export interface Completion {
  readonly id: string;
  readonly object: "text_completion";
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly text: string;
    readonly logprobs: null;
    readonly finish_reason: FinishReason | null;
  }[];
  readonly usage?: Usage | null;
}

/** The answer of `/v1/embeddings`. */
export interface EmbeddingList {
  readonly object: "list";
  readonly model: string;
  readonly data: readonly {
    readonly object: "embedding";
    readonly index: number;
    /** Base64 of little-endian 32-bit floats where the request asked for it. */
    readonly embedding: readonly number[] | string;
  }[];
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
}

/** The answer of `/v1/classify`: for each input its classes, the likeliest first. */
export interface ClassificationList {
  readonly object: "list";
  readonly model: string;
  readonly data: readonly {
    readonly object: "classification";
    readonly index: number;
    readonly classes: readonly { readonly label: string; readonly probability: number }[];
  }[];
  readonly usage: { readonly inferences: number };
}

/** The answer of `/v1/models`. */
export interface ModelList {
  readonly object: "list";
  readonly data: readonly {
    readonly id: string;
    readonly object: "model";
    /** Unix seconds. */
    readonly created: number;
    readonly owned_by: string;
    readonly [extra: string]: unknown;
  }[];
}
