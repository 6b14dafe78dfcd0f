import { inferenceLimits } from "./inference-limits.ts";
import { readFields } from "./request-fields.ts";
import { checkSampling, type SamplingFields } from "./sampling-fields.ts";

/** `POST /v1/completions`. Fields that are not known here are kept for the engine. */
export interface CompletionRequest extends SamplingFields {
  readonly model: string;
  /** One text; lists of texts are refused, since a client sends several requests as cheaply. */
  readonly prompt: string;
  readonly echo?: boolean;
  readonly logprobs?: number;
  readonly [extra: string]: unknown;
}

// The body's own limit is the real bound; this one only keeps the field a string.
const promptLengthMax = Number.MAX_SAFE_INTEGER;

/** Reads a completion request from JSON; throws `model-input-invalid` naming the field. */
export function readCompletionRequest(json: unknown): CompletionRequest {
  const fields = readFields(json, "The request");
  if (fields.source["model"] === undefined) fields.refuse("model", "a model's name");
  fields.text("model", inferenceLimits.modelTextMax);
  const { prompt } = fields.source;
  const single: unknown = Array.isArray(prompt) && prompt.length === 1 ? prompt[0] : prompt;
  if (typeof single !== "string" || single.length > promptLengthMax) {
    fields.refuse("prompt", "one string");
  }
  checkSampling(fields);
  fields.boolean("echo");
  fields.number("logprobs", { min: 0, max: inferenceLimits.topLogprobsMax, whole: true });
  return { ...fields.source, prompt: single } as unknown as CompletionRequest;
}
