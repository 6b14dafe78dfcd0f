import { formatMorShort, LakeError } from "@lake-travis/protocol";
import type { Progress } from "../progress.ts";

const barWidth = 24;
const units = ["B", "kB", "MB", "GB", "TB"] as const;
const weiPerMor = 10n ** 18n;
const secondsOf: Readonly<Record<string, bigint>> = { s: 1n, min: 60n, h: 3_600n, d: 86_400n };

/** Bytes for people, in powers of a thousand. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit] ?? ""}`;
}

/** One line that says how far a publish or pull is: bar, bytes, rate, peers, time left. */
export function formatProgress(progress: Progress): string {
  const { phase, bytes, totalBytes, bytesPerSecond, peers } = progress;
  if (phase === "finding") return "finding holders ...";
  const share = totalBytes === 0 ? 0 : Math.min(1, bytes / totalBytes);
  const filled = Math.round(share * barWidth);
  const bar = "#".repeat(filled) + ".".repeat(barWidth - filled);
  const parts = [
    `${phase} [${bar}] ${Math.floor(share * 100)}%`,
    `${formatBytes(bytes)} of ${formatBytes(totalBytes)}`,
  ];
  if (bytesPerSecond > 0 && phase !== "done") {
    parts.push(`${formatBytes(bytesPerSecond)}/s`);
    parts.push(`${formatSeconds((totalBytes - bytes) / bytesPerSecond)} left`);
  }
  if (peers > 0) parts.push(`${peers} ${peers === 1 ? "holder" : "holders"}`);
  return parts.join("  ");
}

/** Seconds for people. */
function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return "unknown time";
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/**
 * Text of others made safe for a terminal: escape sequences in a description could move the
 * cursor or change the window's title.
 */
export function formatForeign(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, " ");
}

/** A price for people: wei a second as MOR an hour. */
export function formatPrice(weiPerSecond: bigint): string {
  return `${formatMorShort(weiPerSecond * 3_600n)} MOR/h`;
}

/** Reads `0.5/h`, `0.0001/s`, `10/d` in MOR as wei a second, rounded down. */
export function parsePrice(text: string): bigint {
  const found = /^(\d{1,9})(?:\.(\d{1,18}))?\/(s|min|h|d)$/.exec(text);
  if (found === null) {
    throw new LakeError("argument-invalid", `"${text}" is not a price.`, {
      advice: "Write MOR a time, such as 0.5/h or 0.0001/s.",
    });
  }
  const [, whole = "0", fraction = "", unit = "s"] = found;
  const wei = BigInt(whole) * weiPerMor + BigInt(fraction.padEnd(18, "0"));
  return wei / (secondsOf[unit] ?? 1n);
}
