import { totalmem, arch } from "node:os";
import { readFile } from "node:fs/promises";
import type { ModelNeeds } from "./manifest.ts";

/** What a machine has, as far as a model's needs go. */
export interface Machine {
  readonly ramBytes: number;
  /** Accelerator memory; undefined where nobody has asked the driver. */
  readonly vramBytes: number | undefined;
  readonly instructionSets: readonly string[];
}

/** Whether a machine can serve a model, with a sentence for each thing that it lacks. */
export interface Fit {
  readonly runs: boolean;
  readonly lacks: readonly string[];
}

/** Compares what a model needs with what a machine has. */
export function fitMachine(needs: ModelNeeds, machine: Machine): Fit {
  const lacks: string[] = [];
  if (needs.ramBytes > machine.ramBytes) {
    lacks.push(`It needs ${gib(needs.ramBytes)} of memory; there are ${gib(machine.ramBytes)}.`);
  }
  for (const name of needs.instructionSets) {
    if (!machine.instructionSets.includes(name)) {
      lacks.push(`It needs the instruction set ${name}, which this processor lacks.`);
    }
  }
  const runs = lacks.length === 0;
  const { vramBytes } = machine;
  if (needs.vramBytes > 0 && vramBytes !== undefined && vramBytes < needs.vramBytes) {
    lacks.push(`For full speed it needs ${gib(needs.vramBytes)} of accelerator memory.`);
  }
  return { runs, lacks };
}

/** What this machine has. */
export async function describeMachine(): Promise<Machine> {
  // Only Linux tells its instruction sets in a file; elsewhere the list stays empty but for arm64,
  // where neon is part of the architecture.
  const processor = await readFile("/proc/cpuinfo", "latin1").catch(() => "");
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(processor)?.[1]?.split(" ") ?? [];
  const always = arch() === "arm64" ? ["neon"] : [];
  return {
    ramBytes: totalmem(),
    vramBytes: undefined,
    instructionSets: [...flags, ...always],
  };
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
