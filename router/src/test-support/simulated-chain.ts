import {
  type Address,
  type ChainBlock,
  type ChainEvent,
  type ChainReceipt,
  type Clock,
  type DebitLeaf,
  debitLeaf,
  type Delegation,
  epochAt,
  type EpochSchedule,
  type Hex,
  fromHex,
  keccak256,
  keccak256Hex,
  LakeError,
  messageHash,
  type RouterChain,
  type Settlement,
  settlementType,
  type SettlementState,
  type Signed,
  toHex,
} from "@lake-travis/protocol";

/** Faster than any real chain, so that tests wait little. */
const blockMs = 200;
const settleGas = 100_000;
const collectGas = 64_000;
const answerGas = 120_000;

/** How a {@link SimulatedChain} is set up. */
export interface SimulatedChainOptions {
  readonly clock: Clock;
  readonly schedule: EpochSchedule;
  readonly budget: bigint;
  readonly separator: Uint8Array;
}

/**
 * The chain's port in memory: blocks by the clock, facts put in by whoever tests, settlements that
 * are pending for one epoch, as the Compute Contract has it.
 */
export class SimulatedChain implements RouterChain {
  readonly blocks: ChainBlock[] = [];
  readonly settlements: { readonly hash: Hex; readonly settlement: Settlement }[] = [];
  readonly collected: { readonly number: number; readonly cumulativeDebit: bigint }[] = [];
  readonly answers: {
    readonly number: number;
    readonly leaf: DebitLeaf;
    readonly delegation: Delegation | null;
  }[] = [];
  readonly #options: SimulatedChainOptions;
  readonly #demands = new Map<number, Hex>();
  #events: ChainEvent[] = [];
  #pending: { hash: Hex; settlement: Settlement; finalAt: number; epoch: number } | null = null;
  #final: { hash: Hex; settlement: Settlement } | null = null;

  constructor(options: SimulatedChainOptions) {
    this.#options = options;
  }

  /** Puts facts into the next block. */
  add(...events: readonly ChainEvent[]): void {
    this.#events.push(...events);
  }

  /** Mines a block now. */
  mine(): ChainBlock {
    const { clock } = this.#options;
    this.#mature();
    const number = this.#numberNow();
    const block: ChainBlock = {
      number,
      hash: keccak256Hex(Uint8Array.of(number & 255, number >> 8)),
      timestampMs: clock.now(),
      events: this.#events,
    };
    this.#events = [];
    this.blocks.push(block);
    return block;
  }

  async follow(options: Parameters<RouterChain["follow"]>[0]): Promise<void> {
    let next = options.fromBlock;
    while (!options.signal.aborted) {
      const newest = this.mine();
      const blocks = this.blocks.filter(({ number }) => number >= next);
      next = newest.number + 1;
      if (blocks.length > 0) await options.onBlocks(blocks);
      await this.#options.clock.sleep(blockMs, options.signal).catch(() => undefined);
    }
  }

