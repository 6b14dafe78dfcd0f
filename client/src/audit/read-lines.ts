import { closeSync, openSync, readSync } from "node:fs";
import { LakeError, verdictLimits } from "@lake-travis/protocol";

/** Where a line stands; the bytes are overwritten by the next ones. */
export type OnLine = (bytes: Uint8Array, from: number, to: number, line: number) => void;

/**
 * Reads a file line by line without making strings; line ends are not part of a line. Throws
 * `argument-invalid` where there is no such file, `records-invalid` at a line that is too long.
 */
export function readLines(path: string, onLine: OnLine): number {
  const file = open(path);
  let buffer = Buffer.allocUnsafe(2 * chunkBytes);
  let held = 0;
  let line = 0;
  try {
    for (;;) {
      const read = readSync(file, buffer, held, chunkBytes, null);
      const end = held + read;
      let from = 0;
      for (let at = next(buffer, 0, end); at >= 0; at = next(buffer, from, end)) {
        line += 1;
        onLine(buffer, from, at, line);
        from = at + 1;
      }
      held = end - from;
      if (read === 0) {
        // A last line may lack its end; whether it is whole shows when it is read.
        if (held > 0) onLine(buffer, from, end, line + 1);
        return held > 0 ? line + 1 : line;
      }
      // The longest line is a published file's baseline.
      if (held > verdictLimits.baselineBytesMax) throw tooLong(line + 1);
      buffer.copyWithin(0, from, end);
      if (held > buffer.length - chunkBytes) buffer = Buffer.concat([buffer], 2 * buffer.length);
    }
  } finally {
    closeSync(file);
  }
}

const chunkBytes = 4 * 1024 * 1024;

function open(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    throw new LakeError("argument-invalid", `The file ${path} cannot be read.`, { cause });
  }
}

function next(buffer: Buffer, from: number, end: number): number {
  const at = buffer.indexOf(10, from);
  return at < end ? at : -1;
}

function tooLong(line: number): LakeError {
  return new LakeError("records-invalid", `Line ${line} is longer than any Record.`, {
    data: { line },
  });
}
