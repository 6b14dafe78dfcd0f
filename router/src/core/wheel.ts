import type { RouterState } from "./state.ts";

/** Puts an entry down to be looked at once `atMs` has passed, up to a second late. */
export function schedule(state: RouterState, atMs: number, entry: string): void {
  const second = Math.ceil(atMs / 1000);
  const bucket = state.wheel.get(second);
  if (state.wheel.size === 0 || second < state.wheelNext) state.wheelNext = second;
  if (bucket === undefined) state.wheel.set(second, [entry]);
  else bucket.push(entry);
}

/** Whether anything is due at `atMs`. Reads only. */
export function isDue(state: RouterState, atMs: number): boolean {
  if (state.wheel.size === 0) return false;
  const now = Math.floor(atMs / 1000);
  // Bounded by the furthest deadline, which lies at most one longest Session ahead.
  for (let second = state.wheelNext; second <= now; second += 1) {
    if (state.wheel.has(second)) return true;
  }
  return false;
}

/** Takes every entry that is due at `atMs`, in the order of the seconds. */
export function takeDue(state: RouterState, atMs: number): string[] {
  const now = Math.floor(atMs / 1000);
  const due: string[] = [];
  for (let second = state.wheelNext; second <= now && state.wheel.size > 0; second += 1) {
    const bucket = state.wheel.get(second);
    if (bucket === undefined) continue;
    for (const entry of bucket) due.push(entry);
    state.wheel.delete(second);
  }
  state.wheelNext = now + 1;
  return due;
}
