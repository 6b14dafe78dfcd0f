import { createHash } from "node:crypto";
import { open, statfs, stat, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { CID } from "multiformats/cid";
import { LakeError } from "@lake-travis/protocol";
import type { BlockReader } from "./block-store.ts";
import { codecOf, sha256 } from "./content-id.ts";
import type { ContentIndex, IndexedBlock } from "./content-index.ts";
import type { BlockFetcher, WantedBlock } from "./fetch-blocks.ts";
import { readFileNode, type DagNode, type FilePart } from "./file-dag.ts";
import { limits } from "./limits.ts";
import type { ProgressMeter } from "./progress.ts";

/** A file to pull. */
export interface WantedFile {
  readonly root: CID;
  readonly bytes: number;
  /** SHA-256 of the whole; where undefined, the blocks' own digests are all there is to check. */
  readonly digest: Uint8Array | undefined;
  /** Where to write it; what a killed pull left there is checked and kept. */
  readonly path: string;
}

/** What pulling a file needs of its node. */
export interface PullMeans {
  readonly index: ContentIndex;
  readonly store: BlockReader;
  readonly fetcher: BlockFetcher;
  readonly meter: ProgressMeter;
  readonly signal: AbortSignal;
}

/** A leaf and where in the file it belongs. */
interface WantedLeaf extends WantedBlock {
  readonly length: number;
  readonly offset: number;
}

/**
 * Pulls one file in place: its nodes first, then its leaves in parallel, each checked before it is
 * written where it belongs. Blocks that lie on this disk already, from a killed pull or in another
 * model, are checked and not fetched. Every written block is served from that moment on.
 *
 * Throws `block-invalid` for a malformed DAG, `manifest-invalid` where the whole's SHA-256 is not
 * the announced one, `disk-full`, and what {@link BlockFetcher} throws.
 */
export async function pullFile(wanted: WantedFile, means: PullMeans): Promise<void> {
  const { index, meter } = means;
  const { leaves, nodes } = await readLayout(wanted, means);
  const id = index.transaction(() => {
    const file = index.addFile({
      path: wanted.path,
      bytes: wanted.bytes,
      // Time 0 says that the file is still changing, by us.
      changedMs: 0,
      digest: wanted.digest ?? new Uint8Array(),
      root: wanted.root.toString(),
      owned: true,
      whole: false,
    });
    for (const node of nodes) index.addNode(`file:${file}`, node);
    return file;
  });
  // Opened without "truncate": what is there is what a resume is for.
  const handle = await openForWriting(wanted);
  try {
    const writer = new FileWriter(handle, id, leaves, means);
    await writer.adoptWhatIsThere();
    meter.enter("pulling");
    await writer.pullTheRest(wanted.digest);
    await handle.sync();
    index.setWhole(id, (await handle.stat()).mtimeMs);
  } finally {
    await handle.close();
  }
}

/** Fetches a file's nodes level by level and returns its leaves in order. */
async function readLayout(
  wanted: WantedFile,
  means: PullMeans,
): Promise<{ leaves: readonly WantedLeaf[]; nodes: readonly DagNode[] }> {
  const leavesMax = limits.leavesAlways + wanted.bytes / limits.leafBytesMeanMin;
  const nodes = new Map<string, DagNode>();
  let level: FilePart[] = [{ cid: wanted.root, length: wanted.bytes }];
  for (let depth = 0; level.some(({ cid }) => codecOf(cid) === "dag-pb"); depth += 1) {
    if (depth >= limits.dagDepthMax) throw tooMuch("The file's DAG is too deep.");
    await fetchNodes(level, means, nodes);
    const below: FilePart[] = [];
    for (const part of level) {
      const node = nodes.get(part.cid.toString());
      // Read once for each place: a node that stands in two places must fit both.
      for (const child of node === undefined ? [part] : readFileNode(node.bytes, part.length)) {
        below.push(child);
      }
      if (below.length > leavesMax) throw tooMuch(`The file has more than ${leavesMax} parts.`);
    }
    level = below;
  }
  let offset = 0;
  const leaves = level.map(({ cid, length }): WantedLeaf => {
    const leaf = { cid, length, offset };
    offset += length;
    return leaf;
  });
  return { leaves, nodes: [...nodes.values()] };
}

/** Adds the nodes of one level, each once however often it is linked. */
async function fetchNodes(
  level: readonly FilePart[],
  means: PullMeans,
  nodes: Map<string, DagNode>,
): Promise<void> {
  const missing = new Map<string, { readonly cid: CID }>();
  for (const { cid } of level) {
    const key = cid.toString();
    if (codecOf(cid) === "raw" || nodes.has(key) || missing.has(key)) continue;
    const { digest } = cid.multihash;
    const bytes = await means.store.get(digest);
    if (bytes === undefined) missing.set(key, { cid });
    else nodes.set(key, { digest, bytes: Buffer.from(bytes) });
  }
  await means.fetcher.fetchAll(missing.values(), ({ cid }, bytes) => {
    // The fetcher reuses its buffer, so the node is copied.
    nodes.set(cid.toString(), { digest: cid.multihash.digest, bytes: Buffer.from(bytes) });
    return Promise.resolve();
  });
}

/** Writes one file's leaves in place and follows with the hash of the whole. */
class FileWriter {
  readonly #handle: FileHandle;
  readonly #id: number;
  readonly #leaves: readonly WantedLeaf[];
  readonly #means: PullMeans;
  /** One flag a leaf, in order: whether it is on the disk, checked. */
  readonly #have: Uint8Array;
  #batch: IndexedBlock[] = [];
  #batchMs = 0;

  constructor(handle: FileHandle, id: number, leaves: readonly WantedLeaf[], means: PullMeans) {
    this.#handle = handle;
    this.#id = id;
    this.#leaves = leaves;
    this.#means = means;
    this.#have = new Uint8Array(leaves.length);
  }

  /**
   * Checks every block of what a killed pull left, and copies blocks that another file has. The
   * disk is the only truth here: a journal of what was written could be lost or wrong.
   */
  async adoptWhatIsThere(): Promise<void> {
    const { meter, signal, store } = this.#means;
    meter.enter("checking");
    const isResumed = (await this.#handle.stat()).blocks > 0;
    const buffer = Buffer.allocUnsafe(limits.blockBytesMax);
    const zeros = Buffer.alloc(limits.blockBytesMax);
    for (const [at, leaf] of this.#leaves.entries()) {
      signal.throwIfAborted();
      const { digest } = leaf.cid.multihash;
      const target = buffer.subarray(0, leaf.length);
      if (isResumed) {
        const { bytesRead } = await this.#handle.read(target, 0, leaf.length, leaf.offset);
        // A hole reads as zeros: comparing is ten times faster than hashing it.
        const isHole = target.equals(zeros.subarray(0, leaf.length));
        if (bytesRead === leaf.length && !isHole && Buffer.compare(sha256(target), digest) === 0) {
          this.#note(at, leaf);
          meter.found(leaf.length);
          continue;
        }
      }
      const held = await store.find(digest)?.read(target);
      if (held === undefined || Buffer.compare(sha256(held), digest) !== 0) continue;
      await this.#write(leaf, held);
      this.#note(at, leaf);
      meter.found(leaf.length);
    }
    this.#flush();
    await this.#handle.truncate(this.#totalBytes());
  }

  /** Fetches what is missing while the hash of the whole follows behind. */
  async pullTheRest(digest: Uint8Array | undefined): Promise<void> {
    const stop = new AbortController();
    const follow = digest === undefined ? undefined : this.#followHash(digest, stop.signal);
    // Awaited below; without this a failure in between would count as unhandled.
    follow?.catch(() => undefined);
    try {
      const wanted = this.#missing();
      await this.#means.fetcher.fetchAll(wanted, async (leaf, bytes) => {
        await this.#write(leaf, bytes);
        this.#note(leaf.at, leaf);
        this.#means.meter.moved(bytes.length);
        if (
          this.#batch.length >= limits.indexBatch ||
          performance.now() - this.#batchMs > limits.indexBatchMs
        )
          this.#flush();
      });
    } catch (error) {
      stop.abort(error);
      throw error;
    } finally {
      this.#flush();
    }
    await follow;
  }

  *#missing(): Generator<WantedLeaf & { readonly at: number }> {
    for (const [at, leaf] of this.#leaves.entries()) {
      if (this.#have[at] === 0) yield { ...leaf, at };
    }
  }

  async #followHash(digest: Uint8Array, stop: AbortSignal): Promise<void> {
    const whole = createHash("sha256");
    const buffer = Buffer.allocUnsafe(limits.blockBytesMax);
    for (const [at, leaf] of this.#leaves.entries()) {
      while (this.#have[at] === 0) {
        stop.throwIfAborted();
        await new Promise((resolve) => setTimeout(resolve, followPauseMs));
      }
      stop.throwIfAborted();
      this.#means.signal.throwIfAborted();
      await this.#handle.read(buffer, 0, leaf.length, leaf.offset);
      whole.update(buffer.subarray(0, leaf.length));
    }
    if (Buffer.compare(whole.digest(), digest) !== 0) {
      throw new LakeError("manifest-invalid", "The file's SHA-256 is not the manifest's.", {
        advice: "The Builder published a wrong manifest; the file was not kept.",
      });
    }
  }

  async #write(leaf: WantedLeaf, bytes: Uint8Array): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const { bytesWritten } = await this.#handle
        .write(bytes, written, bytes.length - written, leaf.offset + written)
        .catch((cause: unknown) => {
          throw diskFailure(cause);
        });
      written += bytesWritten;
    }
  }

  #note(at: number, leaf: WantedLeaf): void {
    this.#have[at] = 1;
    if (this.#batch.length === 0) this.#batchMs = performance.now();
    const { length, offset } = leaf;
    this.#batch.push({ digest: leaf.cid.multihash.digest, offset, length });
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = [];
    this.#means.index.transaction(() => this.#means.index.addBlocks(this.#id, batch));
  }

  #totalBytes(): number {
    const last = this.#leaves.at(-1);
    return last === undefined ? 0 : last.offset + last.length;
  }
}

