import { inferenceLimits } from "./inference-limits.ts";
import { readFields } from "./request-fields.ts";

/** `POST /v1/embeddings`. Fields that are not known here are kept for the engine. */
export interface EmbeddingRequest {
  readonly model: string;
  readonly input: readonly string[];
  /** OpenAI's own client and LangChain ask for base64 of little-endian 32-bit floats. */
  readonly encoding_format?: "float" | "base64";
  readonly dimensions?: number;
  readonly [extra: string]: unknown;
}

/** Reads an embedding request from JSON; throws `model-input-invalid` naming the field. */
export function readEmbeddingRequest(json: unknown): EmbeddingRequest {
  const fields = readFields(json, "The request");
  if (fields.source["model"] === undefined) fields.refuse("model", "a model's name");
  fields.text("model", inferenceLimits.modelTextMax);
  const { input, encoding_format: format } = fields.source;
  const texts: readonly unknown[] = Array.isArray(input) ? input : [input];
  const { embeddingInputsMax } = inferenceLimits;
  const isText = (text: unknown): boolean => typeof text === "string" && text !== "";
  if (texts.length === 0 || texts.length > embeddingInputsMax || !texts.every(isText)) {
    fields.refuse("input", `a string or a list of 1 to ${embeddingInputsMax} strings, none empty`);
  }
  if (format !== undefined && format !== "float" && format !== "base64") {
    fields.refuse("encoding_format", "float or base64");
  }
  fields.number("dimensions", { min: 1, max: 65_536, whole: true });
  return { ...fields.source, input: texts } as unknown as EmbeddingRequest;
}
