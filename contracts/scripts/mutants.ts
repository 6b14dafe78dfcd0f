// Plants one bug at a time in a copy of the contracts and runs the tests: each must be caught. A
// test that no bug turns red proves nothing.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { forge } from "./forge.ts";
import type { Mutant } from "./mutant-list.ts";
import { mutants } from "./mutant-list.ts";

const home = fileURLToPath(new URL("..", import.meta.url));
// The end of the output says why forge could not run.
const outputCharsShown = 2_000;
const only = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), "lake-travis-mutants-"));
for (const part of ["src", "test", "foundry.toml"]) {
  cpSync(join(home, part), join(folder, part), { recursive: true });
}
let survived = 0;
let tried = 0;
try {
  for (const mutant of mutants) {
    if (only !== undefined && !mutant.name.includes(only)) continue;
    ++tried;
    const verdict = tryMutant(mutant);
    if (verdict !== "caught") ++survived;
    const by = mutant.testName ?? `${mutant.test}.t.sol`;
    console.log(`${verdict.padEnd(8)} ${mutant.name} (${by})`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${String(tried)} mutants, ${String(survived)} not caught`);
process.exitCode = survived === 0 ? 0 : 1;

function tryMutant(mutant: Mutant): string {
  const path = join(folder, "src", mutant.file);
  const original = readFileSync(path, "utf8");
  const parts = original.split(mutant.find);
  if (parts.length !== 2) return "missing";
  writeFileSync(path, parts.join(mutant.replace));
  try {
    return runTests(mutant);
  } finally {
    writeFileSync(path, original);
  }
}

function runTests(mutant: Mutant): string {
  const named = mutant.testName === undefined ? [] : ["--match-test", mutant.testName];
  const path = `test/${mutant.test}.t.sol`;
  const result = forge(["test", "--match-path", path, ...named, "--fail-fast"], {
    capture: true,
    folder,
    environment: {
      FOUNDRY_SOLC: join(home, "scripts/solc-wrap"),
      // The bug is the same without the optimiser, and the build takes a third of the time.
      FOUNDRY_OPTIMIZER: "false",
      FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT: "0",
      FOUNDRY_FUZZ_RUNS: "64",
    },
  });
  if (result.status === 0) return "SURVIVED";
  const output = result.stdout + result.stderr;
  // Red by an assertion or an expected error, not because forge itself could not run.
  if (output.includes("[FAIL")) return "caught";
  console.log(output.slice(-outputCharsShown));
  return "broken";
}
