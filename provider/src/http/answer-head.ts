import { randomUUID } from "node:crypto";

/** What every chunk of an answer begins with. */
export interface AnswerHead {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

/** A fresh head for an answer made at `now` (unix milliseconds). */
export function answerHead(prefix: "chatcmpl" | "cmpl", model: string, now: number): AnswerHead {
  return { id: `${prefix}-${randomUUID()}`, created: Math.floor(now / 1_000), model };
}
