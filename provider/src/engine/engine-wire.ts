import {
  type ErrorBody,
  errorStatus,
  type ErrorCode,
  type Hex,
  LakeError,
} from "@lake-travis/protocol";
import type {
  ClassifyRequest,
  EmbeddingRequest,
  EngineDescription,
  Generation,
  GenerationEvent,
} from "@lake-travis/protocol/inference";

/** Which engine a process runs: a module that exports `createEngine(options)`. */
export interface EngineSpec {
  /** A `file:` URL, or an npm package's name. */
  readonly module: string;
  /** Where a package's name is looked up: a folder as a `file:` URL that ends with a slash. */
  readonly resolveFrom?: string;
  /** Plain data, handed to `createEngine`. */
  readonly options: unknown;
  /** The weights that the process answers challenges about. */
  readonly modelPath?: string;
}

/** One thing asked of an engine's process. */
export type EngineOrder =
  | { readonly type: "start"; readonly spec: EngineSpec }
  | { readonly type: "generate"; readonly id: number; readonly generation: Generation }
  | { readonly type: "embed"; readonly id: number; readonly request: EmbeddingRequest }
  | { readonly type: "classify"; readonly id: number; readonly request: ClassifyRequest }
  | { readonly type: "challenge"; readonly id: number; readonly nonce: Hex }
  /** The reader has taken so many events: as many more may come. */
  | { readonly type: "taken"; readonly id: number; readonly events: number }
  | { readonly type: "cancel"; readonly id: number }
  | { readonly type: "stop" };

/** A failure on its way between two processes. */
export type WiredError = ErrorBody["error"];

/** What an engine's process says. */
export type EngineNews =
  | { readonly type: "started"; readonly description: EngineDescription }
  | { readonly type: "start-failed"; readonly error: WiredError }
  /** Events of all generations since the last news, in order. */
  | { readonly type: "events"; readonly events: readonly WiredEvent[] }
  | { readonly type: "ended"; readonly id: number }
  | { readonly type: "result"; readonly id: number; readonly value: unknown }
  | { readonly type: "failed"; readonly id: number; readonly error: WiredError };

/** An event with its generation's number; one plain token, which most are, is its text alone. */
export type WiredEvent = readonly [number, GenerationEvent | string];

/**
 * Events that an engine's process may be ahead of its reader, per generation: what a fast engine
 * makes in two of the pieces in which its process sends them.
 */
export const eventsAheadMax = 128;

/** Shortens what {@link eventFromWire} makes whole again. */
export function eventToWire(event: GenerationEvent): GenerationEvent | string {
  if (event.type !== "token-delta" || event.tokens !== 1) return event;
  return event.logprobs === undefined && event.extra === undefined ? event.text : event;
}

/** Reads {@link eventToWire} back. */
export function eventFromWire(event: GenerationEvent | string): GenerationEvent {
  return typeof event === "string" ? { type: "token-delta", text: event, tokens: 1 } : event;
}

/** A failure as plain data; what was not expected says no more than that. */
export function errorToWire(error: unknown): WiredError {
  if (error instanceof LakeError) return error.toBody().error;
  // A package's engine may bring a copy of the class of its own.
  const { name, code, message } = Object(error) as Partial<WiredError & { name: string }>;
  if (name === "LakeError" && code !== undefined && code in errorStatus) {
    return { code, message: String(message) };
  }
  return { code: "engine-failed", message: "The engine failed at this request." };
}

/** Reads {@link errorToWire} back. */
export function errorFromWire(error: WiredError): LakeError {
  const code: ErrorCode = error.code in errorStatus ? error.code : "engine-failed";
  return new LakeError(code, error.message, {
    ...(error.advice === undefined ? {} : { advice: error.advice }),
    ...(error.data === undefined ? {} : { data: error.data }),
  });
}
