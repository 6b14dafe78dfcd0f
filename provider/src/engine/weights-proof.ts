import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { fromHex, type Hex, toHex } from "@lake-travis/protocol";

/** Shows that a process has a model's weights at hand, by answering random nonces. */
export interface WeightsProof {
  /** SHA-256 of the nonce and the piece of the file that it points at. */
  answer(nonce: Hex): Promise<Hex>;
}

/** What is hashed of the file for each nonce. */
const pieceBytes = 4_096;
/** The offset comes from so many bytes of the nonce: enough for files of 281 TB. */
const offsetBytes = 6;

/** Opens the file once, so that what is proven is what was loaded. */
export async function createWeightsProof(path: string): Promise<WeightsProof> {
  const handle = await open(path, "r");
  const { size } = await handle.stat();
  return {
    async answer(nonce) {
      const bytes = Buffer.from(fromHex(nonce));
      const offset = bytes.readUIntBE(0, offsetBytes) % Math.max(1, size - pieceBytes);
      const piece = await readPiece(handle, offset, size);
      return toHex(createHash("sha256").update(bytes).update(piece).digest());
    },
  };
}

async function readPiece(handle: FileHandle, offset: number, size: number): Promise<Uint8Array> {
  // A file smaller than one piece counts whole.
  const from = size < pieceBytes ? 0 : offset;
  const piece = Buffer.alloc(Math.min(pieceBytes, size - from));
  await handle.read(piece, 0, piece.length, from);
  return piece;
}
