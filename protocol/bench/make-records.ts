import { closeSync, openSync, writeSync } from "node:fs";
import canonicalize from "canonicalize";
import { attacks } from "./attacks.ts";
import { makeNetwork } from "./honest-network.ts";

/** Writes a file of `count` Records of one epoch, in canonical form and order, to be judged. */
export function makeRecords(path: string, count: number): void {
  const base = attacks["padded-time"]?.(makeNetwork(909, count > 100_000 ? 4 : 1), 1) ?? [];
  base.sort((a, b) => a.record.openedAt - b.record.openedAt);
  const times = Math.ceil(count / base.length);
  const file = openSync(path, "w");
  let text = "";
  let written = 0;
  for (const { record } of base) {
    const line = canonicalize(record) as string;
    const ids = [record.sessionId, record.user];
    const [beforeId = "", afterId = "", behind = ""] = splitAt(line, ids);
    for (let time = 0; time < times && written < count; time += 1) {
      written += 1;
      // Scrambled, as the digests that they stand for are.
      const mixed = (Math.imul(written, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0");
      const sessionId = `0x${mixed}${written.toString(16).padStart(8, "0")}${ids[0]?.slice(18)}`;
      const user = `${record.user.slice(0, 64)}${(time % 64).toString(16).padStart(2, "0")}`;
      text += `${beforeId}${sessionId}${afterId}${user}${behind}\n`;
    }
    if (text.length < 4_000_000) continue;
    writeSync(file, text, null, "latin1");
    text = "";
  }
  writeSync(file, text, null, "latin1");
  closeSync(file);
}

function splitAt(line: string, parts: readonly string[]): string[] {
  const pieces: string[] = [];
  let from = 0;
  for (const part of parts) {
    const at = line.indexOf(part, from);
    pieces.push(line.slice(from, at));
    from = at + part.length;
  }
  return [...pieces, line.slice(from)];
}
