/*
 * Several answers to one request (`n`): each takes a slot of its own where the Session has one
 * free, and else waits for it, so that nobody else's Session pays for them.
 */
import { LakeError } from "@lake-travis/protocol";
import type { Generation, GenerationEvent, Usage } from "@lake-travis/protocol/inference";
import type { AnswerHead } from "./answer-head.ts";
import { chatCompletion, createChatWriter, usageOf } from "./chat-answer.ts";
import { completion, createCompletionWriter } from "./completion-answer.ts";
import { type ServedGeneration, serveGeneration } from "./serve-generation.ts";

/** An event of one of a request's answers. */
export type ChoiceEvent = GenerationEvent & { readonly choice: number };

/** Serves every choice of a request; their events come as they are made. */
export async function* serveChoices(
  request: ServedGeneration,
  choices: number,
): AsyncGenerator<ChoiceEvent, void, undefined> {
  const leaving = new AbortController();
  const signal = AbortSignal.any([request.signal, leaving.signal]);
  const sources = choicesOf(request, choices, signal);
  const steps = new Map(sources.map((source, choice) => [choice, stepOf(source, choice)]));
  try {
    while (steps.size > 0) {
      const { choice, source, result } = await Promise.race(steps.values());
      if (result.done === true) steps.delete(choice);
      else {
        steps.set(choice, stepOf(source, choice));
        yield { ...result.value, choice };
      }
    }
  } finally {
    // One that failed or a reader that left ends the others, those in the queue included.
    leaving.abort(new LakeError("answer-interrupted", "The request has ended."));
    await Promise.allSettled(steps.values());
    await Promise.all(sources.map((source) => source.return()));
  }
}

/** Writes the events of all choices as chunks; tokens of all together are told at the end. */
export function createChoicesWriter(
  head: AnswerHead,
  generation: Generation,
  choices: number,
): (event: ChoiceEvent) => readonly string[] {
  const withUsage = generation.request.stream_options?.include_usage === true;
  const writers = Array.from({ length: choices }, (_, index) =>
    generation.kind === "chat"
      ? createChatWriter(head, { ...generation.request, stream_options: {} }, index)
      : createCompletionWriter(head, { ...generation.request, stream_options: {} }, index),
  );
  const object = generation.kind === "chat" ? "chat.completion.chunk" : "text_completion";
  let usage = usageOf(0, 0);
  let running = choices;
  return (event) => {
    const texts = writers[event.choice]?.(event) ?? [];
    if (event.type !== "generation-ended") return texts;
    running -= 1;
    usage = usageOf(event.promptTokens, usage.completion_tokens + event.completionTokens);
    if (running > 0 || !withUsage) return texts;
    return [...texts, JSON.stringify({ ...head, object, choices: [], usage })];
  };
}

/** Gathers all choices into one unstreamed answer. */
export async function choicesAnswer(
  head: AnswerHead,
  request: ServedGeneration,
  choices: number,
): Promise<unknown> {
  const leaving = new AbortController();
  const signal = AbortSignal.any([request.signal, leaving.signal]);
  const { generation } = request;
  try {
    const answers = await Promise.all(
      choicesOf(request, choices, signal).map((events) =>
        generation.kind === "chat"
          ? chatCompletion(head, events)
          : completion(head, generation.request, events),
      ),
    );
    const usages = answers.map(({ usage }) => usage ?? usageOf(0, 0));
    return {
      ...answers[0],
      choices: answers.flatMap((answer, index) =>
        answer.choices.map((choice) => ({ ...choice, index })),
      ),
      usage: sumOf(usages),
    };
  } finally {
    leaving.abort(new LakeError("answer-interrupted", "The request has ended."));
  }
}

type Events = AsyncGenerator<GenerationEvent, void, undefined>;

function choicesOf(request: ServedGeneration, choices: number, signal: AbortSignal): Events[] {
  return Array.from({ length: choices }, (_, choice) =>
    serveGeneration({ ...request, signal, generation: seeded(request.generation, choice) }),
  );
}

// The same seed would give the same answer n times.
function seeded(generation: Generation, choice: number): Generation {
  const { seed } = generation.request;
  const given = { n: 1, ...(seed === undefined ? {} : { seed: seed + choice }) };
  return generation.kind === "chat"
    ? { kind: "chat", request: { ...generation.request, ...given } }
    : { kind: "completion", request: { ...generation.request, ...given } };
}

interface Step {
  readonly choice: number;
  readonly source: Events;
  readonly result: IteratorResult<GenerationEvent, void>;
}

function stepOf(source: Events, choice: number): Promise<Step> {
  const step = source.next().then((result) => ({ choice, source, result }));
  // Whoever waits for it hears of a failure; a step that nobody waits for any more may fail.
  step.catch(() => undefined);
  return step;
}

function sumOf(usages: readonly Usage[]): Usage {
  const tokens = usages.reduce((sum, usage) => sum + usage.completion_tokens, 0);
  return usageOf(usages[0]?.prompt_tokens ?? 0, tokens);
}
