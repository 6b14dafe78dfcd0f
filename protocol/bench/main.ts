/* `npm run bench -w protocol -- verdicts [auc|judge|audit|merkle|page] [--quick] [--json]` */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { epochReportPage, keccak256Hex, leaderboardOf, RollupBuilder } from "@lake-travis/protocol";
import { attacks } from "./attacks.ts";
import { areaUnderCurve, evaluate, type Outcome } from "./evaluate.ts";
import { honestRecords, makeNetwork } from "./honest-network.ts";
import { makeRecords } from "./make-records.ts";
import { compareMerkleTrees, merklePeer } from "./merkle-peer.ts";

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly runs: number;
  readonly min: number;
  readonly max: number;
}

/** Rules were tuned on networks 1 to 8; these were looked at only to be reported. */
const reportedSeeds = [101, 102, 103, 104, 105, 106];

const noSignatures = { user: null, provider: null, tickSeconds: 0, activeMs: 0 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    runs: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});
const { quick } = values;
const runs = quick ? 1 : Number(values.runs);
const part = positionals.find((word) => word !== "verdicts");
const figures: Figure[] = [];
const work: string[] = [];

if (part === undefined || part === "auc") figures.push(...benchVerdicts());
if (part === undefined || part === "judge") figures.push(...(await benchJudge()));
if (part === undefined || part === "audit") figures.push(...(await benchAudit()));
if (part === undefined || part === "merkle") figures.push(...benchMerkle());
if (part === undefined || part === "page") figures.push(...benchPage());

const workHash = keccak256Hex(Buffer.from(work.join()));
process.stdout.write(`${JSON.stringify({ bench: "protocol/verdicts", workHash, figures })}\n`);

function benchVerdicts(): Figure[] {
  const seeds = quick ? reportedSeeds.slice(0, 1) : reportedSeeds;
  const scale = quick ? 0.4 : 1;
  const found: Figure[] = [];
  const all: Outcome[] = [];
  for (const [strength, name] of [
    [1, "strong"],
    [0.5, "half"],
  ] as const) {
    const outcomes = Object.keys(attacks).map((attack) => {
      const outcome = evaluate({ attack, strength, seeds, scale });
      report(outcome, name);
      return outcome;
    });
    const bad = outcomes.flatMap(({ scores }) => scores);
    const honest = outcomes.flatMap(({ honest: { scores } }) => scores);
    found.push(figure(`auc_${name}`, "auc", [areaUnderCurve(bad, honest)]));
    for (const outcome of outcomes) found.push(...figuresOf(outcome, name));
    all.push(...outcomes);
    work.push(`${name} ${bad.length} ${bad.reduce((sum, score) => sum + score, 0)}`);
  }
  return [...found, ...honestFigures(all)];
}

function figuresOf(outcome: Outcome, name: string): Figure[] {
  const key = `${outcome.attack.replaceAll("-", "_")}_${name}`;
  return [
    figure(`auc_${key}`, "auc", [outcome.auc]),
    figure(`precision_${key}`, "share", [outcome.precision]),
    figure(`recall_${key}`, "share", [outcome.recall]),
    figure(`recall_or_review_${key}`, "share", [outcome.recallOrReview]),
  ];
}

function honestFigures(outcomes: readonly Outcome[]): Figure[] {
  const sum = (pick: (honest: Outcome["honest"]) => number): number =>
    outcomes.reduce((total, { honest }) => total + pick(honest), 0);
  const sessions = sum((honest) => honest.sessions);
  const fresh = sum((honest) => honest.newSessions);
  const share = (name: string, count: number, of: number): Figure =>
    figure(name, "share", [count / Math.max(1, of)]);
  return [
    share(
      "honest_failed_share",
      sum(({ failed }) => failed),
      sessions,
    ),
    share(
      "honest_reviewed_share",
      sum(({ reviewed }) => reviewed),
      sessions,
    ),
    share(
      "honest_new_failed_share",
      sum(({ newFailed }) => newFailed),
      fresh,
    ),
    share(
      "honest_new_reviewed_share",
      sum(({ newReviewed }) => newReviewed),
      fresh,
    ),
  ];
}

function report(outcome: Outcome, name: string): void {
  if (values.json) return;
  const { attack, auc, precision, recall, recallOrReview, rightFault } = outcome;
  const figuresText = [auc, precision, recall, recallOrReview, rightFault]
    .map((value) => value.toFixed(3))
    .join("  ");
  process.stderr.write(`${`${attack} ${name}`.padEnd(28)} ${figuresText}\n`);
}

