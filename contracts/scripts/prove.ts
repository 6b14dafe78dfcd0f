// Proves what `proof/` states about the ComputeContract's arithmetic, with the compiler's
// SMTChecker and z3, then plants bugs in that arithmetic: each must be refuted, else the proof
// proves nothing.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** What the checker says of each condition, one line each. */
interface Verdicts {
  readonly proved: readonly string[];
  readonly refuted: readonly string[];
  /** Neither proved nor refuted in time. */
  readonly open: readonly string[];
}

/** z3's version, or undefined where there is none. */
export function z3Version(): string | undefined {
  const asked = spawnSync("z3", ["--version"], { encoding: "utf8" });
  return asked.status === 0 ? asked.stdout.trim() : undefined;
}

/** Checks every assertion and every subtraction of the proof, with `ledger` as `src/Ledger.sol`. */
export function prove(ledger: string = readLedger()): Verdicts {
  const input = {
    language: "Solidity",
    sources: { [proofFile]: { content: read(proofFile) }, [ledgerFile]: { content: ledger } },
    settings: {
      modelChecker: {
        // CHC finds its own invariants, but did not end within minutes; BMC checks ours, verb by
        // verb, which is induction. The compiler is pinned, so that its deprecation does not bite.
        engine: "bmc",
        solvers: ["smtlib2"],
        targets: ["assert", "underflow"],
        showProvedSafe: true,
        showUnproved: true,
        contracts: { [proofFile]: ["LedgerProof"] },
      },
      outputSelection: { "*": { "*": [] } },
    },
  };
  const callbacks = { smtSolver: (query: string) => ({ contents: solve(query) }) };
  const output = JSON.parse(solc.compile(JSON.stringify(input), callbacks)) as {
    errors?: readonly Message[];
  };
  const lists = { proved: [] as string[], refuted: [] as string[], open: [] as string[] };
  for (const message of output.errors ?? []) {
    if (message.severity === "error") throw new Error(message.formattedMessage);
    const list = listOf(message.message);
    if (list !== undefined) lists[list].push(describe(message, ledger));
  }
  return lists;
}

const proofFile = "proof/LedgerProof.sol";
const ledgerFile = "src/Ledger.sol";
// The slowest query takes a tenth of a second here.
const solveSecondsMax = 30;
const outputBytesMax = 16 * 1024 * 1024;

/** Bugs in the Ledger; the proof must fail with each. */
const bugs: readonly (readonly [name: string, find: string, replace: string])[] = [
  ["the limit ignores what is free", "if (limit > free) limit = free;", ""],
  ["paid credits ignore what was collected", "paid < backed ? paid : backed", "paid"],
  ["a claim may take all there is", "balance > floor ? balance - floor : 0", "balance"],
  ["repayments are always paid", "claimed(balance, held) + repayment <= free", "repayment <= free"],
  [
    "a deposit owes more than it has",
    "cumulativeDebit < gross ? cumulativeDebit : gross",
    "cumulativeDebit",
  ],
  [
    "what was collected is paid out again",
    "return deposited - withdrawn - collected;",
    "return deposited - withdrawn;",
  ],
];

interface Message {
  readonly severity: string;
  readonly message: string;
  readonly formattedMessage: string;
  readonly sourceLocation?: { readonly file: string; readonly start: number; readonly end: number };
}

const solc = createRequire(import.meta.url)("solc") as {
  compile(input: string, callbacks: unknown): string;
};

function read(file: string): string {
  return readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
}

function readLedger(): string {
  return read(ledgerFile);
}

function solve(query: string): string {
  const { stdout } = spawnSync("z3", ["-in", `-T:${String(solveSecondsMax)}`], {
    input: query,
    encoding: "utf8",
    maxBuffer: outputBytesMax,
  });
  return stdout;
}

function listOf(text: string): keyof Verdicts | undefined {
  if (text.includes("check is safe")) return "proved";
  if (text.includes("happens here")) return "refuted";
  // "might happen here", and the sums of what was left out.
  return text.includes("might happen") || text.includes("unproved") ? "open" : undefined;
}

function describe(message: Message, ledger: string): string {
  const at = message.sourceLocation;
  if (at === undefined) return message.message;
  const text = at.file === ledgerFile ? ledger : read(at.file);
  const line = text.slice(0, at.start).split("\n").length;
  return `${at.file}:${String(line)}  ${text.slice(at.start, at.end)}`;
}

function main(): number {
  const version = z3Version();
  if (version === undefined) {
    console.log("skipped: there is no z3 on the PATH (Debian: apt-get install z3)");
    return 0;
  }
  const { proved, refuted, open } = prove();
  for (const line of proved) console.log(`proved   ${line}`);
  for (const line of refuted) console.log(`REFUTED  ${line}`);
  for (const line of open) console.log(`OPEN     ${line}`);
  let failed = proved.length === 0 || refuted.length !== 0 || open.length !== 0;
  const ledger = readLedger();
  for (const [name, find, replace] of bugs) {
    const parts = ledger.split(find);
    const found = parts.length === 2 && prove(parts.join(replace)).refuted.length !== 0;
    if (!found) failed = true;
    console.log(`${found ? "refuted " : "MISSED  "} with a bug: ${name}`);
  }
  const engine = `SMTChecker (BMC, induction) with ${version}`;
  const counts = `${String(proved.length)} proved, ${String(refuted.length)} refuted`;
  console.log(`${counts}, ${String(open.length)} open, by ${engine}`);
  return failed ? 1 : 0;
}

if (process.argv[1] === import.meta.filename) process.exitCode = main();
