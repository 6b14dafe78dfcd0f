import { readFileSync } from "node:fs";
import { availableParallelism, arch, cpus, totalmem } from "node:os";

/** What this machine is made of. */
export interface Hardware {
  /** A slug for Offers: `cpu-x64-2`, or `gpu-` and the first GPU's name. */
  readonly hardwareClass: string;
  readonly cpu: string;
  readonly physicalCores: number;
  readonly ramBytes: number;
  readonly gpus: readonly string[];
}

/** Describes this machine; `gpus` are the names that the engine found. */
export function describeHardware(gpus: readonly string[] = []): Hardware {
  const cores = physicalCores();
  const [gpu] = gpus;
  return {
    hardwareClass: gpu === undefined ? `cpu-${arch()}-${cores}` : `gpu-${slug(gpu)}`,
    cpu: cpus()[0]?.model.trim() ?? arch(),
    physicalCores: cores,
    ramBytes: totalmem(),
    gpus,
  };
}

/**
 * Cores that compute on their own: hyper-threads share one and only slow each other down. Never
 * more than this process may use (a container's share).
 */
export function physicalCores(): number {
  const usable = availableParallelism();
  try {
    const text = readFileSync("/proc/cpuinfo", "utf8");
    const ids = text.split("\n\n").map((block) => {
      const read = (name: string): string =>
        new RegExp(`^${name}\\s*: (.*)$`, "m").exec(block)?.[1] ?? "";
      return `${read("physical id")}/${read("core id")}`;
    });
    const cores = new Set(ids.filter((id) => id !== "/")).size;
    return cores === 0 ? usable : Math.min(cores, usable);
  } catch {
    // Not Linux: half of what is usable would waste Apple's cores, so take all.
    return usable;
  }
}

function slug(name: string): string {
  const words = name.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return words.replace(/^-|-$/g, "").slice(0, 50);
}
