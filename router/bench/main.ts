/* `npm run bench -w router -- [rfc|memory|recovery] [--quick] [--runs 3] [--json]` */
import { parseArgs } from "node:util";
import { keccak256Hex } from "@lake-travis/protocol";
import { TrialNetwork } from "../src/test-support/trial-network.ts";
import { measureCryptoLimit } from "./crypto-limit.ts";
import { type LoadResult, runLoad, signRfcs } from "./load.ts";
import { measureRecovery } from "./recovery.ts";
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
if (only === undefined || only === "recovery") figures.push(await benchRecovery());

const workHash = keccak256Hex(Buffer.from(work.join()));
if (!values.json) for (const each of figures) process.stderr.write(`${JSON.stringify(each)}\n`);
process.stdout.write(`${JSON.stringify({ bench: "router/all", workHash, figures })}\n`);
process.exit(0);

/** Each run sends its RFCs to a fresh Router, with the crypto limit measured right before it. */
async function benchRfcs(): Promise<Figure[]> {
  const runs = runsMax;
  const count = quick ? 300 : 12_000;
  const ratios: number[] = [];
  const rates: number[] = [];
  const limits: number[] = [];
  const p99s: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    // So many that none runs into what one User may have open or let lapse.
    const users = Math.ceil(count / 8);
    const network = await TrialNetwork.start({ users, slots: 4_000_000, epochMs: 3_600_000 });
    const beating = setInterval(
      () => void network.simulated.beat({}).catch(() => undefined),
      1_000,
    );
    try {
      const warm = signRfcs(network, Math.ceil(count / 5));
      await runLoad(network, warm, { concurrency: 32 });
      const full = signRfcs(network, count);
      const limit = measureCryptoLimit(quick ? 0.2 : 2);
      const whole = checked(await runLoad(network, full, { concurrency: 32 }));
      const half = signRfcs(network, Math.ceil(count / 2));
      const perSecond = whole.perSecond / 2;
      const paced = checked(await runLoad(network, half, { concurrency: 64, perSecond }));
      limits.push(limit);
      rates.push(whole.perSecond);
      ratios.push(whole.perSecond / limit);
      p99s.push(paced.p99Ms);
      work.push(`rfc ${full.length + half.length}`);
    } finally {
      clearInterval(beating);
      await network.stop();
    }
  }
  return [
    figure("rfc_signed_vs_crypto", "ratio", ratios),
    figure("rfc_p99_ms_at_half_load", "ms", p99s),
    figure("rfc_signed_per_second", "1/s", rates),
    figure("crypto_limit_per_second", "1/s", limits),
  ];
}

function checked(result: LoadResult): LoadResult {
  if (result.refused > 0) throw new Error(`${result.refused} RFCs were refused`);
  return result;
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
