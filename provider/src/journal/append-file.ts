import { type FileHandle, open, readFile, rename } from "node:fs/promises";
import { LakeError } from "@lake-travis/protocol";
import { folderError } from "@lake-travis/platform";

/** A file of JSON lines that only grows, until it is rewritten as a whole. */
export interface AppendFile {
  readonly bytes: number;
  /** Resolves once the entry is on the disk; entries that wait share one write and one flush. */
  append(entry: unknown): Promise<void>;
  /** Replaces everything in one step: a crash leaves the old file or the new one. */
  rewrite(entries: readonly unknown[]): Promise<void>;
  close(): Promise<void>;
}

interface Pending {
  readonly line: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Opens the file and reads what is in it. A last line that a crash has torn is dropped: nobody was
 * told that it was written. Throws `disk-full`, `folder-unusable` or `journal-corrupt`.
 */
export async function openAppendFile(
  path: string,
): Promise<{ readonly file: AppendFile; readonly entries: readonly unknown[] }> {
  const entries = await readEntries(path);
  let handle = await openFor(path, "a");
  let bytes = (await handle.stat()).size;
  let pending: Pending[] = [];
  let writing: Promise<void> | undefined;

  const writeAll = async (): Promise<void> => {
    while (pending.length > 0) {
      const batch = pending;
      pending = [];
      const text = batch.map(({ line }) => line).join("");
      try {
        await handle.appendFile(text);
        await handle.datasync();
        bytes += Buffer.byteLength(text);
        for (const { resolve } of batch) resolve();
      } catch (cause) {
        for (const { reject } of batch) reject(folderError(path, cause));
      }
    }
    writing = undefined;
  };
  const file: AppendFile = {
    get bytes() {
      return bytes;
    },
    append: (entry) =>
      new Promise((resolve, reject) => {
        pending.push({ line: `${JSON.stringify(entry)}\n`, resolve, reject });
        writing ??= writeAll();
      }),
    async rewrite(fresh) {
      await writing;
      const text = fresh.map((entry) => `${JSON.stringify(entry)}\n`).join("");
      await writeWhole(`${path}.new`, text);
      await handle.close();
      await rename(`${path}.new`, path);
      handle = await openFor(path, "a");
      bytes = Buffer.byteLength(text);
    },
    async close() {
      await writing;
      await handle.close();
    },
  };
  return { file, entries };
}

async function readEntries(path: string): Promise<readonly unknown[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return [];
    throw folderError(path, error);
  }
  const lines = text.split("\n");
  const torn = lines.pop();
  if (torn !== "") await writeWhole(path, lines.map((line) => `${line}\n`).join(""));
  return lines.map((line, index) => parseLine(line, path, index));
}

function parseLine(line: string, path: string, index: number): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch (cause) {
    throw new LakeError("journal-corrupt", `Line ${index + 1} of ${path} cannot be read.`, {
      advice: "The disk may be failing. Move the file away to start without it.",
      cause,
    });
  }
}

async function writeWhole(path: string, text: string): Promise<void> {
  const handle = await openFor(path, "w");
  try {
    await handle.writeFile(text);
    await handle.datasync();
  } catch (cause) {
    throw folderError(path, cause);
  } finally {
    await handle.close();
  }
}

async function openFor(path: string, flags: "a" | "w"): Promise<FileHandle> {
  try {
    return await open(path, flags, 0o600);
  } catch (cause) {
    throw folderError(path, cause);
  }
}