  budgetOf(): Promise<bigint> {
    return Promise.resolve(this.#options.budget);
  }

  settlementState(): Promise<SettlementState> {
    this.#mature();
    const pending = this.#pending;
    const final = this.#final;
    return Promise.resolve({
      final: final === null ? null : summary(final),
      pending:
        pending === null
          ? null
          : { ...summary(pending), postedInEpoch: pending.epoch, finalAt: pending.finalAt },
    });
  }

  settle(
    settlement: Settlement,
    signatures: readonly { readonly router: Address; readonly signature: Hex }[],
  ): Promise<ChainReceipt> {
    this.#mature();
    const { clock, schedule, separator } = this.#options;
    const current = epochAt(schedule, clock.now());
    const previous = this.#final?.hash ?? `0x${"0".repeat(64)}`;
    const good =
      this.#pending === null &&
      settlement.previous === previous &&
      settlement.epoch < current &&
      signatures.length > 0;
    if (!good) return Promise.reject(new LakeError("chain-refused", "The contract refused."));
    const hash = messageHash(separator, settlementType, settlement);
    const finalAt = clock.now() + schedule.lengthMs;
    this.#pending = { hash, settlement, finalAt, epoch: current };
    this.settlements.push({ hash, settlement });
    const { epoch, creditRoot } = settlement;
    this.add({ type: "settlement-posted", epoch, hash, creditRoot });
    const block = this.#numberNow();
    return Promise.resolve({ transaction: hash, block, gasUsed: settleGas });
  }

  collect(number: number, { cumulativeDebit }: DebitLeaf): Promise<ChainReceipt> {
    this.collected.push({ number, cumulativeDebit });
    const fact = { number: BigInt(number), collected: cumulativeDebit };
    this.add({ type: "deposit-collected", ...fact });
    const transaction = keccak256Hex(Uint8Array.of(number));
    return Promise.resolve({ transaction, block: this.#numberNow(), gasUsed: collectGas });
  }

  /** Puts a demand into the next block. */
  demand(number: number): void {
    const hash = this.#pending?.hash;
    if (hash === undefined) throw new Error("no settlement is pending");
    this.#demands.set(number, hash);
    this.add({ type: "deposit-demanded", number: BigInt(number), hash });
  }

  answerDemand(
    number: number,
    leaf: DebitLeaf,
    { message }: Signed<Delegation>,
  ): Promise<ChainReceipt> {
    const { schedule } = this.#options;
    const end = epochAt(schedule, message.expiresAt) + 1;
    if (message.debitCeiling < leaf.cumulativeDebit) return refuse("CeilingExceeded");
    if ((this.#final?.settlement.epoch ?? 0) > end) return refuse("DelegationInvalid");
    return this.#answer(number, leaf, message);
  }

  answerUnchanged(
    number: number,
    leaf: DebitLeaf,
    finalLeaf: DebitLeaf | null,
  ): Promise<ChainReceipt> {
    const final = this.#final?.settlement.debitRoot;
    const isKnown = finalLeaf !== null && rootOf(number, finalLeaf) === final;
    const highest = isKnown ? finalLeaf.cumulativeDebit : 0n;
    if (leaf.cumulativeDebit > highest) return refuse("CeilingExceeded");
    return this.#answer(number, leaf, null);
  }

  #answer(number: number, leaf: DebitLeaf, delegation: Delegation | null): Promise<ChainReceipt> {
    const pending = this.#pending;
    if (pending === null || this.#demands.get(number) !== pending.hash) return refuse("NoDemand");
    if (rootOf(number, leaf) !== pending.settlement.debitRoot) return refuse("ProofInvalid");
    this.#demands.delete(number);
    this.answers.push({ number, leaf, delegation });
    this.add({ type: "demand-answered", number: BigInt(number), hash: pending.hash });
    const transaction = keccak256Hex(Uint8Array.of(number, 1));
    return Promise.resolve({ transaction, block: this.#numberNow(), gasUsed: answerGas });
  }

  /**
   * By the clock, so that a chain which is made anew goes on where the last one was: the chain
   * outlives a Router that is killed.
   */
  #numberNow(): number {
    const { clock, schedule } = this.#options;
    const byClock = Math.floor((clock.now() - schedule.genesisMs) / blockMs);
    return Math.max(byClock, (this.blocks.at(-1)?.number ?? -1) + 1);
  }

  #mature(): void {
    const pending = this.#pending;
    if (pending === null || this.#options.clock.now() < pending.finalAt) return;
    this.#final = pending;
    this.#pending = null;
  }
}

function refuse(reason: string): Promise<never> {
  const message = `The contract refused: ${reason}().`;
  return Promise.reject(new LakeError("chain-refused", message));
}

/** The root that a leaf's proof leads to. */
function rootOf(number: number, { cumulativeDebit, salt, proof }: DebitLeaf): Hex {
  const leaf = debitLeaf({ number: BigInt(number), cumulative: cumulativeDebit, salt });
  const root = proof.reduce((node, text) => {
    const other = fromHex(text);
    return keccak256(
      Buffer.concat(Buffer.compare(node, other) < 0 ? [node, other] : [other, node]),
    );
  }, leaf);
  return toHex(root);
}

function summary(book: { readonly hash: Hex; readonly settlement: Settlement }): {
  epoch: number;
  hash: Hex;
  creditRoot: Hex;
} {
  const { epoch, creditRoot } = book.settlement;
  return { epoch, hash: book.hash, creditRoot };
}
