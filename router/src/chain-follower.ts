import {
  type ChainBlock,
  type Clock,
  epochAt,
  type Hex,
  LakeError,
  type RouterChain,
} from "@lake-travis/protocol";
import type { Logger } from "@lake-travis/platform";
import type { DurableMachine } from "./durable-machine.ts";

/** What a {@link ChainFollower} works with. */
export interface FollowerParts {
  readonly machine: DurableMachine;
  readonly chain: RouterChain;
  readonly clock: Clock;
  /** The secret to draw lots with in an epoch. */
  readonly secretOf: (epoch: number) => Hex;
  readonly logger: Logger;
  /** Where to begin when nothing is known yet. */
  readonly deployBlock: number;
}

const retryMs = 500;

/** Feeds the chain's facts to the state machine and opens each epoch with its budget. */
export class ChainFollower {
  readonly #parts: FollowerParts;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** Follows until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { chain, machine, deployBlock } = this.#parts;
    await chain.follow({
      fromBlock: Math.max(deployBlock, machine.state.blockNumber + 1),
      onBlocks: (blocks) => this.#take(blocks, signal),
      signal,
    });
  }

  /**
   * The budget is asked for before the blocks go in, so that the state never stands between two
   * epochs: the facts of the new one and its budget enter one right behind the other.
   */
  async #take(blocks: readonly ChainBlock[], signal: AbortSignal): Promise<void> {
    const { machine, secretOf, clock, logger } = this.#parts;
    const { schedule, openEpoch } = machine.state;
    const newest = blocks.at(-1);
    const epoch = newest === undefined ? -1 : epochAt(schedule, newest.timestampMs);
    if (epoch <= openEpoch) {
      await machine.submit({ type: "blocks-followed", blocks });
      return;
    }
    const budget = await this.#budgetOf(epoch, signal);
    const secret = secretOf(epoch);
    const at = clock.now();
    await Promise.all([
      machine.submit({ type: "blocks-followed", blocks }),
      machine.submit({ type: "epoch-began", epoch, budget, secret, at }),
    ]);
    logger.info({ epoch, budget: budget.toString() }, "EpochBegan");
  }

  async #budgetOf(epoch: number, signal: AbortSignal): Promise<bigint> {
    const { chain, clock, logger } = this.#parts;
    // Without a budget no allowance can be granted, so this waits as long as the chain is away.
    for (;;) {
      signal.throwIfAborted();
      try {
        return await chain.budgetOf(epoch);
      } catch (error) {
        if (!(error instanceof LakeError)) throw error;
        // The contract knows no budget of an epoch before its first checkpoint: there is none.
        if (error.code === "chain-refused") return 0n;
        logger.warn({ epoch, code: error.code }, "BudgetUnread");
        await clock.sleep(retryMs, signal);
      }
    }
  }
}
