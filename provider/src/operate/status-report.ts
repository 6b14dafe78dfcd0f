import { formatMorShort } from "@lake-travis/protocol";
import type { NodeSnapshot } from "../node-snapshot.ts";
import type { EarningsRow } from "./earnings-ledger.ts";
import { operateLimits } from "./limits.ts";

/** What the machine has left. */
export interface MachineFacts {
  readonly diskFreeBytes: number;
  readonly diskTotalBytes: number;
  readonly memoryFreeBytes: number;
  readonly memoryTotalBytes: number;
  /** Resident memory of the Provider's own process, engines not included. */
  readonly processBytes: number;
}

/** Something red, and what its owner can do. */
export interface Problem {
  readonly what: string;
  readonly advice: string;
}

/** What a running Provider tells its owner. */
export interface StatusReport {
  readonly node: NodeSnapshot;
  readonly earnings: readonly EarningsRow[];
  readonly machine: MachineFacts;
  readonly problems: readonly Problem[];
}

/** The JSON form of a {@link StatusReport}: wei as decimal text. */
export function statusToJson(report: StatusReport): Record<string, unknown> {
  const earnings = report.earnings.map((row) => ({ ...row, wei: row.wei.toString() }));
  return { ...report, earnings };
}

/** Reads {@link statusToJson} back, from a Provider of the same version on this machine. */
export function statusFromJson(json: unknown): StatusReport {
  const source = json as Omit<StatusReport, "earnings"> & {
    readonly earnings: readonly (Omit<EarningsRow, "wei"> & { readonly wei: string })[];
  };
  const earnings = source.earnings.map((row) => ({ ...row, wei: BigInt(row.wei) }));
  return { ...source, earnings };
}

/** Everything red of a running Provider. */
export function problemsOf(node: NodeSnapshot, machine: MachineFacts): readonly Problem[] {
  const problems: Problem[] = [];
  if (!node.isRouterHeard) {
    problems.push({
      what: `The Router at ${node.routerUrl} does not answer.`,
      advice: "Nothing new comes in until it does; check this machine's network, then 'doctor'.",
    });
  }
  if (node.refusal !== null) {
    problems.push({ what: node.refusal, advice: "No new Session begins meanwhile." });
  }
  for (const model of node.models) problems.push(...problemsOfModel(model, node));
  const { diskFreeBytes, memoryFreeBytes } = machine;
  if (diskFreeBytes < operateLimits.diskFreeBytesMin) {
    problems.push({
      what: `Only ${formatSize(diskFreeBytes)} are left on the disk.`,
      advice: "Free some: without space no Tick can be kept, so serving would stop.",
    });
  }
  if (memoryFreeBytes < operateLimits.memoryFreeBytesMin) {
    problems.push({
      what: `Only ${formatSize(memoryFreeBytes)} of memory are left.`,
      advice: "Take a model down or lower its slots before the system ends an engine.",
    });
  }
  return problems;
}

/** The report as a page for a terminal. */
export function formatStatus(report: StatusReport): string {
  const { node, machine, earnings, problems } = report;
  const up = formatAge(node.now - node.startedAt);
  return [
    `Provider ${node.account} at ${node.endpoint}, up ${up}`,
    `Router   ${node.routerUrl} ${node.isRouterHeard ? "answers" : "DOES NOT ANSWER"}`,
    `Machine  disk ${formatSize(machine.diskFreeBytes)} free of ` +
      `${formatSize(machine.diskTotalBytes)}; memory ${formatSize(machine.memoryFreeBytes)} ` +
      `free of ${formatSize(machine.memoryTotalBytes)}`,
    "",
    ...table(
      ["MODEL", "MOR/H", "SESSIONS", "BUSY", "QUEUE", "TOKENS/S", "TTFT", "STATE"],
      node.models.map((model) => [
        model.model,
        formatMorShort(BigInt(model.weiPerSecond) * 3_600n),
        `${model.openSessions}/${model.slots}`,
        String(model.running),
        String(model.waiting),
        `${Math.round(model.offeredMilliTps / 1_000)}`,
        `${model.ttftMs} ms`,
        stateOf(model),
      ]),
    ),
    "",
    ...formatEarnings(earnings),
    "",
    ...(problems.length === 0
      ? ["All well."]
      : problems.map(({ what, advice }) => `! ${what} ${advice}`)),
  ].join("\n");
}

/** Earnings by model and day, newest day first, with their sum. */
export function formatEarnings(earnings: readonly EarningsRow[]): readonly string[] {
  if (earnings.length === 0) return ["No Session has ended yet."];
  const sum = earnings.reduce((total, { wei }) => total + wei, 0n);
  const shown = [...earnings].reverse().slice(0, operateLimits.earningsRowsShown);
  return [
    ...table(
      ["DAY", "MODEL", "SESSIONS", "SECONDS", "TOKENS", "MOR"],
      shown.map((row) => [
        row.day,
        row.model,
        String(row.sessions),
        String(row.seconds),
        String(row.tokens),
        formatMorShort(row.wei),
      ]),
    ),
    `In all ${formatMorShort(sum)} MOR by this Provider's own count, the fee of 1% taken off.`,
  ];
}

/** Columns as wide as their widest cell. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const widths = head.map((name, index) =>
    Math.max(name.length, ...rows.map((row) => (row[index] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map(line);
}

/** Bytes for people, in powers of a thousand. */
export function formatSize(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return bytes >= 1e6 ? `${Math.round(bytes / 1e6)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
}

function problemsOfModel(
  model: NodeSnapshot["models"][number],
  node: NodeSnapshot,
): readonly Problem[] {
  if (model.trouble !== null) {
    return [
      {
        what: `The engine of ${model.model} is down: ${model.trouble}`,
        advice: "It is started again by itself; its log lines say why it ended.",
      },
    ];
  }
  if (model.isOffered && !model.isHeldByRouter && node.isRouterHeard) {
    const isYoung = node.now - Math.max(model.loadedAt, node.startedAt) < youngMs;
    if (isYoung) return [];
    return [
      {
        what: `The Router does not hold the Offer for ${model.model}.`,
        advice: "It is sent again each second; 'lake provider doctor' says what is wrong.",
      },
    ];
  }
  return [];
}

/** An Offer of the last seconds may not have come back in a Heartbeat's answer yet. */
const youngMs = 5_000;

function stateOf(model: NodeSnapshot["models"][number]): string {
  if (model.trouble !== null) return "ENGINE DOWN";
  if (!model.isOffered) return "withdrawn";
  return model.isHeldByRouter ? "offered" : "offer on its way";
}

function formatAge(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return `${Math.max(0, Math.floor(ms / 1_000))} s`;
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
