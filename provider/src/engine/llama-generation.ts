import {
  type Llama,
  type LlamaContextSequence,
  type LlamaGrammar,
  LlamaGrammarEvaluationState,
  type LlamaModel,
  type SequenceEvaluateOptions,
  type Token,
  TokenBias,
} from "node-llama-cpp";
import { LakeError, type Signal } from "@lake-travis/protocol";
import type {
  FinishReason,
  Generation,
  GenerationEvent,
  TokenLogprob,
} from "@lake-travis/protocol/inference";
import type { DecodeGate } from "./decode-gate.ts";
import { createStopScanner, stopsOf } from "./stop-scanner.ts";

/** One generation on one sequence. */
export interface LlamaGeneration {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly generation: Generation;
  readonly signal: Signal;
  readonly contextLength: number;
  readonly gate: DecodeGate;
  /** Throws where the prompt cannot be read. */
  readonly readPrompt: () => readonly Token[];
  /** Waits for a sequence that nobody else uses. */
  readonly takeSequence: () => Promise<LlamaContextSequence>;
  readonly giveBack: (sequence: LlamaContextSequence) => Promise<void>;
}

// llama-server's own defaults, so that a model answers here as its users know it.
const samplingDefaults = { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 } as const;
/** How far back repetition is punished, as llama.cpp does. */
const punishedTokens = 64;
/** Tokens before the ones being written that the detokenizer looks at. */
const detokenizeTail = 8;

/** Reads the prompt and yields the answer token by token. */
export async function* generateTokens(work: LlamaGeneration): AsyncGenerator<GenerationEvent> {
  const { generation, signal } = work;
  const tokens = work.readPrompt();
  const promptTokens = tokens.length;
  const left = work.contextLength - promptTokens;
  const tokensMax = Math.min(left, maxTokensOf(generation) ?? left);
  const writer = createAnswerWriter(work);
  const sequence = await work.takeSequence();
  try {
    let finishReason: FinishReason = "stop";
    for await (const made of await openStream(work, { sequence, tokens, output: writer.output })) {
      if (writer.output.length === 0) yield { type: "prompt-read", promptTokens };
      if (signal.aborted) throw signal.reason;
      yield writer.push(made);
      if (writer.stopped) break;
      if (writer.output.length >= tokensMax) {
        finishReason = "length";
        break;
      }
      if (work.gate.closed !== undefined) await work.gate.closed;
    }
    const completionTokens = writer.output.length;
    if (completionTokens === 0) yield { type: "prompt-read", promptTokens };
    const rest = writer.flush();
    if (rest !== "") yield { type: "token-delta", text: rest, tokens: 0 };
    yield { type: "generation-ended", finishReason, promptTokens, completionTokens };
  } finally {
    await work.giveBack(sequence);
  }
}

/** A token as llama.cpp made it; with its probabilities where the User asked for them. */
type MadeToken =
  | Token
  | {
      readonly token: Token;
      readonly confidence: number;
      readonly probabilities: ReadonlyMap<Token, number>;
    };

type TokenDelta = Extract<GenerationEvent, { type: "token-delta" }>;

interface AnswerWriter {
  readonly output: readonly Token[];
  /** A stop text was found. */
  readonly stopped: boolean;
  push(made: MadeToken): TokenDelta;
  /** What was held back, once the answer has ended. */
  flush(): string;
}

function createAnswerWriter(work: LlamaGeneration): AnswerWriter {
  const { model, generation } = work;
  const scanner = createStopScanner(stopsOf(generation.request.stop));
  const writer = createTokenWriter(model);
  const output: Token[] = [];
  const top = topLogprobsOf(generation) ?? 0;
  let held: TokenLogprob[] = [];
  let stopped = false;
  return {
    output,
    get stopped() {
      return stopped;
    },
    push(made) {
      const token = typeof made === "number" ? made : made.token;
      output.push(token);
      if (typeof made !== "number") held.push(logprobOf(model, made, top));
      const scanned = scanner.push(writer.push(token));
      stopped = scanned.stopped;
      // A token that shows nothing yet is told as well: it was made, and its time is being paid.
      const { text } = scanned;
      if (held.length === 0 || text === "") return { type: "token-delta", text, tokens: 1 };
      const logprobs = held;
      held = [];
      return { type: "token-delta", text, tokens: 1, logprobs };
    },
    flush() {
      if (stopped) return "";
      const tail = scanner.push(writer.flush());
      return tail.stopped ? tail.text : tail.text + scanner.flush();
    },
  };
}

/** How many tokens the answer may have, by either of OpenAI's two names. */
function maxTokensOf(generation: Generation): number | undefined {
  const { request } = generation;
  if (generation.kind === "chat") {
    return generation.request.max_completion_tokens ?? request.max_tokens;
  }
  return request.max_tokens;
}

