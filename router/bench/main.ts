/* `npm run bench -w router -- [rfc|memory|held|recovery] [--quick] [--runs 3] [--json]` */
import { parseArgs } from "node:util";
import { keccak256Hex } from "@lake-travis/protocol";
import { measureHeldSessions } from "./held-sessions.ts";
import { measureRecovery } from "./recovery.ts";
import { measureRfcs, type RfcSample } from "./rfc-rate.ts";
import { measureSessionMemory } from "./session-memory.ts";

/** One figure, the median of its runs. */
interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly runs: number;
  readonly min: number;
  readonly max: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    runs: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});
const quick = values.quick;
const runsMax = quick ? 1 : Number(values.runs);
const only = positionals[0];
const figures: Figure[] = [];
const work: string[] = [];

if (only === undefined || only === "rfc") figures.push(...(await benchRfcs()));
if (only === undefined || only === "memory") figures.push(...benchMemory());
if (only === undefined || only === "held") figures.push(...(await benchHeld()));
if (only === undefined || only === "recovery") figures.push(await benchRecovery());

const workHash = keccak256Hex(Buffer.from(work.join()));
if (!values.json) for (const each of figures) process.stderr.write(`${JSON.stringify(each)}\n`);
process.stdout.write(`${JSON.stringify({ bench: "router/all", workHash, figures })}\n`);
process.exit(0);

/** Each run sends its RFCs to a fresh Router, with the crypto limit measured right before it. */
async function benchRfcs(): Promise<Figure[]> {
  const samples: RfcSample[] = [];
  for (let run = 0; run < runsMax; run += 1) samples.push(await measureRfcs(quick));
  work.push(...samples.map(({ rfcs }) => `rfc ${rfcs}`));
  const of = (name: string, unit: string, value: (sample: RfcSample) => number): Figure =>
    figure(name, unit, samples.map(value));
  return [
    of("rfc_signed_vs_crypto", "ratio", ({ post, limit }) => post.perSecond / limit),
    of("rfc_ws_vs_crypto", "ratio", ({ socket, limit }) => socket.perSecond / limit),
    of("rfc_p99_ms_at_half_load", "ms", ({ paced }) => paced.p99Ms),
    of("rfc_p50_ms_at_half_load", "ms", ({ paced }) => paced.p50Ms),
    of("rfc_signed_per_second", "1/s", ({ post }) => post.perSecond),
    of("rfc_ws_per_second", "1/s", ({ socket }) => socket.perSecond),
    of("crypto_limit_per_second", "1/s", ({ limit }) => limit),
  ];
}

function benchMemory(): Figure[] {
  const sessions = quick ? 2_000 : 100_000;
  const memory = measureSessionMemory(sessions);
  work.push(`sessions ${memory.sessions}`);
  return [
    figure("session_bytes", "bytes", [memory.bytesPerSession]),
    figure("session_tick_us", "us", [(memory.ticksMs * 1000) / sessions]),
  ];
}

async function benchHeld(): Promise<Figure[]> {
  const held = await measureHeldSessions(quick ? 1_000 : 100_000, quick ? 1 : 3);
  work.push(`held ${held.sessions}`);
  return [
    figure("held_sessions", "sessions", [held.sessions]),
    figure("held_ticks_per_second", "1/s", [held.ticksPerSecond]),
    figure("held_beat_p99_ms", "ms", [held.beatP99Ms]),
  ];
}

async function benchRecovery(): Promise<Figure> {
  const result = await measureRecovery(quick ? 4_000 : 1_000_000);
  work.push(result.hash);
  return figure("recover_1m_events_s", "s", [result.seconds]);
}

function figure(name: string, unit: string, runs: readonly number[]): Figure {
  const sorted = [...runs].sort((a, b) => a - b);
  const value = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const [min = 0, max = 0] = [sorted[0], sorted.at(-1)];
  return { name, value, unit, runs: runs.length, min, max };
}
