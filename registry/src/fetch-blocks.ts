import { setTimeout as sleep } from "node:timers/promises";
import type { CID } from "multiformats/cid";
import { LakeError } from "@lake-travis/protocol";
import type { BlockSource } from "./block-source.ts";
import { sha256 } from "./content-id.ts";
import { limits } from "./limits.ts";

// Many holders, one list of blocks: each connection of each holder takes the next block that
// nobody fetches yet, so faster holders carry more by themselves. At the end, idle connections
// fetch a second time what a slow one still owes. A holder that lies is dropped at once, one that
// stalls or cuts off pauses and is dropped after some failures in a row, unless it is the last.

/** A block to fetch. */
export interface WantedBlock {
  readonly cid: CID;
  /** Its length in bytes where the DAG says so; a block of another length is a lie. */
  readonly length?: number;
}

/** What a pull knows of one holder. */
export interface HolderReport {
  readonly name: string;
  readonly blocks: number;
  readonly bytes: number;
  /** Why it was dropped; undefined while it is in use. */
  readonly dropped: string | undefined;
}

interface Holder {
  readonly source: BlockSource;
  blocks: number;
  bytes: number;
  failures: number;
  resumeAtMs: number;
  dropped: string | undefined;
}

interface Task<Block extends WantedBlock> {
  readonly block: Block;
  readonly missingAt: Set<Holder>;
  readonly fetching: Set<Holder>;
  readonly done: AbortController;
  startedMs: number;
}

/** Fetches blocks from several holders at once and checks each before it is passed on. */
export class BlockFetcher {
  readonly #holders: Holder[];
  readonly #signal: AbortSignal;
  readonly #spare: Buffer[] = [];