/** The hash follows the newest block at this distance at most; it has the pull's time for it. */
const followPauseMs = 5;

async function openForWriting(wanted: WantedFile): Promise<FileHandle> {
  const { bavail, bsize } = await statfs(dirname(wanted.path));
  const there = await stat(wanted.path).catch(() => undefined);
  const missing = wanted.bytes - (there?.blocks ?? 0) * 512;
  if (missing > bavail * bsize) {
    throw new LakeError("disk-full", `The disk lacks ${missing - bavail * bsize} bytes.`, {
      advice: "Free some space (lake models gc) or choose another data folder.",
      data: { missingBytes: missing },
    });
  }
  try {
    return await open(wanted.path, there === undefined ? "wx+" : "r+");
  } catch (cause) {
    throw new LakeError("folder-unusable", `${wanted.path} cannot be written.`, { cause });
  }
}

function diskFailure(cause: unknown): LakeError {
  const code = (cause as NodeJS.ErrnoException).code;
  return code === "ENOSPC" || code === "EDQUOT"
    ? new LakeError("disk-full", "The disk is full.", {
        cause,
        advice: "Free some space and pull again: what is there is kept.",
      })
    : new LakeError("folder-unusable", "The file cannot be written.", { cause });
}

function tooMuch(sentence: string): LakeError {
  return new LakeError("block-invalid", sentence, {
    advice: "The content is made to exhaust memory; nothing of it was kept.",
  });
}
