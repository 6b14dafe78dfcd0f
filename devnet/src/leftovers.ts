import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A process of ours as it was written down: its id and when the kernel started it. */
interface Noted {
  readonly name: string;
  readonly pid: number;
  readonly startedAt: string;
}

/** Remembers on disk which processes run, so that the next start can end those of a killed one. */
export interface ProcessNotes {
  note(name: string, pid: number): void;
  forget(): void;
}

const stopMsMax = 10_000;
const pollMs = 50;

/** Ends every process that an earlier run left behind; returns how many there were. */
export async function endLeftovers(path: string): Promise<number> {
  const running = readNotes(path).filter(isSame);
  for (const { pid } of running) kill(pid, "SIGTERM");
  const patience = Date.now() + stopMsMax;
  while (running.some(isSame) && Date.now() < patience) await sleep(pollMs);
  for (const noted of running) if (isSame(noted)) kill(noted.pid, "SIGKILL");
  rmSync(path, { force: true });
  return running.length;
}

/** Opens the notes of this run. */
export function openProcessNotes(path: string): ProcessNotes {
  const noted: Noted[] = [];
  return {
    note(name, pid) {
      noted.push({ name, pid, startedAt: startedAt(pid) ?? "" });
      writeFileSync(`${path}.new`, JSON.stringify(noted));
      renameSync(`${path}.new`, path);
    },
    forget: () => rmSync(path, { force: true }),
  };
}

function readNotes(path: string): Noted[] {
  if (!existsSync(path)) return [];
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Noted[];
  } catch {
    // A torn file names nobody; a process that still holds a port is reported when it is needed.
    return [];
  }
}

// A process id is used again by others; together with its start time it is unique since boot.
function isSame({ pid, startedAt: noted }: Noted): boolean {
  return noted !== "" && startedAt(pid) === noted;
}

function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // Field 3 is the state, field 22 the start time in clock ticks since boot.
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function kill(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
}
