/*
 * While a settlement is pending, the owner of a deposit may demand to see its leaf. Without an
 * answer in time the settlement is void and whoever signed it is slashed, so every open demand is
 * answered at once: with the leaf alone where the final settlement holds as much already, and
 * otherwise with a Delegation of the owner that covers it. Open demands are in the journalled
 * state, so that a Router which was away answers when it is back.
 */
import {
  type Delegation,
  type Hex,
  LakeError,
  type RouterChain,
  type Signed,
} from "@lake-travis/protocol";
import type { Logger } from "@lake-travis/platform";
import { neededCovers } from "./core/money.ts";
import type { RouterState } from "./core/state.ts";
import type { DurableMachine } from "./durable-machine.ts";
import { routerLimits } from "./limits.ts";
import { debitLeafOf } from "./views.ts";

/** What a {@link DemandAnswerer} works with. */
export interface AnswererParts {
  readonly machine: Pick<DurableMachine, "state">;
  readonly chain: RouterChain;
  readonly logger: Logger;
}

interface Attempt {
  readonly hash: Hex;
  /** The look at which it is due again; never where it was answered. */
  readonly dueAt: number;
}

/** See the head of this file. */
export class DemandAnswerer {
  readonly #parts: AnswererParts;
  /** By deposit; gone once the chain's word of the answer is in the state. */
  readonly #attempts = new Map<number, Attempt>();
  #looks = 0;

  constructor(parts: AnswererParts) {
    this.#parts = parts;
  }

  /** Answers what is open now. Never rejects. */
  async run(): Promise<void> {
    const { state } = this.#parts.machine;
    this.#looks += 1;
    for (const number of [...this.#attempts.keys()]) {
      if (!state.demands.has(number)) this.#attempts.delete(number);
    }
    for (const [number, hash] of [...state.demands]) {
      const last = this.#attempts.get(number);
      if (hash === state.finalHash || (last?.hash === hash && this.#looks < last.dueAt)) continue;
      const isAnswered = await this.#try(number, hash);
      const dueAt = isAnswered ? Infinity : this.#looks + routerLimits.demandRetryLooks;
      this.#attempts.set(number, { hash, dueAt });
    }
  }

  async #try(number: number, hash: Hex): Promise<boolean> {
    const { machine, chain, logger } = this.#parts;
    const facts = { deposit: number, settlement: hash };
    try {
      const { transaction, gasUsed } = await answer(machine.state, chain, number, hash);
      logger.info({ ...facts, transaction, gasUsed }, "DemandAnswered");
      return true;
    } catch (error) {
      const code = error instanceof LakeError ? error.code : "internal";
      const message = error instanceof Error ? error.message : String(error);
      // Answered already: before a restart, or by another Router.
      if (code === "chain-refused" && message.includes("NoDemand")) return true;
      logger.error({ ...facts, code, message }, "DemandUnanswered");
      return false;
    }
  }
}

async function answer(
  state: RouterState,
  chain: RouterChain,
  number: number,
  hash: Hex,
): Promise<{ readonly transaction: Hex; readonly gasUsed: number }> {
  if (state.settling?.hash !== hash) {
    throw new LakeError("content-missing", "This Router does not hold the demanded settlement.");
  }
  const { leaf } = debitLeafOf(state, number, true);
  if (leaf.cumulativeDebit === 0n) return await chain.answerUnchanged(number, leaf, null);
  const isOld = state.finalEpoch >= 0 && number < state.settled.totals.deposits;
  const final = isOld ? debitLeafOf(state, number, false).leaf : undefined;
  if (final !== undefined && leaf.cumulativeDebit <= final.cumulativeDebit) {
    return await chain.answerUnchanged(number, leaf, final);
  }
  let refused = new LakeError("content-missing", "No Delegation covers what was debited.");
  for (const delegation of coversOf(state, number, leaf.cumulativeDebit)) {
    try {
      return await chain.answerDemand(number, leaf, delegation);
    } catch (error) {
      // A Delegation that its wallet revoked on chain may be too old; another one may do.
      if (!(error instanceof LakeError) || error.code !== "chain-refused") throw error;
      refused = error;
    }
  }
  throw refused;
}

/** The owner's Delegations that cover a debit, those that hold longest first. */
function coversOf(state: RouterState, number: number, wei: bigint): Signed<Delegation>[] {
  const owner = state.deposits[number]?.owner;
  const user = owner === undefined ? undefined : state.users.get(owner);
  if (owner === undefined || user === undefined) return [];
  const { delegation, delegationSignature: signature } = user;
  const newest =
    delegation === null || signature === null ? [] : [{ message: delegation, signature }];
  const known = [...newest, ...neededCovers(state, owner, user)];
  const covering = known.filter(({ message }) => message.debitCeiling >= wei);
  return covering.sort((a, b) => b.message.expiresAt - a.message.expiresAt);
}
