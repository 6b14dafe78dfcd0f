import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import type { Hex } from "@lake-travis/protocol";
import { folderError } from "@lake-travis/platform";
import { contentIdToHex, type IpfsNode } from "@lake-travis/registry";
import { writeWhole } from "./journal/journal.ts";

/** A file of Records where everybody can fetch it. */
export interface FiledRecords {
  /** CIDv1 as text, and the SHA-256 inside it as the contract keeps it. */
  readonly cid: string;
  readonly digest: Hex;
}

/** Where Records go that the public may read. */
export interface RecordArchive {
  /** Files lines (each with its line end) under the last epoch that they are of; null for none. */
  put(epoch: number, lines: readonly string[]): Promise<FiledRecords | null>;
  /** The file of an epoch's settlement as a stream; undefined where there is none. */
  read(epoch: number): Promise<ReadableStream<Uint8Array> | undefined>;
}

/** Keeps the files in a folder and serves them by IPFS too. */
export async function openRecordArchive(folder: string, ipfs: IpfsNode): Promise<RecordArchive> {
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw folderError(folder, cause);
  });
  const pathOf = (epoch: number): string => join(folder, `${epoch}.jsonl`);
  return {
    async put(epoch, lines) {
      if (lines.length === 0) return null;
      const bytes = Buffer.from(lines.join(""));
      await writeWhole(pathOf(epoch), bytes).catch((cause: unknown) => {
        throw folderError(folder, cause);
      });
      const { root } = await ipfs.putRecord(bytes);
      return { cid: root.toString(), digest: contentIdToHex(root) };
    },
    async read(epoch) {
      const file = await open(pathOf(epoch)).catch(() => undefined);
      // The stream closes the file when it ends or is given up.
      return file?.readableWebStream({ autoClose: true }) as ReadableStream<Uint8Array> | undefined;
    },
  };
}
