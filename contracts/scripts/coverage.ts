// Prints branch coverage of the contracts and fails below 100%.
import { forge } from "./forge.ts";

const result = forge(
  ["coverage", "--report", "summary", "--no-match-coverage", "^(test|src/test-support)/"],
  { capture: true },
);
// What comes before are the invariant tests' tables of calls.
const report = result.stdout.slice(Math.max(0, result.stdout.lastIndexOf("| File")));
const table = report.split("\n").filter((line) => line.startsWith("|"));
console.log(table.join("\n"));
const total = table.find((line) => line.includes("Total")) ?? "";
// Columns: file, lines, statements, branches, functions.
const branches = total.split("|")[4]?.trim() ?? "";
console.log(`branches: ${branches}`);
process.exitCode = branches.startsWith("100.00%") ? 0 : 1;
if (result.status !== 0) console.log(result.stdout.slice(-4000), result.stderr.slice(-4000));
