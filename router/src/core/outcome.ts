import type { Effect } from "./events.ts";

/** What one event did: effects for the edge, and whether the state is another than before. */
export interface Outcome {
  readonly effects: Effect[];
  changed: boolean;
}
