import { limits } from "../limits.ts";

/** How fast the newest answers were made, to keep the published speed honest. */
export interface SpeedWindow {
  /** Notes one answer: its tokens behind the first and the time that the engine took for them. */
  note(answer: { readonly tokens: number; readonly engineMs: number }): void;
  /**
   * What to publish, in thousandths of a token per second: `published` unless answers have become
   * clearly slower, or fast enough again for what was `measured` with all slots busy.
   */
  judge(speeds: { readonly published: number; readonly measured: number }): number;
}

/** Shorter answers say more about the clock than about the engine. */
const tokensMin = 16;
/** Fewer answers than this may all have met the same hiccup. */
const answersMin = 8;
/** A change below a fifth is noise, and each change is an Offer for everybody to read. */
const noisePercent = 20;

/** Makes an empty window. */
export function createSpeedWindow(): SpeedWindow {
  const samples: number[] = [];
  return {
    note({ tokens, engineMs }) {
      if (tokens < tokensMin) return;
      samples.push(Math.floor((tokens * 1_000_000) / Math.max(1, engineMs)));
      if (samples.length > limits.speedSamplesMax) samples.shift();
    },
    judge({ published, measured }) {
      if (samples.length < answersMin) return published;
      // What three answers in four reach is what a User can count on.
      const sorted = [...samples].sort((a, b) => a - b);
      const lowerQuarter = sorted[Math.floor(sorted.length / 4)] ?? published;
      // Never more than was measured with all slots busy: most answers had the engine for less.
      const honest = Math.min(measured, lowerQuarter);
      const isChanged = Math.abs(honest - published) * 100 > published * noisePercent;
      return isChanged ? honest : published;
    },
  };
}
