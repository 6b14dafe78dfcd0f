import { inferenceLimits } from "./inference-limits.ts";
import { type FieldReader, isObject } from "./request-fields.ts";

/** The fields that chat and plain completions share, named as OpenAI names them. */
export interface SamplingFields {
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
  readonly max_tokens?: number;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly n?: number;
  readonly stop?: string | readonly string[];
  readonly seed?: number;
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly repeat_penalty?: number;
  readonly logit_bias?: Readonly<Record<string, number>>;
  /** A grammar in llama.cpp's GBNF. */
  readonly grammar?: string;
}

// A grammar is compiled before a token is made; larger ones only cost the engine time.
const grammarLengthMax = 65_536;
const seedMax = Number.MAX_SAFE_INTEGER;

/** Checks the {@link SamplingFields} of a request; throws `model-input-invalid`. */
export function checkSampling(fields: FieldReader): void {
  fields.boolean("stream");
  fields.object("stream_options");
  fields.number("max_tokens", { min: 1, max: inferenceLimits.answerTokensMax, whole: true });
  fields.number("temperature", { min: 0, max: 100 });
  fields.number("top_p", { min: 0, max: 1 });
  fields.number("top_k", { min: -1, max: 1_000_000, whole: true });
  fields.number("min_p", { min: 0, max: 1 });
  fields.number("n", { min: 1, max: inferenceLimits.choicesMax, whole: true });
  fields.number("seed", { min: -seedMax, max: seedMax, whole: true });
  fields.number("presence_penalty", { min: -2, max: 2 });
  fields.number("frequency_penalty", { min: -2, max: 2 });
  fields.number("repeat_penalty", { min: 0, max: 10 });
  fields.text("grammar", grammarLengthMax);
  checkStop(fields);
  checkBias(fields);
}

function checkStop(fields: FieldReader): void {
  const { stop } = fields.source;
  if (stop === undefined) return;
  const stops: readonly unknown[] = Array.isArray(stop) ? stop : [stop];
  const ok = stops.every(
    (text) =>
      typeof text === "string" && text !== "" && text.length <= inferenceLimits.stopLengthMax,
  );
  if (!ok || stops.length > inferenceLimits.stopsMax) {
    const { stopsMax, stopLengthMax } = inferenceLimits;
    fields.refuse("stop", `at most ${stopsMax} strings of 1 to ${stopLengthMax} characters`);
  }
}

function checkBias(fields: FieldReader): void {
  fields.object("logit_bias");
  const bias = fields.source["logit_bias"];
  if (!isObject(bias)) return;
  const entries = Object.entries(bias);
  const ok = entries.every(
    ([token, value]) =>
      /^[0-9]{1,9}$/.test(token) && typeof value === "number" && Math.abs(value) <= 100,
  );
  if (!ok || entries.length > inferenceLimits.logitBiasMax) {
    const { logitBiasMax } = inferenceLimits;
    fields.refuse("logit_bias", `at most ${logitBiasMax} token numbers with -100 to 100`);
  }
}
