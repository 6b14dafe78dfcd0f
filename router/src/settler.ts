/*
 * Once an epoch is over and all its Sessions have their Records: computes the settlement, writes
 * the Records where everybody can fetch them, signs, and posts in one transaction. One settlement
 * is pending at a time, so epochs that end meanwhile go into the next one together.
 *
 * What was signed is journalled before it is posted, and posted again after a crash. A second one
 * for the same epoch is never signed: that would be equivocation, and slashed.
 */
import {
  type Address,
  type Hex,
  LakeError,
  messageHash,
  recordLine,
  type RouterChain,
  sealOf,
  sealsHashOf,
  sealType,
  type SessionRecord,
  type Settlement,
  settlementOf,
  settlementType,
  zeroBytes32,
} from "@lake-travis/protocol";
import type { Logger } from "@lake-travis/platform";
import { balancesUpTo, isClosed, recordsUpTo } from "./core/settling.ts";
import type { DurableMachine } from "./durable-machine.ts";
import type { Edge } from "./edge.ts";
import { routerLimits } from "./limits.ts";
import type { RecordArchive } from "./record-archive.ts";

/** What a {@link Settler} works with. */
export interface SettlerParts {
  readonly machine: DurableMachine;
  readonly edge: Edge;
  readonly chain: RouterChain;
  readonly archive: RecordArchive;
  readonly router: Address;
  readonly logger: Logger;
}

/** See the head of this file. */
export class Settler {
  readonly #parts: SettlerParts;
  #running: Promise<void> | undefined;

  constructor(parts: SettlerParts) {
    this.#parts = parts;
  }

  /** Does what is due now; at most one run at a time. Never rejects. */
  async run(): Promise<void> {
    this.#running ??= this.#runOnce().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  async #runOnce(): Promise<void> {
    try {
      if (this.#parts.machine.state.settling !== null) await this.#post();
      else await this.#sign();
    } catch (error) {
      const code = error instanceof LakeError ? error.code : "internal";
      const message = error instanceof Error ? error.message : String(error);
      this.#parts.logger.warn({ code, message }, "SettlementDelayed");
    }
  }

  async #sign(): Promise<void> {
    const { machine, chain, edge } = this.#parts;
    const { state } = machine;
    const epoch = state.openEpoch - 1;
    if (epoch <= state.signedEpoch || epoch < 0 || !isClosed(state, epoch)) return;
    const idle = epoch - Math.max(state.finalEpoch, state.firstEpoch);
    const records = recordsUpTo(state, epoch);
    if (records.length === 0 && idle < routerLimits.idleEpochsMax) return;
    const { pending, final } = await chain.settlementState();
    if (pending !== null) return;
    const settlement = await this.#compute(epoch, records, final?.hash ?? zeroBytes32);
    const { signature } = edge.sign(settlementType, settlement.message);
    const hash = messageHash(edge.separator, settlementType, settlement.message);
    await machine.submit({
      type: "settlement-signed",
      settlement: settlement.message,
      hash,
      signature,
      recordCidText: settlement.cid,
    });
    await this.#post();
  }

  async #compute(
    epoch: number,
    records: readonly SessionRecord[],
    previous: Hex,
  ): Promise<{ readonly message: Settlement; readonly cid: string | null }> {
    const { machine, edge, archive, router } = this.#parts;
    const { state } = machine;
    const balances = balancesUpTo(state, epoch);
    const filed = await archive.put(
      epoch,
      records.map((record) => `${recordLine(record)}\n`),
    );
    const seal = sealOf({ epoch, router, records });
    const message = settlementOf({
      epoch,
      round: 0,
      previous,
      balances,
      records,
      recordCid: filed?.digest ?? zeroBytes32,
      sealsHash: sealsHashOf([messageHash(edge.separator, sealType, seal)]),
      debitSecret: state.secret,
    });
    return { message, cid: filed?.cid ?? null };
  }

  async #post(): Promise<void> {
    const { machine, chain, router, logger } = this.#parts;
    const { settling } = machine.state;
    if (settling === null) return;
    const { hash, settlement, signature } = settling;
    const { final, pending } = await chain.settlementState();
    if (final?.hash === hash) {
      await machine.submit({ type: "settlement-matured", hash });
      return;
    }
    if (pending !== null) return;
    try {
      const receipt = await chain.settle(settlement, [{ router, signature }]);
      const { transaction, gasUsed } = receipt;
      await machine.submit({ type: "settlement-mined", hash, transaction, gasUsed });
      const figures = { epoch: settlement.epoch, transaction, gasUsed };
      logger.info(figures, "SettlementPosted");
    } catch (error) {
      if (!(error instanceof LakeError) || error.code !== "chain-refused") throw error;
      // Too late, or overtaken: what it held is settled with a later epoch.
      logger.error({ epoch: settlement.epoch, message: error.message }, "SettlementRefused");
      await machine.submit({ type: "settlement-abandoned", hash });
    }
  }
}
