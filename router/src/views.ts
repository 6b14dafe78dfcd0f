/* What the Router tells about its state, in the JSON forms of the protocol's `api.ts`. */
import {
  ageingPeriod,
  type Address,
  type ConductReport,
  type CreditProof,
  creditTreeOf,
  type CreditTree,
  type DebitTree,
  type DebitLeaf,
  debitTreeOf,
  type DelegationReceipt,
  epochStartMs,
  type EpochReport,
  type Hex,
  LakeError,
  offerType,
  pricePerSecond,
  type RouterStatus,
  type SessionState,
  signedToJson,
} from "@lake-travis/protocol";
import { payeesOf } from "./core/candidates.ts";
import { purseOf } from "./core/money.ts";
import { commitmentOf } from "./core/settling.ts";
import { isSuspended } from "./core/suspension.ts";
import type { RouterState, SettledBalances } from "./core/state.ts";

/** `GET /v1/status`. */
export function statusOf(state: RouterState, signingKey: Address, now: number): RouterStatus {
  const { chainId, computeContract } = state.domain;
  return {
    router: state.router,
    signingKey,
    chainId,
    computeContract,
    epoch: state.openEpoch,
    epochEndsAt: epochStartMs(state.schedule, state.openEpoch + 1),
    epochLengthMs: state.schedule.lengthMs,
    budget: state.openEpoch < 0 ? null : state.budget.toString(),
    seedCommitment: commitmentOf(state.epochSecret),
    openSessions: state.sessions.size,
    queuedRfcs: [...state.lines.values()].reduce((sum, line) => sum + line.length, 0),
    now,
  };
}

/** `POST /v1/delegations`: what the User may spend now. */
export function receiptOf(
  state: RouterState,
  user: Address,
  delegationHash: Hex,
): DelegationReceipt {
  const { allowance, deposit, epochLeft } = purseOf(state, user);
  const within = (wei: bigint): string => (wei < epochLeft ? wei : epochLeft).toString();
  return { delegationHash, allowance: within(allowance), deposit: within(deposit) };
}

/** `GET /v1/offers`: a page of the Offers that could be taken now, cheapest first. */
export function offersOf(
  state: RouterState,
  options: { readonly model: string | undefined; readonly now: number; readonly max: number },
): Record<string, unknown>[] {
  const live = [...state.offers.values()].filter(({ signed: { message } }) => {
    const silent = state.providers.get(message.provider)?.silent === true;
    const wanted = options.model === undefined || message.model === options.model;
    return wanted && !silent && message.validUntil > options.now;
  });
  const priced = live.map((offer) => ({ offer, price: pricePerSecond(payeesOf(state, offer)) }));
  priced.sort((a, b) => (a.price < b.price ? -1 : a.price > b.price ? 1 : 0));
  return priced.slice(0, options.max).map(({ offer, price }) => ({
    offer: signedToJson(offerType, offer.signed),
    offerHash: offer.hash,
    totalWeiPerSecond: price.toString(),
    freeSlots: Math.max(0, offer.signed.message.slots - offer.used),
  }));
}

/** `GET /v1/rfcs/:hash`: where an RFC stands; throws `content-missing`. */
export function rfcStateOf(state: RouterState, hash: Hex): Record<string, unknown> {
  const pending = state.pending.get(hash);
  if (pending === undefined) {
    throw new LakeError("content-missing", "No such RFC is being worked on.");
  }
  if (pending.phase === "asking") return { state: "asking", reason: "a Provider is being asked" };
  const line = state.lines.get(pending.digest) ?? [];
  const index = line.findIndex(({ rfcHash }) => rfcHash === hash);
  const arrival = line[index]?.arrival ?? 0;
  const older = line.filter((other) => other.arrival < arrival).length;
  return {
    state: "waiting",
    place: index + 1,
    waiting: line.length,
    since: pending.arrivedAt,
    deadline: pending.rfc.message.deadline,
    reason:
      index === 0
        ? "every slot that fits is taken; yours is the next slot that frees"
        : "every slot that fits is taken; Users with more MOR, or who came earlier, are before you",
    // However many come after it: every so many-th slot goes to who has waited longest.
    servedWithinSlots: ageingPeriod * (older + 1),
  };
}

