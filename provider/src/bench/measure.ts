import { createHash } from "node:crypto";

/** One figure of a benchmark, as BENCH asks for it: the median of its runs. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly runs: number;
  readonly min: number;
  readonly max: number;
}

/** Makes a figure from its runs. */
export function figureOf(name: string, unit: string, runs: readonly number[]): Figure {
  const sorted = [...runs].sort((a, b) => a - b);
  const round = (value: number | undefined): number => Math.round((value ?? 0) * 1_000) / 1_000;
  return {
    name,
    value: round(sorted[(sorted.length - 1) >> 1]),
    unit,
    runs: runs.length,
    min: round(sorted[0]),
    max: round(sorted.at(-1)),
  };
}

/** Runs two things turn by turn, so that what else happens on the machine meets both. */
export async function turnByTurn(
  runs: number,
  first: () => Promise<number>,
  second: () => Promise<number>,
): Promise<{ readonly first: number[]; readonly second: number[] }> {
  const results = { first: [] as number[], second: [] as number[] };
  for (let run = 0; run < runs; run += 1) {
    results.first.push(await first());
    results.second.push(await second());
  }
  return results;
}

/** Each run's `first` divided by its `second`. */
export function ratios(results: {
  readonly first: readonly number[];
  readonly second: readonly number[];
}): number[] {
  return results.first.map((value, index) => value / (results.second[index] ?? NaN));
}

/** A hash over the work that was done, so that two runs can be seen to have done the same. */
export function workHash(...work: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(work)).digest("hex").slice(0, 16);
}
