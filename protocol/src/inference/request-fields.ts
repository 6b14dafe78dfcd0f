import { LakeError } from "../errors.ts";

/** A JSON object as it arrived. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads the fields of one request one by one. Strict about the fields that it is asked for, silent
 * about those that it is not: they stay in the request and reach the engine.
 */
export interface FieldReader {
  readonly source: JsonObject;
  /** Throws `model-input-invalid` naming the field. */
  refuse(name: string, expected: string): never;
  boolean(name: string): void;
  text(name: string, lengthMax: number): void;
  /** A number within [min, max]; `whole` asks for an integer. */
  number(name: string, range: NumberRange): void;
  object(name: string): void;
  list(name: string, lengthMax: number): void;
}

/** What a number may be. */
export interface NumberRange {
  readonly min: number;
  readonly max: number;
  readonly whole?: boolean;
}

/**
 * Opens a request for reading. Fields that are `null` count as absent, as OpenAI's own clients
 * write them. Throws `model-input-invalid` where `json` is no object.
 */
export function readFields(json: unknown, what: string): FieldReader {
  if (!isObject(json)) throw invalid(`${what} must be a JSON object.`, what);
  const source = Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null));
  const refuse = (name: string, expected: string): never => {
    throw invalid(`'${name}' must be ${expected}.`, name);
  };
  const check = (name: string, expected: string, ok: (value: unknown) => boolean): void => {
    const value = source[name];
    if (value !== undefined && !ok(value)) refuse(name, expected);
  };
  return {
    source,
    refuse,
    boolean: (name) => check(name, "true or false", (value) => typeof value === "boolean"),
    text: (name, lengthMax) =>
      check(
        name,
        `a string of at most ${lengthMax} characters`,
        (value) => typeof value === "string" && value.length <= lengthMax,
      ),
    number: (name, range) =>
      check(
        name,
        `${range.whole === true ? "an integer" : "a number"} from ${range.min} to ${range.max}`,
        (value) => isNumberWithin(value, range),
      ),
    object: (name) => check(name, "an object", isObject),
    list: (name, lengthMax) =>
      check(
        name,
        `a list of at most ${lengthMax} items`,
        (value) => Array.isArray(value) && value.length <= lengthMax,
      ),
  };
}

/** Whether a value is a JSON object: no list, not null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A failure of what the User wrote, with the name of the field in its data. */
function invalid(sentence: string, param: string): LakeError {
  return new LakeError("model-input-invalid", sentence, { data: { param } });
}

function isNumberWithin(value: unknown, range: NumberRange): boolean {
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  if (range.whole === true && !Number.isInteger(value)) return false;
  return value >= range.min && value <= range.max;
}
