import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { LakeError } from "@lake-travis/protocol";
import { isProcessAlive } from "./is-process-alive.ts";

/** A folder that belongs to one process until it is closed. */
export interface DataFolder {
  readonly path: string;
  /** Gives the folder back. */
  close(): void;
}

/**
 * Creates and claims a data folder. A claim left by a process that has died is taken over.
 * Throws `folder-unusable` or `folder-locked`.
 */
export async function openDataFolder(path: string): Promise<DataFolder> {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    await access(path, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw folderError(path, cause);
  }
  const lock = join(path, "lock");
  claim(lock, path);
  return {
    path,
    close: () => {
      rmSync(lock, { force: true });
    },
  };
}

/** What a failed file operation means to the person whose folder it is. */
export function folderError(path: string, cause: unknown): LakeError {
  const code = (cause as { code?: string }).code;
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
    return new LakeError("disk-full", `There is no space left for ${path}.`, {
      advice: "Free some disk space, or name another folder with --data-dir.",
      cause,
    });
  }
  return new LakeError("folder-unusable", `The folder ${path} cannot be written (${code ?? ""}).`, {
    advice: "Name a folder that you may write with --data-dir.",
    cause,
  });
}

function claim(lock: string, path: string): void {
  try {
    const file = openSync(lock, "wx", 0o600);
    writeSync(file, String(process.pid));
    closeSync(file);
    return;
  } catch (cause) {
    if ((cause as { code?: string }).code !== "EEXIST") throw folderError(path, cause);
  }
  const holder = Number.parseInt(readFileSync(lock, "utf8"), 10);
  if (Number.isInteger(holder) && holder !== process.pid && isProcessAlive(holder)) {
    throw new LakeError("folder-locked", `Process ${holder} is using ${path}.`, {
      advice: "Stop it first, or name another folder with --data-dir.",
      data: { pid: holder },
    });
  }
  rmSync(lock, { force: true });
  claim(lock, path);
}