/** `lake judge` as a user runs it, on a file of so many Records. */
async function benchJudge(): Promise<Figure[]> {
  const count = quick ? 20_000 : 10_000_000;
  const folder = mkdtempSync(join(tmpdir(), "lake-bench-"));
  try {
    const path = join(folder, "records.jsonl");
    makeRecords(path, count);
    const seconds: number[] = [];
    const cpu: number[] = [];
    const rss: number[] = [];
    for (let run = 0; run < Math.min(runs, 2); run += 1) {
      const result = await judgeOnce(path);
      seconds.push(result.seconds);
      cpu.push(result.cpuSeconds);
      rss.push(result.rssMb);
    }
    work.push(`judge ${count}`);
    return [
      figure(quick ? "judge_20k_s" : "judge_10m_s", "s", seconds),
      figure("judge_cpu_s", "s", cpu),
      figure("judge_rss_mb", "MB", rss),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface JudgeRun {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssMb: number;
}

async function judgeOnce(path: string): Promise<JudgeRun> {
  return (await tellOf([join(import.meta.dirname, "judge-process.ts"), path])) as JudgeRun;
}

/** One settlement of so many Sessions, read and computed again. */
async function benchAudit(): Promise<Figure[]> {
  const count = quick ? 5_000 : 1_000_000;
  const folder = mkdtempSync(join(tmpdir(), "lake-bench-"));
  try {
    const path = join(folder, "records.jsonl");
    makeRecords(path, count);
    const program = join(import.meta.dirname, "../../client/src/audit/bench/audit-process.ts");
    // It makes a whole settlement at once; the audit itself runs with what Node gives.
    await tellOf(["--max-old-space-size=12000", program, "prepare", path, folder]);
    const all: JudgeRun[] = [];
    for (let run = 0; run < Math.min(runs, 2); run += 1) {
      all.push((await tellOf([program, "audit", folder])) as JudgeRun);
    }
    work.push(`audit ${count}`);
    return [
      figure(
        quick ? "audit_5k_s" : "audit_1m_s",
        "s",
        all.map(({ seconds }) => seconds),
      ),
      figure(
        "audit_cpu_s",
        "s",
        all.map(({ cpuSeconds }) => cpuSeconds),
      ),
      figure(
        "audit_rss_mb",
        "MB",
        all.map(({ rssMb }) => rssMb),
      ),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a program says in the last line on standard error; throws where it fails. */
async function tellOf(args: readonly string[]): Promise<unknown> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  let told = "";
  child.stderr.on("data", (bytes: Buffer) => (told += bytes.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${args.join(" ")} failed: ${told}`);
  return JSON.parse(told.trim().split("\n").at(-1) || "null");
}

function benchMerkle(): Figure[] {
  const leaves = quick ? 2_000 : 1_000_000;
  if (!values.json) process.stderr.write(`peer: ${merklePeer}\n`);
  const ratios: number[] = [];
  const ours: number[] = [];
  // Once to warm both up, on few leaves.
  compareMerkleTrees(500);
  for (let run = 0; run < (quick ? 1 : Math.min(runs, 2)); run += 1) {
    const result = compareMerkleTrees(leaves);
    ratios.push(result.peer / result.ours);
    ours.push(result.ours);
  }
  work.push(`merkle ${leaves}`);
  return [figure("merkle_vs_oz", "ratio", ratios), figure("merkle_cpu_s", "s", ours)];
}

/** A leaderboard's page from the rollup of so many Records. */
function benchPage(): Figure[] {
  const count = quick ? 20_000 : 10_000_000;
  const base = honestRecords(makeNetwork(910, quick ? 1 : 4));
  const rollup = new RollupBuilder(400);
  for (let at = 0; at < count; at += 1) {
    const { record } = base[at % base.length] as (typeof base)[number];
    rollup.add({ ...record, payees: [], signatures: noSignatures });
  }
  const closed = rollup.close();
  const times: number[] = [];
  for (let run = 0; run < 5; run += 1) {
    const began = performance.now();
    const page = epochReportPage(leaderboardOf([closed]));
    times.push(performance.now() - began);
    if (run === 0) work.push(`page ${count} ${page.length}`);
  }
  return [figure("leaderboard_page_ms", "ms", times)];
}

function figure(name: string, unit: string, measured: readonly number[]): Figure {
  const sorted = [...measured].sort((a, b) => a - b);
  const value = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return { name, value, unit, runs: sorted.length, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 };
}
