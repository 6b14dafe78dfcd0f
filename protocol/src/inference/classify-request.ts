import { inferenceLimits } from "./inference-limits.ts";
import { readFields } from "./request-fields.ts";

/**
 * `POST /v1/classify`, ours, for inference of predetermined length: each input is the flat list of
 * numbers that the model's manifest describes (an image's pixels row by row, a table's row).
 */
export interface ClassifyRequest {
  readonly model: string;
  readonly input: readonly (readonly number[])[];
  /** How many of the most likely classes to name; all where it is absent. */
  readonly top?: number;
  readonly [extra: string]: unknown;
}

/** Reads a classification request from JSON; throws `model-input-invalid` naming the field. */
export function readClassifyRequest(json: unknown): ClassifyRequest {
  const fields = readFields(json, "The request");
  if (fields.source["model"] === undefined) fields.refuse("model", "a model's name");
  fields.text("model", inferenceLimits.modelTextMax);
  const { input } = fields.source;
  const { classifyInputsMax } = inferenceLimits;
  const rows: readonly unknown[] = isNumbers(input) ? [input] : Array.isArray(input) ? input : [];
  if (rows.length === 0 || rows.length > classifyInputsMax || !rows.every(isNumbers)) {
    fields.refuse("input", `a list of numbers, or a list of 1 to ${classifyInputsMax} such lists`);
  }
  fields.number("top", { min: 1, max: 1_000_000, whole: true });
  return { ...fields.source, input: rows } as unknown as ClassifyRequest;
}

function isNumbers(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= inferenceLimits.classifyNumbersMax &&
    value.every((number) => typeof number === "number" && Number.isFinite(number))
  );
}