async function openStream(
  work: LlamaGeneration,
  on: {
    readonly sequence: LlamaContextSequence;
    readonly tokens: readonly Token[];
    readonly output: readonly Token[];
  },
): Promise<AsyncIterable<MadeToken>> {
  const options = samplingOptions(work, on.output);
  const grammar = await grammarFor(work.llama, work.generation);
  if (grammar !== undefined) {
    options.grammarEvaluationState = new LlamaGrammarEvaluationState({
      model: work.model,
      grammar,
    });
  }
  const input = [...on.tokens];
  if (topLogprobsOf(work.generation) === undefined) return on.sequence.evaluate(input, options);
  const wanted = { confidence: true, probabilities: true } as const;
  return on.sequence.evaluateWithMetadata(input, wanted, options);
}

function logprobOf(model: LlamaModel, made: Exclude<MadeToken, number>, top: number): TokenLogprob {
  const likeliest = [...made.probabilities.entries()].slice(0, top);
  const top_logprobs = likeliest.map(([other, p]) => describeToken(model, other, p));
  return { ...describeToken(model, made.token, made.confidence), top_logprobs };
}

function describeToken(
  model: LlamaModel,
  token: Token,
  probability: number,
): Omit<TokenLogprob, "top_logprobs"> {
  const text = model.detokenize([token], true);
  // The logarithm of zero is not JSON; -9999 is what OpenAI sends for 'practically never'.
  const logprob = probability > 0 ? Math.log(probability) : -9999;
  return { token: text, logprob, bytes: [...Buffer.from(text)] };
}

function topLogprobsOf(generation: Generation): number | undefined {
  if (generation.kind === "completion") return generation.request.logprobs;
  if (generation.request.logprobs !== true) return undefined;
  return generation.request.top_logprobs ?? 0;
}

function samplingOptions(work: LlamaGeneration, output: readonly Token[]): SequenceEvaluateOptions {
  const { request } = work.generation;
  const options: SequenceEvaluateOptions = {
    temperature: request.temperature ?? samplingDefaults.temperature,
    topP: request.top_p ?? samplingDefaults.topP,
    topK: Math.max(0, request.top_k ?? samplingDefaults.topK),
    minP: request.min_p ?? samplingDefaults.minP,
    // As vLLM and llama-server name it: go on until the tokens are used up.
    yieldEogToken: request["ignore_eos"] === true,
  };
  // llama.cpp's seeds have 32 bits.
  if (request.seed !== undefined) options.seed = Math.abs(request.seed) % 2 ** 32;
  const { repeat_penalty, frequency_penalty, presence_penalty } = request;
  if ((repeat_penalty ?? frequency_penalty ?? presence_penalty) !== undefined) {
    options.repeatPenalty = {
      punishTokens: () => output.slice(-punishedTokens),
      maxPunishTokens: punishedTokens,
      penalty: repeat_penalty ?? 1,
      frequencyPenalty: frequency_penalty ?? 0,
      presencePenalty: presence_penalty ?? 0,
    };
  }
  if (request.logit_bias !== undefined) {
    const bias = TokenBias.for(work.model);
    for (const [token, logit] of Object.entries(request.logit_bias)) {
      bias.set(Number(token) as Token, logit <= -100 ? "never" : { logit });
    }
    options.tokenBias = bias;
  }
  return options;
}

async function grammarFor(llama: Llama, generation: Generation): Promise<LlamaGrammar | undefined> {
  const { request } = generation;
  const format = generation.kind === "chat" ? generation.request.response_format : undefined;
  try {
    if (format?.type === "json_schema") {
      return await llama.createGrammarForJsonSchema(
        format.json_schema.schema as { type: "object" },
      );
    }
    if (format?.type === "json_object") return await llama.getGrammarFor("json");
    if (request.grammar !== undefined)
      return await llama.createGrammar({ grammar: request.grammar });
    return undefined;
  } catch (cause) {
    const param = request.grammar === undefined ? "response_format" : "grammar";
    throw new LakeError("model-input-invalid", "This schema or grammar cannot be used.", {
      cause,
      data: { param },
    });
  }
}

interface TokenWriter {
  push(token: Token): string;
  flush(): string;
}

/** Turns tokens into text, holding back those that end within a character. */
function createTokenWriter(model: LlamaModel): TokenWriter {
  const written: Token[] = [];
  let pending: Token[] = [];
  const write = (): string => model.detokenize(pending, false, written.slice(-detokenizeTail));
  const settle = (): void => {
    written.push(...pending);
    pending = [];
  };
  return {
    push(token) {
      pending.push(token);
      const text = write();
      // A character of UTF-8 takes at most four tokens; after that it is simply broken text.
      if (text.endsWith("\uFFFD") && pending.length < 4) return "";
      settle();
      return text;
    },
    flush() {
      const text = pending.length === 0 ? "" : write();
      settle();
      return text;
    },
  };
}
