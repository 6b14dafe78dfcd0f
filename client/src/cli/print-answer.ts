import { formatMor, formatMorShort } from "@lake-travis/protocol";
import type { AnswerCost, AnswerUsage, ChatAnswer } from "../sdk/index.ts";
import { shortHash } from "./format-table.ts";
import type { Terminal } from "./terminal.ts";

/** An answer that was printed to its end. */
export interface PrintedAnswer {
  readonly text: string;
  readonly reason: string;
  readonly usage: AnswerUsage | null;
  readonly cost: AnswerCost | undefined;
  readonly ms: number;
}

/** Writes an answer as it comes (with `--json` nothing) and returns what it was. */
export async function printAnswer(answer: ChatAnswer, terminal: Terminal): Promise<PrintedAnswer> {
  const startedAt = performance.now();
  let text = "";
  let end: Pick<PrintedAnswer, "reason" | "usage" | "cost"> | undefined;
  try {
    for await (const piece of answer) {
      if (piece.type === "finish") end = piece;
      if (piece.type !== "text-delta") continue;
      text += piece.text;
      if (!terminal.json) process.stdout.write(safeText(piece.text));
    }
  } finally {
    if (!terminal.json && text !== "" && !text.endsWith("\n")) process.stdout.write("\n");
  }
  const ms = Math.round(performance.now() - startedAt);
  return { text, ms, reason: end?.reason ?? "", usage: end?.usage ?? null, cost: end?.cost };
}

/** One line that says how long an answer took and what its Session costs. */
export function costLine({ cost, ms, usage }: PrintedAnswer): string {
  const seconds = (ms / 1000).toFixed(1);
  const parts = [`${seconds} s`];
  if (usage !== null) parts.unshift(`${usage.completionTokens} tokens`);
  if (cost !== undefined) {
    parts.push(`${formatMorShort(cost.weiPerSecond * 3600n)} MOR/h`);
    parts.push(`Provider ${shortHash(cost.provider)}`);
    parts.push(`Session ${shortHash(cost.sessionId)}`);
  }
  return parts.join(" · ");
}

/** The JSON form of an answer. */
export function answerToJson(answer: PrintedAnswer, model: string): Record<string, unknown> {
  const { cost, ms, reason, text, usage } = answer;
  return {
    model,
    text,
    finishReason: reason,
    ms,
    ...(usage === null ? {} : usage),
    ...(cost === undefined
      ? {}
      : {
          sessionId: cost.sessionId,
          provider: cost.provider,
          weiPerSecond: cost.weiPerSecond.toString(),
          morPerHour: formatMor(cost.weiPerSecond * 3600n),
        }),
  };
}

/** A model's words could hold sequences that move the cursor or rename the window. */
function safeText(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, "");
}
