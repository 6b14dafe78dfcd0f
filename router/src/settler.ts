/*
 * Once an epoch is over and all its Sessions have their Records: has them judged, computes the
 * settlement, files the Records where everybody can fetch them, signs, and posts in one
 * transaction. One settlement is pending at a time, so epochs that end meanwhile go into the next
 * one together.
 *
 * What was signed is journalled before it is posted, and posted again after a crash. A second one
 * for the same epoch is never signed: that would be equivocation, and slashed.
 */
import {
  type Address,
  type Hex,
  LakeError,
  messageHash,
  type RouterChain,
  rulesOfSettlement,
  sealOf,
  sealsHashOf,
  sealType,
  type Settlement,
  settlementOf,
  settlementType,
  zeroBytes32,
} from "@lake-travis/protocol";
import type { Logger } from "@lake-travis/platform";
import { dueCollections } from "./collection.ts";
import { DemandAnswerer } from "./demand-answerer.ts";
import { isSettleable } from "./core/judging.ts";
import { balancesUpTo, unsettledLedgers } from "./core/settling.ts";
import type { Ledger } from "./core/state.ts";
import type { DurableMachine } from "./durable-machine.ts";
import type { Edge } from "./edge.ts";
import { judgeNextEpoch, newestBaseline } from "./epoch-court.ts";
import { routerLimits } from "./limits.ts";
import { PublicFile } from "./public-file.ts";
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
  readonly #answerer: DemandAnswerer;
  #running: Promise<void> | undefined;
  /** The final epoch whose debits were booked; a restart looks again, which costs nothing. */
  #collectedFor = -1;

  constructor(parts: SettlerParts) {
    this.#parts = parts;
    this.#answerer = new DemandAnswerer(parts);
  }

  /** Does what is due now; at most one run at a time. Never rejects. */
  async run(): Promise<void> {
    this.#running ??= this.#runOnce().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  async #runOnce(): Promise<void> {
    // First, and whatever becomes of the rest: an answer that is late costs the stake.
    await this.#answerer.run();
    try {
      await this.#spill();
      await this.#judge();
      if (this.#parts.machine.state.settling !== null) await this.#post();
      else await this.#sign();
      await this.#collect();
    } catch (error) {
      const code = error instanceof LakeError ? error.code : "internal";
      const message = error instanceof Error ? error.message : String(error);
      this.#parts.logger.warn({ code, message }, "SettlementDelayed");
    }
  }

  /** Takes Records out of the memory as soon as they are many. */
  async #spill(): Promise<void> {
    const { machine, archive } = this.#parts;
    for (const [epoch, ledger] of [...machine.state.ledgers]) {
      const count = ledger.records.length;
      if (count < routerLimits.recordsInMemoryMax) continue;
      const bytes = await archive.spill(
        epoch,
        ledger.spilled.bytes,
        ledger.records.slice(0, count),
      );
      await machine.submit({ type: "records-spilled", epoch, count, bytes });
    }
  }

  /** Once for each final settlement: books debits on chain before claims run out of float. */
  async #collect(): Promise<void> {
    const { machine, chain, logger } = this.#parts;
    const { finalEpoch } = machine.state;
    if (finalEpoch === this.#collectedFor) return;
    for (const { number, leaf } of dueCollections(machine.state)) {
      const { transaction, gasUsed } = await chain.collect(number, leaf);
      logger.info({ deposit: number, transaction, gasUsed }, "DepositCollected");
    }
    this.#collectedFor = finalEpoch;
  }

  async #judge(): Promise<void> {
    const { machine, archive, logger } = this.#parts;
    for (const event of await judgeNextEpoch(machine.state, archive)) {
      await machine.submit(event);
      const { epoch, from, judged } = event;
      if (event.isLast) logger.info({ epoch, against: from + judged.length }, "EpochJudged");
    }
  }

  async #sign(): Promise<void> {
    const { machine, chain, edge, archive } = this.#parts;
    const { state } = machine;
    const epoch = state.openEpoch - 1;
    if (epoch <= state.signedEpoch || epoch < 0 || !isSettleable(state, epoch)) return;
    const ledgers = unsettledLedgers(state, epoch);
    const idle = epoch - Math.max(state.finalEpoch, state.firstEpoch);
    if (ledgers.every(([, ledger]) => isQuiet(ledger)) && idle < routerLimits.idleEpochsMax) return;
    const { pending, final } = await chain.settlementState();
    if (pending !== null) return;
    await archive.forget(state.finalEpoch);
    const settlement = await this.#compute(epoch, ledgers, final?.hash ?? zeroBytes32);
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
    ledgers: readonly (readonly [number, Ledger])[],
    previous: Hex,
  ): Promise<{ readonly message: Settlement; readonly cid: string | null }> {
    const { machine, edge, archive, router } = this.#parts;
    const { state } = machine;
    const balances = balancesUpTo(state, epoch);
    const { baselineHash } = state;
    const baseline = await newestBaseline(state, archive);
    const facts = { epoch, previous, rules: rulesOfSettlement, baseline };
    const file = new PublicFile({ state, archive, ledgers, balances, ...facts });
    const filed = await archive.publish(epoch, file.lines());
    const { root: recordRoot, count } = file.records;
    const seal = sealOf({ epoch, router, recordsRoot: recordRoot, count });
    const message = settlementOf({
      ...{ epoch, round: 0, previous, balances, recordRoot, baselineHash },
      rules: rulesOfSettlement,
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

/** Whether an epoch has nothing that anybody waits for. */
function isQuiet({ records, spilled, credits, debits }: Ledger): boolean {
  return records.length + spilled.count + credits.size + debits.size === 0;
}
