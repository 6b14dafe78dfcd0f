import type { Clock } from "@lake-travis/protocol";
import type { Engine, Generation } from "@lake-travis/protocol/inference";
import { limits } from "../limits.ts";

/** What an engine was measured to do. Rates are thousandths of a token per second and stream. */
export interface MeasuredSpeed {
  readonly milliTpsAlone: number;
  /** What each User gets when all slots are busy: the figure of the Offer. */
  readonly milliTpsFull: number;
  /** Time to first token with one stream. */
  readonly ttftMs: number;
}

/**
 * Lets the engine generate, first alone, then on all slots at once, for about
 * {@link limits.measureMs} each. The first tokens are not counted: they pay for warming up.
 */
export async function measureSpeed(engine: Engine, clock: Clock): Promise<MeasuredSpeed> {
  await generateFor(engine, clock, limits.measureMs / 4);
  const alone = await generateFor(engine, clock, limits.measureMs);
  const { slots } = engine.description;
  const together =
    slots === 1
      ? [alone]
      : await Promise.all(
          Array.from({ length: slots }, () => generateFor(engine, clock, limits.measureMs)),
        );
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

const prompt: Generation = {
  kind: "chat",
  request: {
    model: "measure",
    messages: [{ role: "user", content: "Count upwards from one, and do not stop." }],
    max_tokens: limits.measureTokensMax,
    temperature: 1,
    seed: 1,
    ignore_eos: true,
  },
};

async function generateFor(engine: Engine, clock: Clock, ms: number): Promise<StreamSpeed> {
  const begun = clock.now();
  let tokens = 0;
  let firstAt = begun;
  // A short answer ends early, so the engine is asked again until the time is over.
  do {
    for await (const event of engine.generate(prompt, neverAborted)) {
      if (event.type !== "token-delta" || event.tokens === 0) continue;
      if (tokens === 0) firstAt = clock.now();
      tokens += event.tokens;
      if (clock.now() - begun > ms) break;
    }
  } while (clock.now() - begun < ms && tokens > 0);
  const elapsed = Math.max(1, clock.now() - begun);
  return { milliTps: Math.floor((tokens * 1_000_000) / elapsed), ttftMs: firstAt - begun };
}

const neverAborted = {
  aborted: false,
  reason: undefined,
  addEventListener: () => undefined,
  removeEventListener: () => undefined,
};