  constructor(sources: readonly BlockSource[], signal: AbortSignal) {
    this.#signal = signal;
    this.#holders = sources.slice(0, limits.holdersMax).map((source) => ({
      source,
      blocks: 0,
      bytes: 0,
      failures: 0,
      resumeAtMs: 0,
      dropped: undefined,
    }));
  }

  /** What each holder did so far. */
  report(): readonly HolderReport[] {
    return this.#holders.map(({ source, blocks, bytes, dropped }) => ({
      name: source.name,
      blocks,
      bytes,
      dropped,
    }));
  }

  /** How many holders delivered and are still in use. */
  delivering(): number {
    return this.#holders.filter(({ dropped, blocks }) => dropped === undefined && blocks > 0)
      .length;
  }

  /** Fetches one block of at most the block limit; throws as {@link fetchAll} does. */
  async fetchOne(cid: CID): Promise<Uint8Array> {
    let result: Uint8Array | undefined;
    await this.fetchAll([{ cid }], (_, bytes) => {
      result = Buffer.from(bytes);
      return Promise.resolve();
    });
    return result as Uint8Array;
  }

  /**
   * Fetches all blocks in about the order given. `deliver` gets each once, checked; its bytes are
   * valid until the promise it returns resolves.
   *
   * Throws `holder-none` when no holder is left, `content-missing` when none has the blocks that
   * are left, both with a sentence for each holder; and the reason of the signal.
   */
  async fetchAll<Block extends WantedBlock>(
    blocks: Iterable<Block>,
    deliver: (block: Block, bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    const run = new Run(blocks, deliver, this.#holders, this.#signal, this.#spare);
    await run.finish();
  }

  /** Closes the connections of all holders. */
  async close(): Promise<void> {
    for (const { source } of this.#holders) await source.close();
  }
}

class Run<Block extends WantedBlock> {
  readonly #next: Iterator<Block>;
  readonly #deliver: (block: Block, bytes: Uint8Array) => Promise<void>;
  readonly #holders: readonly Holder[];
  readonly #signal: AbortSignal;
  readonly #spare: Buffer[];
  readonly #stop = new AbortController();
  /** Tasks begun and not done: bounded by connections, for each holds one or had it fail. */
  readonly #begun = new Set<Task<Block>>();
  #exhausted = false;
  #failure: unknown;
  #progressMs = performance.now();
  #changed = Promise.withResolvers<undefined>();

  constructor(
    blocks: Iterable<Block>,
    deliver: (block: Block, bytes: Uint8Array) => Promise<void>,
    holders: readonly Holder[],
    signal: AbortSignal,
    spare: Buffer[],
  ) {
    this.#next = blocks[Symbol.iterator]();
    this.#deliver = deliver;
    this.#holders = holders;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#spare = spare;
  }

  async finish(): Promise<void> {
    const live = this.#holders.filter((holder) => holder.dropped === undefined);
    const workers: Promise<void>[] = [];
    // Round by round, so that the bound on all connections hits no holder alone.
    for (let round = 0; round < limits.connectionsPerHolder; round += 1) {
      for (const holder of live) {
        if (round >= holder.source.parallel || workers.length >= limits.connectionsPerPull)
          continue;
        workers.push(this.#work(holder));
      }
    }
    await Promise.all(workers);
    this.#signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure as Error;
    if (this.#begun.size > 0 || !this.#isExhausted()) throw this.#nobodyLeft();
  }

  async #work(holder: Holder): Promise<void> {
    while (!this.#signal.aborted && this.#failure === undefined && holder.dropped === undefined) {
      const pauseMs = holder.resumeAtMs - performance.now();
      if (pauseMs > 0) {
        await this.#wait(pauseMs);
        if (this.#isDone()) return;
        this.#checkProgress();
        continue;
      }
      const task = this.#take(holder);
      if (task !== undefined) {
        await this.#attempt(holder, task);
        continue;
      }
      if (this.#isDone()) return;
      await this.#wait(limits.retryMs);
      this.#checkProgress();
    }
  }

  #take(holder: Holder): Task<Block> | undefined {
    // What another holder failed on comes first, so that the blocks stay about in order.
    let slowest: Task<Block> | undefined;
    for (const task of this.#begun) {
      // A block that is being written was fetched; to begin it again would spin.
      if (task.done.signal.aborted) continue;
      if (task.missingAt.has(holder) || task.fetching.has(holder)) continue;
      if (task.fetching.size === 0) return this.#begin(holder, task);
      const lateMs = performance.now() - task.startedMs;
      if (task.fetching.size > 1 || lateMs < limits.endgameMs) continue;
      if ((slowest?.startedMs ?? Infinity) > task.startedMs) slowest = task;
    }
    if (!this.#exhausted) {
      const next = this.#next.next();
      if (next.done === true) this.#exhausted = true;
      else {
        const task: Task<Block> = {
          block: next.value,
          missingAt: new Set(),
          fetching: new Set(),
          done: new AbortController(),
          startedMs: 0,
        };
        this.#begun.add(task);
        return this.#begin(holder, task);
      }
    }
    return slowest === undefined ? undefined : this.#begin(holder, slowest);
  }

  #begin(holder: Holder, task: Task<Block>): Task<Block> {
    task.fetching.add(holder);
    if (task.fetching.size === 1) task.startedMs = performance.now();
    return task;
  }

  async #attempt(holder: Holder, task: Task<Block>): Promise<void> {
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
    const target =
      task.block.length === undefined || task.block.length > buffer.length
        ? Buffer.allocUnsafe(task.block.length ?? limits.blockBytesMax)
        : buffer.subarray(0, task.block.length);
    const others = this.#holders.some((other) => other !== holder && other.dropped === undefined);
    const deadline = AbortSignal.timeout(others ? limits.blockMsWithOthers : limits.blockMsAlone);
    const signal = AbortSignal.any([this.#signal, task.done.signal, deadline]);
    try {
      const length = await holder.source.fetch(task.block.cid, target, signal);
      if (task.done.signal.aborted) return;
      const bytes = target.subarray(0, length);
      checkBlock(task.block, bytes);
      // From here on nobody else delivers this block.
      task.done.abort();
      await this.#accept(holder, task, bytes);
    } catch (error) {
      if (!task.done.signal.aborted) this.#blame(holder, task, error);
    } finally {
      task.fetching.delete(holder);
      this.#spare.push(buffer);
      this.#tellChanged();
    }
  }

  async #accept(holder: Holder, task: Task<Block>, bytes: Uint8Array): Promise<void> {
    try {
      await this.#deliver(task.block, bytes);
    } catch (error) {
      // The disk is full or the caller gave up: no other holder can help.
      this.#failure ??= error;
      this.#stop.abort(error);
      return;
    }
    this.#begun.delete(task);
    this.#progressMs = performance.now();
    holder.blocks += 1;
    holder.bytes += bytes.length;
    holder.failures = 0;
  }

  #blame(holder: Holder, task: Task<Block>, error: unknown): void {
    if (this.#signal.aborted) return;
    if (error instanceof LakeError && error.code === "content-missing") {
      task.missingAt.add(holder);
      const live = this.#holders.filter(({ dropped }) => dropped === undefined);
      if (!live.every((other) => task.missingAt.has(other))) return;
      // Nobody has it now; a holder that is pulling itself may have it soon.
      task.missingAt.clear();
      for (const other of live) other.resumeAtMs = performance.now() + limits.retryMs * 2;
      return;
    }
    if (error instanceof LakeError && error.code === "block-invalid") {
      holder.dropped = error.message;
      return;
    }
    holder.failures += 1;
    const pauseMs = Math.min(limits.retryMs * 2 ** (holder.failures - 1), limits.retryMsMax);
    holder.resumeAtMs = performance.now() + pauseMs;
    const failuresMax = this.#others(holder) ? limits.holderFailuresMax : aloneFailuresMax;
    if (holder.failures < failuresMax) return;
    holder.dropped = error instanceof Error ? error.message : "It failed.";
  }

  #others(holder: Holder): boolean {
    return this.#holders.some((other) => other !== holder && other.dropped === undefined);
  }

  #checkProgress(): void {
    if (performance.now() - this.#progressMs < limits.noProgressMs) return;
    const waiting = [...this.#begun].some((task) => task.fetching.size > 0);
    if (!waiting) this.#stop.abort(this.#nobodyLeft());
  }

  #isDone(): boolean {
    return this.#begun.size === 0 && this.#exhausted;
  }

  #isExhausted(): boolean {
    return this.#exhausted || this.#next.next().done === true;
  }

  async #wait(ms: number): Promise<void> {
    const timer = new AbortController();
    const slept = sleep(ms, undefined, { signal: AbortSignal.any([timer.signal, this.#signal]) });
    // An aborted wait is an early end, not a failure: the loop looks at the signal itself.
    await Promise.race([this.#changed.promise, slept.catch(() => undefined)]);
    timer.abort();
  }

  #tellChanged(): void {
    this.#changed.resolve(undefined);
    this.#changed = Promise.withResolvers<undefined>();
  }

  #nobodyLeft(): LakeError {
    const left = this.#holders.filter(({ dropped }) => dropped === undefined);
    const why = this.#holders
      .map(({ source, dropped }) => `${source.name}: ${dropped ?? "does not have it"}`)
      .join("; ");
    return left.length > 0
      ? new LakeError("content-missing", `No holder has all blocks (${why}).`, {
          advice: "Try again later: what was pulled is kept and not fetched again.",
        })
      : new LakeError("holder-none", `No holder is left (${why === "" ? "none known" : why}).`, {
          advice: "Name one with --peer; what was pulled is kept and not fetched again.",
        });
  }
}

/** Leaves of the profile fit; the rare larger block gets a buffer of its own. */
const bufferBytes = limits.leafBytes;
/** The last holder is given more chances: with it the pull ends. */
const aloneFailuresMax = limits.holderFailuresMax * 3;

function checkBlock(block: WantedBlock, bytes: Uint8Array): void {
  const expected = block.cid.multihash.digest;
  if (
    (block.length !== undefined && block.length !== bytes.length) ||
    Buffer.compare(sha256(bytes), expected) !== 0
  ) {
    throw new LakeError("block-invalid", "It sent wrong bytes.");
  }
}
