import { freemem, totalmem } from "node:os";
import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { MachineFacts } from "./status-report.ts";

/** What this machine has left now; `folder` says which disk is meant. */
export async function readMachine(folder: string): Promise<MachineFacts> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return {
    diskFreeBytes: bavail * bsize,
    diskTotalBytes: blocks * bsize,
    memoryFreeBytes: availableMemory(),
    memoryTotalBytes: totalmem(),
    processBytes: process.memoryUsage.rss(),
  };
}

// Linux counts its file cache as used; what programs can still have is MemAvailable.
function availableMemory(): number {
  try {
    const found = /^MemAvailable:\s+([0-9]+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"));
    if (found !== null) return Number(found[1]) * 1_024;
  } catch {
    // Not Linux: the figure below is the system's own.
  }
  return freemem();
}
