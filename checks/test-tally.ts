import { stripVTControlCharacters } from "node:util";

/** How a test run went, read from what it printed. */
export interface TestTally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Why the run failed, where no single test says so. */
  readonly faults: readonly string[];
  /** The tests that did not run, with the reason each gave. */
  readonly skips: readonly string[];
}

/** Adds up the summaries of node:test (spec or TAP) and of forge in an output. */
export function readTally(output: string): TestTally {
  const text = stripVTControlCharacters(output);
  const tally = { passed: 0, failed: 0, skipped: 0, faults: [], skips: readSkips(text) };
  for (const [, word, count] of text.matchAll(nodeSummary)) tally[counter(word)] += Number(count);
  for (const [, passed, failed, skipped] of text.matchAll(forgeSummary)) {
    tally.passed += Number(passed);
    tally.failed += Number(failed);
    tally.skipped += Number(skipped);
  }
  return tally;
}

/** The sum of several runs. */
export function addTallies(tallies: readonly TestTally[]): TestTally {
  return {
    passed: tallies.reduce((sum, { passed }) => sum + passed, 0),
    failed: tallies.reduce((sum, { failed }) => sum + failed, 0),
    skipped: tallies.reduce((sum, { skipped }) => sum + skipped, 0),
    faults: tallies.flatMap(({ faults }) => faults),
    skips: tallies.flatMap(({ skips }) => skips),
  };
}

const nodeSummary = /^(?:#|ℹ) (pass|fail|cancelled|skipped|todo) (\d+)$/gm;
const forgeSummary = /^Ran \d+ test suites? .*: (\d+) tests? passed, (\d+) failed, (\d+) skipped/gm;

function counter(word: string | undefined): "passed" | "failed" | "skipped" {
  if (word === "pass") return "passed";
  return word === "fail" || word === "cancelled" ? "failed" : "skipped";
}

function readSkips(text: string): readonly string[] {
  const spec = [...text.matchAll(/^\s*﹣ (.*?) \([\d.]+ms\)(?: # (.*))?$/gm)];
  const tap = [...text.matchAll(/^\s*ok \d+ - (.*?) # SKIP ?(.*)$/gm)];
  const forge = [...text.matchAll(/^\[SKIP(?:: (.*?))?\] (\S+)/gm)].map(([all, why, name]) => [
    all,
    name,
    why,
  ]);
  return [...spec, ...tap, ...forge].map(
    ([, name, why]) => `${name}: ${why === undefined || why === "" ? "no reason given" : why}`,
  );
}