/** `GET /v1/sessions/:id`; throws `session-unknown`. */
export function sessionOf(state: RouterState, sessionId: Hex): SessionState {
  const session = state.sessions.get(sessionId);
  const ended = state.ended.get(sessionId);
  if (session !== undefined) {
    const isClosing = session.phase === "closing";
    return {
      sessionId,
      epoch: session.ticket.epoch,
      state: session.phase === "granted" ? "granted" : isClosing ? "ended" : "open",
      seconds: session.tick?.seconds ?? 0,
      chargedSeconds: null,
      charge: null,
      endedBy: isClosing ? session.endedBy : null,
      endReason: isClosing ? session.endReason : null,
      successor: session.successor,
      isFinal: false,
    };
  }
  if (ended === undefined) throw new LakeError("session-unknown", "No such Session is known.");
  const { charge, ...rest } = ended;
  const isHeld = state.held.has(sessionId) || state.heldElsewhere.has(sessionId);
  const isFinal = ended.epoch <= state.judgedEpoch && !isHeld;
  const known = isHeld ? null : charge.toString();
  return { sessionId, state: "ended", ...rest, charge: known, isFinal };
}

/** `GET /v1/epochs/:epoch`; throws `content-missing`. */
export function epochReportOf(state: RouterState, epoch: number): EpochReport {
  const report = state.reports.get(epoch);
  if (report === undefined) {
    throw new LakeError("content-missing", `This Router knows nothing of epoch ${epoch}.`);
  }
  const { settlementEpoch: _, budget, ...rest } = report;
  return { epoch, ...rest, budget: budget.toString() };
}

/** `GET /v1/conduct/:account`: what speaks against a party, with reasons. */
export function conductOf(state: RouterState, account: Address): ConductReport {
  const conduct = state.conducts.get(account);
  const findings = conduct?.findings ?? [];
  return {
    account,
    sessions: conduct?.sessions ?? 0,
    faults: conduct?.faults ?? 0,
    suspendedUntil: isSuspended(state, account) ? (conduct?.suspendedUntil ?? null) : null,
    findings: findings.map(({ other: _, ...told }) => told),
  };
}

/** Trees are built once per settlement, whose balances never change any more. */
const creditTrees = new WeakMap<SettledBalances, CreditTree>();
const debitTrees = new WeakMap<SettledBalances, DebitTree>();

/**
 * `GET /v1/credits/:account`: against the newest final settlement, or the pending one. Throws
 * `content-missing`.
 */
export function creditProofOf(state: RouterState, account: Address, posted: boolean): CreditProof {
  const { balances, epoch } = settlementAt(state, posted);
  const { entries, tree } = remembered(creditTrees, balances, () => creditTreeOf(balances.credits));
  const index = entries.findIndex((entry) => entry.account === account);
  const found = entries[index];
  if (found === undefined) {
    throw new LakeError("content-missing", "This account has earned nothing by then.");
  }
  const cumulative = found.cumulative.toString();
  const { root: creditRoot } = tree;
  return { epoch, account, cumulative, proof: tree.proofOf(index), creditRoot };
}

/** `GET /v1/debits/:number`, for the deposit's owner; throws `content-missing`. */
export function debitProofOf(
  state: RouterState,
  number: number,
  posted: boolean,
): Record<string, unknown> {
  const { epoch, leaf, debitRoot } = debitLeafOf(state, number, posted);
  const { cumulativeDebit, salt, proof } = leaf;
  return { epoch, number, cumulative: cumulativeDebit.toString(), salt, proof, debitRoot };
}

/** A deposit's leaf in the newest final settlement or the pending one; throws `content-missing`. */
export function debitLeafOf(
  state: RouterState,
  number: number,
  posted: boolean,
): { readonly epoch: number; readonly leaf: DebitLeaf; readonly debitRoot: Hex } {
  const { balances, epoch } = settlementAt(state, posted);
  const { entries, tree } = remembered(debitTrees, balances, () =>
    debitTreeOf({
      debits: balances.debits,
      deposits: balances.totals.deposits,
      secret: state.secret,
    }),
  );
  const found = entries[number];
  if (found === undefined) {
    throw new LakeError("content-missing", "This deposit is younger than the settlement.");
  }
  const { cumulative: cumulativeDebit, salt } = found;
  return {
    epoch,
    leaf: { cumulativeDebit, salt, proof: tree.proofOf(number) },
    debitRoot: tree.root,
  };
}

function settlementAt(
  state: RouterState,
  posted: boolean,
): { readonly balances: SettledBalances; readonly epoch: number } {
  if (posted && state.settling !== null) {
    return { balances: state.settling.balances, epoch: state.settling.settlement.epoch };
  }
  if (state.finalEpoch < 0) {
    throw new LakeError("content-missing", "No settlement is final yet.", {
      advice: "Wait for the epoch after the one that is posted.",
    });
  }
  return { balances: state.settled, epoch: state.finalEpoch };
}

function remembered<T>(
  cache: WeakMap<SettledBalances, T>,
  balances: SettledBalances,
  build: () => T,
): T {
  const known = cache.get(balances);
  if (known !== undefined) return known;
  const made = build();
  cache.set(balances, made);
  return made;
}
