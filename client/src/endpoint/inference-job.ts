import type { JsonObject } from "@lake-travis/protocol/inference";
import type { RequestSpend } from "../ledger/spend-guard.ts";
import type { Wish } from "../open-by-name.ts";
import type { AnswerKind } from "./delivered-answer.ts";

/** One request to infer, read and allowed, on its way to whichever Provider serves it. */
export interface InferenceJob {
  /** The Provider's path. */
  readonly path: string;
  /** What kind of text is streamed; undefined where the answer comes in one piece. */
  readonly streams: AnswerKind | undefined;
  /** What the Provider is sent. */
  readonly body: JsonObject;
  /** The same as bytes, where nothing had to be changed in what the caller sent. */
  readonly bytes: Uint8Array | undefined;
  readonly wish: Wish;
  /** Aborted when the caller has left or its money is spent. */
  readonly signal: AbortSignal;
  readonly spend: RequestSpend | undefined;
}
