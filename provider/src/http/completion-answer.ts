import type {
  Completion,
  CompletionRequest,
  FinishReason,
  GenerationEvent,
  Usage,
} from "@lake-travis/protocol/inference";
import type { AnswerHead } from "./answer-head.ts";
import { usageOf } from "./chat-answer.ts";

type Events = AsyncIterable<GenerationEvent>;

/** Writes events of a generation as the chunks of a streamed plain completion. */
export function createCompletionWriter(
  head: AnswerHead,
  request: CompletionRequest,
  index = 0,
): (event: GenerationEvent) => readonly string[] {
  const write = (text: string, finish: FinishReason | null): string =>
    JSON.stringify(completionOf(head, { text, finish, index }));
  const withUsage = request.stream_options?.include_usage === true;
  return (event) => {
    if (event.type === "prompt-read") {
      return request.echo === true ? [write(request.prompt, null)] : [];
    }
    if (event.type === "token-delta") {
      return event.text === "" ? [] : [write(event.text, null)];
    }
    const last = write("", event.finishReason);
    const usage = usageOf(event.promptTokens, event.completionTokens);
    const tail = { ...head, object: "text_completion", choices: [], usage };
    return withUsage ? [last, JSON.stringify(tail)] : [last];
  };
}

/** Gathers the events of a generation into an unstreamed plain completion. */
export async function completion(
  head: AnswerHead,
  request: CompletionRequest,
  events: Events,
): Promise<Completion> {
  let text = request.echo === true ? request.prompt : "";
  let finish: FinishReason = "stop";
  let usage: Usage = usageOf(0, 0);
  for await (const event of events) {
    if (event.type === "token-delta") text += event.text;
    else if (event.type === "generation-ended") {
      finish = event.finishReason;
      usage = usageOf(event.promptTokens, event.completionTokens);
    }
  }
  return { ...completionOf(head, { text, finish, index: 0 }), usage };
}

function completionOf(
  head: AnswerHead,
  choice: {
    readonly text: string;
    readonly finish: FinishReason | null;
    readonly index: number;
  },
): Completion {
  const { text, finish, index } = choice;
  return {
    ...head,
    object: "text_completion",
    choices: [{ index, text, logprobs: null, finish_reason: finish }],
  };
}
