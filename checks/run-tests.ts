import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { listWorkspaces } from "./cruise-imports.ts";
import { addTallies, readTally, type TestTally } from "./test-tally.ts";

// `npm test`: every workspace's tests and then the checks' own, one after another because each
// already uses the whole machine. `npm test -- platform router` runs only those.

const here = fileURLToPath(new URL("..", import.meta.url));
const root = resolve(process.env["LAKE_TRAVIS_TREE"] ?? here);

const chosen = process.argv.slice(2);
const known = [...listWorkspaces(root), "checks"];
const unknown = chosen.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(" and no ")}; choose from ${known.join(", ")}.`);
  process.exit(1);
}

const tallies: TestTally[] = [];
const lines: string[] = [];
for (const name of known.filter((each) => chosen.length === 0 || chosen.includes(each))) {
  const startedAt = performance.now();
  const { output, code } = await runTests(name);
  const tally = judge(readTally(output), code);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  tallies.push(tally);
  lines.push(
    `${name}: ${describe(tally)}, ${seconds} s`,
    ...tally.faults.map((fault) => `  failed: ${fault}`),
    ...tally.skips.map((skip) => `  skipped: ${skip}`),
  );
}
const total = addTallies(tallies);
console.log(`\n${lines.join("\n")}\n\n${describe(total)}`);
process.exitCode = total.failed > 0 ? 1 : 0;

function describe({ passed, failed, skipped }: TestTally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

// A run that crashed, or that found nothing to run, must not look like one that passed.
function judge(tally: TestTally, code: number | null): TestTally {
  const faults = [...tally.faults];
  if (code !== 0 && tally.failed === 0) faults.push(`the test run ended with code ${code}`);
  if (tally.passed + tally.failed === 0) faults.push("no test ran");
  return { ...tally, faults, failed: tally.failed + faults.length - tally.faults.length };
}

function runTests(name: string): Promise<{ output: string; code: number | null }> {
  const {
    promise,
    resolve: finish,
    reject,
  } = Promise.withResolvers<{
    output: string;
    code: number | null;
  }>();
  console.log(`\n${name}`);
  const [command, ...parameters] = testCommand(name);
  const child = spawn(command, parameters, {
    cwd: join(root, name),
    stdio: ["ignore", "pipe", "inherit"],
    // Set where these tests run inside another test run, it changes what the runner prints.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
    process.stdout.write(chunk);
  });
  child.on("error", reject);
  child.on("close", (code) => {
    finish({ output, code });
  });
  return promise;
}

function testCommand(name: string): readonly [string, ...string[]] {
  const path = join(root, name, "package.json");
  if (!existsSync(path)) return [process.execPath, "--test", "*.test.ts"];
  const { scripts } = JSON.parse(readFileSync(path, "utf8")) as {
    scripts?: Record<string, string>;
  };
  if (scripts?.["test"] !== undefined) return ["npm", "test", "--silent"];
  return [process.execPath, "--test", "src/**/*.test.ts", "test/**/*.test.ts"];
}
