import { decode, encode, prepare } from "@ipld/dag-pb";
import { UnixFS } from "ipfs-unixfs";
import type { CID } from "multiformats/cid";
import { LakeError } from "@lake-travis/protocol";
import { checkContentId, codecOf, contentId, sha256 } from "./content-id.ts";
import { limits } from "./limits.ts";

/** A block that is kept as bytes: an inner node of a file. */
export interface DagNode {
  readonly digest: Uint8Array;
  readonly bytes: Uint8Array;
}

/** A part of a file: a leaf, or everything below an inner node. */
export interface FilePart {
  readonly cid: CID;
  /** Bytes of the file that this part stands for. */
  readonly length: number;
}

/** The DAG of a file: its root and its inner nodes, none for a file of one leaf. */
export interface FileDag {
  readonly root: CID;
  readonly nodes: readonly DagNode[];
}

interface Branch extends FilePart {
  /** Bytes of all blocks below, which UnixFS calls Tsize. */
  readonly totalBytes: number;
}

/**
 * The balanced DAG over a file's leaves, by the profile unixfs-v1-2025 (IPIP-499): raw leaves of
 * 1 MiB, at most 1,024 links a node, all leaves at one depth, CIDv1, SHA-256.
 *
 * @param leaves SHA-256 and length in bytes of each leaf, in order; at least one.
 */
export function layOutFile(
  leaves: readonly { readonly digest: Uint8Array; readonly length: number }[],
): FileDag {
  const nodes: DagNode[] = [];
  let level: Branch[] = leaves.map(({ digest, length }) => ({
    cid: contentId("raw", digest),
    length,
    totalBytes: length,
  }));
  while (level.length > 1) {
    const above: Branch[] = [];
    for (let at = 0; at < level.length; at += limits.nodeLinks) {
      above.push(join(level.slice(at, at + limits.nodeLinks), nodes));
    }
    level = above;
  }
  const [top] = level;
  if (top === undefined) throw new RangeError("A file has at least one leaf.");
  return { root: top.cid, nodes };
}

/**
 * Reads an inner node of a file, and checks that its parts add up to `length`.
 *
 * Throws `block-invalid` for what is not a UnixFS file of raw leaves: a directory, a symlink,
 * inline data, an empty part (of which one block could hold thousands), wrong sums.
 */
export function readFileNode(bytes: Uint8Array, length: number): readonly FilePart[] {
  const { links, sizes } = decodeNode(bytes);
  if (links.length !== sizes.length || links.length === 0) {
    throw invalid("A node of the file has not one size for each link.");
  }
  if (links.length > limits.nodeLinksMax) throw invalid(`A node has ${links.length} links.`);
  let sum = 0;
  const parts = links.map((cid, index): FilePart => {
    const size = Number(sizes[index]);
    if (size <= 0) throw invalid("A node of the file has an empty part.");
    if (codecOf(cid) === "raw" && size > limits.blockBytesMax) {
      throw invalid(`A leaf of ${size} bytes is larger than a block may be.`);
    }
    sum += size;
    return { cid: checkContentId(cid), length: size };
  });
  if (sum !== length) throw invalid(`The parts have ${sum} bytes where ${length} are announced.`);
  return parts;
}

/** The bytes of the file below a node, as the node itself says; throws `block-invalid`. */
export function fileLengthOf(bytes: Uint8Array): number {
  return decodeNode(bytes).sizes.reduce((sum, size) => sum + Number(size), 0);
}

function decodeNode(bytes: Uint8Array): { links: CID[]; sizes: readonly bigint[] } {
  let node, file;
  try {
    node = decode(bytes);
    file = UnixFS.unmarshal(node.Data ?? new Uint8Array());
  } catch (cause) {
    throw new LakeError("block-invalid", "A node of the file is no UnixFS node.", { cause });
  }
  if (file.type !== "file") {
    throw new LakeError("block-invalid", `The content is a ${file.type}, not a file.`, {
      advice: "Only plain files are pulled; directories and symbolic links are refused.",
    });
  }
  if (file.data !== undefined && file.data.length > 0) {
    throw new LakeError("block-invalid", "The file has no raw leaves.", {
      advice: "Add it again with the IPFS profile unixfs-v1-2025.",
    });
  }
  return { links: node.Links.map((link) => link.Hash), sizes: file.blockSizes };
}

function join(parts: readonly Branch[], nodes: DagNode[]): Branch {
  const file = new UnixFS({ type: "file", blockSizes: parts.map((part) => BigInt(part.length)) });
  const bytes = encode(
    prepare({
      Data: file.marshal(),
      Links: parts.map((part) => ({ Name: "", Tsize: part.totalBytes, Hash: part.cid })),
    }),
  );
  const digest = sha256(bytes);
  nodes.push({ digest, bytes });
  return {
    cid: contentId("dag-pb", digest),
    length: parts.reduce((sum, part) => sum + part.length, 0),
    totalBytes: parts.reduce((sum, part) => sum + part.totalBytes, bytes.length),
  };
}

function invalid(sentence: string): LakeError {
  return new LakeError("block-invalid", sentence, {
    advice: "The holder or the Builder made a malformed file; nothing of it was kept.",
  });
}
