import { createHash } from "node:crypto";

/** One figure of a benchmark: the median of its runs. */
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
  const round = (value: number | undefined): number => Math.round((value ?? NaN) * 1_000) / 1_000;
  return {
    name,
    value: round(sorted[(sorted.length - 1) >> 1]),
    unit,
    runs: runs.length,
    min: round(sorted[0]),
    max: round(sorted.at(-1)),
  };
}

/** Runs several things turn by turn, so that what else happens on the machine meets all. */
export async function turnByTurn<Name extends string>(
  runs: number,
  things: Readonly<Record<Name, () => Promise<number>>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(things) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    Name,
    number[]
  >;
  for (let run = 0; run < runs; run += 1) {
    for (const name of names) results[name].push(await things[name]());
  }
  return results;
}

/** Two series pairwise: run by run, what `combine` makes of them. */
export function pairwise(
  first: readonly number[],
  second: readonly number[],
  combine: (a: number, b: number) => number,
): number[] {
  return first.map((value, index) => combine(value, second[index] ?? NaN));
}

/** A hash over the work that was done, so that two runs can be seen to have done the same. */
export function workHash(...work: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(work)).digest("hex").slice(0, 16);
}
