import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { crc32 } from "node:zlib";
import { LakeError } from "@lake-travis/protocol";
import { folderError } from "@lake-travis/platform";
import type { RouterEvent } from "../core/events.ts";
import { coreFormat, createState, type RouterState } from "../core/state.ts";
import { formatUnknown, step } from "../core/step.ts";
import { listJournal, readSegment, segmentName, snapshotName, writeWhole } from "./journal.ts";

/** A state as the journal says it is, and where the journal goes on. */
export interface Recovered {
  readonly state: RouterState;
  readonly number: number;
  readonly entries: number;
  readonly bytes: number;
  /** Events replayed, and bytes of a last write that a crash cut off. */
  readonly replayed: number;
  readonly torn: number;
}

/** An event as a journal entry: V8's structured serialisation, which knows bigints and is fast. */
export function encodeEvent(event: RouterEvent): Uint8Array {
  return serialize(event);
}

/** Reads {@link encodeEvent}. */
export function decodeEvent(payload: Uint8Array): RouterEvent {
  return deserialize(payload) as RouterEvent;
}

/**
 * Rebuilds the state from the newest snapshot and the events behind it.
 *
 * @param before stop before this segment: the state that a snapshot of that number holds.
 * Throws `journal-corrupt`, `folder-unusable`.
 */
export async function recover(folder: string, before = Infinity): Promise<Recovered> {
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw folderError(folder, cause);
  });
  const files = await listJournal(folder);
  const { state, from } = await loadSnapshot(folder, files.snapshots, before);
  const segments = files.segments.filter((number) => number >= from && number < before);
  requireUnbroken(folder, segments, from);
  const newest = files.segments.at(-1);
  let last = { entries: 0, bytes: 0, torn: 0 };
  let replayed = 0;
  for (const number of segments) {
    last = await readSegment(join(folder, segmentName(number)), {
      newest: number === newest,
      onEntry: (payload) => step(state, decodeEvent(payload)),
    });
    replayed += last.entries;
  }
  const number = segments.at(-1) ?? from;
  return { state, number, replayed, ...last };
}

/** Makes the snapshot that stands before segment `number`, from the files behind the last one. */
export async function writeSnapshot(folder: string, number: number): Promise<void> {
  const { state } = await recover(folder, number);
  const bytes = serialize(state);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  await writeWhole(join(folder, snapshotName(number)), Buffer.concat([sum, bytes]));
}

async function loadSnapshot(
  folder: string,
  snapshots: readonly number[],
  before: number,
): Promise<{ readonly state: RouterState; readonly from: number }> {
  // The newest first; an older one will do where that is damaged, since no segment is thrown away.
  for (const number of [...snapshots].reverse()) {
    if (number > before) continue;
    const bytes = await readFile(join(folder, snapshotName(number)));
    const payload = bytes.subarray(4);
    if (bytes.length < 4 || crc32(payload) !== bytes.readUInt32BE(0)) continue;
    const state = deserialize(payload) as RouterState;
    if (state.format !== coreFormat) throw formatUnknown();
    return { state, from: number };
  }
  return { state: createState(), from: 1 };
}

function requireUnbroken(folder: string, segments: readonly number[], from: number): void {
  const missing = segments.findIndex((number, index) => number !== from + index);
  if (missing === -1) return;
  throw new LakeError("journal-corrupt", `A file of the journal in ${folder} is missing.`, {
    advice: "Restore the data folder from a backup.",
    data: { segment: from + missing },
  });
}
