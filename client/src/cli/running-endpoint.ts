import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { folderError } from "@lake-travis/platform";
import type { WalletPlace } from "../wallet/open-wallet.ts";

/** What a running `lake up` leaves in its data folder, for the other commands of its user. */
export interface RunningEndpoint {
  readonly pid: number;
  /** Base URL for OpenAI clients. */
  readonly endpoint: string;
  readonly router: string;
  /** Path of the deployment file. */
  readonly deployment: string;
  readonly wallet: WalletPlace | null;
  /** Bearer key of this machine's own commands, where the endpoint wants one. */
  readonly bearer: string | null;
}

/** Writes the note; it is its owner's alone, because of the bearer key. */
export function noteEndpoint(dataDir: string, running: RunningEndpoint): void {
  const path = join(dataDir, fileName);
  try {
    writeFileSync(`${path}.new`, `${JSON.stringify(running)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (cause) {
    throw folderError(path, cause);
  }
}

/** Takes the note away. */
export function forgetEndpoint(dataDir: string): void {
  rmSync(join(dataDir, fileName), { force: true });
}

/** Reads the note of a data folder; undefined where no `lake up` runs on it. */
export function findEndpoint(dataDir: string): RunningEndpoint | undefined {
  const path = join(dataDir, fileName);
  if (!existsSync(path)) return undefined;
  try {
    const running = JSON.parse(readFileSync(path, "utf8")) as RunningEndpoint;
    process.kill(running.pid, 0);
    return running;
  } catch {
    // Left behind by a killed process, or torn by a crash: nothing runs there.
    return undefined;
  }
}

const fileName = "endpoint.json";
