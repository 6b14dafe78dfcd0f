import type { Clock } from "@lake-travis/protocol";
import type { ClassifyRequest, Engine, Generation } from "@lake-travis/protocol/inference";
import { limits } from "../limits.ts";

/**
 * What an engine was measured to do. Rates are thousandths of a token per second and stream; where
 * an engine generates no text, of an inference (a classified input, an embedded text).
 */
export interface MeasuredSpeed {
  readonly milliTpsAlone: number;
  /** What each User gets when all slots are busy: the figure of the Offer. */
  readonly milliTpsFull: number;
  /** Time to first token with one stream, or to the first inference. */
  readonly ttftMs: number;
}

/**
 * Lets the engine work, first alone, then on all slots at once, for about
 * {@link limits.measureMs} each. The first answers are not counted: they pay for warming up.
 */
export async function measureSpeed(engine: Engine, clock: Clock): Promise<MeasuredSpeed> {
  const measure = (ms: number): Promise<StreamSpeed> => workFor(workOf(engine), clock, ms);
  await measure(limits.measureMs / 4);
  const alone = await measure(limits.measureMs);
  const { slots } = engine.description;
  const together =
    slots === 1
      ? [alone]
      : await Promise.all(Array.from({ length: slots }, () => measure(limits.measureMs)));
  const slowest = Math.min(...together.map(({ milliTps }) => milliTps));
  return {
    milliTpsAlone: alone.milliTps,
    // The slowest stream, never better than alone: what is promised holds for every User.
    milliTpsFull: Math.min(alone.milliTps, slowest),
    ttftMs: alone.ttftMs,
  };
}

interface StreamSpeed {
  readonly milliTps: number;
  readonly ttftMs: number;
}

/** Counts of what was made, one answer after the other; ended by whoever reads them. */
type Work = () => AsyncGenerator<number, void, undefined>;

function workOf(engine: Engine): Work {
  const { capabilities, classifier } = engine.description;
  if (capabilities.chat) return () => tokensOf(engine, chatPrompt);
  if (capabilities.completions) return () => tokensOf(engine, plainPrompt);
  if (classifier !== undefined) {
    const length = classifier.inputShape.reduce((product, size) => product * size, 1);
    const request = { model: "measure", input: [new Array<number>(length).fill(0.5)] };
    return () => inferences(() => engine.classify(request satisfies ClassifyRequest, never));
  }
  const request = { model: "measure", input: ["Count upwards from one, and do not stop."] };
  return () => inferences(() => engine.embed(request, never));
}

const sampling = {
  model: "measure",
  max_tokens: limits.measureTokensMax,
  temperature: 1,
  seed: 1,
  ignore_eos: true,
} as const;
const text = "Count upwards from one, and do not stop.";
const chatPrompt: Generation = {
  kind: "chat",
  request: { ...sampling, messages: [{ role: "user", content: text }] },
};
const plainPrompt: Generation = { kind: "completion", request: { ...sampling, prompt: text } };

async function* tokensOf(engine: Engine, prompt: Generation): AsyncGenerator<number> {
  for await (const event of engine.generate(prompt, never)) {
    if (event.type === "token-delta" && event.tokens > 0) yield event.tokens;
  }
}

async function* inferences(ask: () => Promise<unknown>): AsyncGenerator<number> {
  await ask();
  yield 1;
}

async function workFor(work: Work, clock: Clock, ms: number): Promise<StreamSpeed> {
  const begun = clock.now();
  let made = 0;
  let firstAt = begun;
  // A short answer ends early, so the engine is asked again until the time is over.
  do {
    for await (const count of work()) {
      if (made === 0) firstAt = clock.now();
      made += count;
      if (clock.now() - begun > ms) break;
    }
  } while (clock.now() - begun < ms && made > 0);
  const elapsed = Math.max(1, clock.now() - begun);
  return { milliTps: Math.floor((made * 1_000_000) / elapsed), ttftMs: firstAt - begun };
}

const never = {
  aborted: false,
  reason: undefined,
  addEventListener: () => undefined,
  removeEventListener: () => undefined,
};
