import {
  type Address,
  type Hex,
  keccak256Hex,
  fromHex,
  standingFaded,
  type Totals,
} from "@lake-travis/protocol";
import { coreLimits } from "./core-limits.ts";
import type { RouterEvent } from "./events.ts";
import { isHandedOver } from "./shard-of.ts";
import type { Outcome } from "./outcome.ts";
import type { Ledger, ReportState, RouterState, SettledBalances } from "./state.ts";

/** The ledger of an epoch, made where it is new. */
export function ledgerOf(state: RouterState, epoch: number): Ledger {
  const known = state.ledgers.get(epoch);
  if (known !== undefined) return known;
  const made: Ledger = {
    credits: new Map(),
    debits: new Map(),
    allowanceCharged: 0n,
    allowanceCredits: 0n,
    modelEmission: 0n,
    agentEmission: 0n,
    paidCredits: 0n,
    debitTotal: 0n,
    records: [],
    spilled: { count: 0, bytes: 0 },
    priced: new Map(),
    open: 0,
    applied: 0,
    judged: false,
    demand: [],
    verdicts: [],
    outcomes: [],
  };
  state.ledgers.set(epoch, made);
  return made;
}

/** What is told about an epoch, made where it is new. */
export function reportOf(state: RouterState, epoch: number): ReportState {
  const known = state.reports.get(epoch);
  if (known !== undefined) return known;
  const made: ReportState = {
    records: 0,
    budget: 0n,
    baselineHash: null,
    secret: null,
    settlementHash: null,
    settlementEpoch: null,
    creditRoot: null,
    recordRoot: null,
    recordCid: null,
    transaction: null,
    gasUsed: null,
    state: "open",
  };
  state.reports.set(epoch, made);
  if (state.reports.size > coreLimits.reportsMax) {
    state.reports.delete(state.reports.keys().next().value ?? -1);
  }
  return made;
}

/** What the Router committed itself to for an epoch: H(secret). */
export function commitmentOf(secret: Hex): Hex {
  return keccak256Hex(fromHex(secret));
}

/** An epoch's secret is told once no Ticket can come of it any more. */
export function revealSecret(state: RouterState): void {
  if (state.openEpoch >= 0) reportOf(state, state.openEpoch).secret = state.epochSecret;
}

/** The past fades: each epoch halves what is held for or against a Provider. */
export function fadeStandings(state: RouterState): void {
  for (const [key, standing] of state.standings) {
    const faded = standingFaded(standing);
    if (faded === undefined) state.standings.delete(key);
    else state.standings.set(key, faded);
  }
}

/** Epochs up to `epoch` that are over and whose Sessions all have their Records. Reads only. */
export function isClosed(state: RouterState, epoch: number): boolean {
  if (epoch >= state.openEpoch) return false;
  for (const [number, ledger] of state.ledgers) {
    if (number <= epoch && ledger.open > 0) return false;
  }
  return state.shard.index > 0 || isHandedOver(state, epoch);
}

/** The ledgers up to the end of `epoch` that no final settlement holds, in order. Reads only. */
export function unsettledLedgers(state: RouterState, epoch: number): [number, Ledger][] {
  return [...state.ledgers]
    .filter(([number]) => number > state.finalEpoch && number <= epoch)
    .sort(([a], [b]) => a - b);
}

/** The archive has the oldest Records of an epoch now: the state forgets them. */
export function spillRecords(
  state: RouterState,
  event: Extract<RouterEvent, { type: "records-spilled" }>,
  out: Outcome,
): void {
  const ledger = state.ledgers.get(event.epoch);
  if (ledger === undefined || event.count > ledger.records.length) return;
  out.changed = true;
  ledger.records = ledger.records.slice(event.count);
  ledger.spilled = { count: ledger.spilled.count + event.count, bytes: event.bytes };
}

/** Cumulative money at the end of `epoch`. Reads only. */
export function balancesUpTo(state: RouterState, epoch: number): SettledBalances {
  const credits = new Map(state.settled.credits);
  const debits = new Map(state.settled.debits);
  let totals: Totals = { ...state.settled.totals, deposits: state.deposits.length };
  for (const [, ledger] of unsettledLedgers(state, epoch)) {
    for (const [account, wei] of ledger.credits) addTo(credits, account, wei);
    for (const [number, wei] of ledger.debits) addTo(debits, number, wei);
    totals = {
      allowanceCredits: totals.allowanceCredits + ledger.allowanceCredits,
      modelEmission: totals.modelEmission + ledger.modelEmission,
      agentEmission: totals.agentEmission + ledger.agentEmission,
      paidCredits: totals.paidCredits + ledger.paidCredits,
      debits: totals.debits + ledger.debitTotal,
      deposits: totals.deposits,
    };
  }
  return { credits, debits, totals };
}

/** This Router signed a settlement: from now on it never signs another one for that epoch. */
export function keepSettlement(
  state: RouterState,
  event: Extract<RouterEvent, { type: "settlement-signed" }>,
  out: Outcome,
): void {
  const { settlement, hash, signature, recordCidText } = event;
  if (settlement.epoch <= state.signedEpoch) return;
  out.changed = true;
  // A deposit made since it was computed belongs to the next one.
  const balances = { ...balancesUpTo(state, settlement.epoch), totals: settlement.totals };
  state.signedEpoch = settlement.epoch;
  state.settling = { settlement, hash, signature, recordCidText, balances };
  for (let epoch = state.finalEpoch + 1; epoch <= settlement.epoch; epoch += 1) {
    const report = state.reports.get(epoch);
    if (report === undefined) continue;
    report.state = "computed";
    report.settlementHash = hash;
    report.settlementEpoch = settlement.epoch;
    report.creditRoot = settlement.creditRoot;
    report.recordRoot = settlement.recordRoot;
    report.recordCid = recordCidText;
  }
}

/** The settlement's transaction was mined. */
export function keepReceipt(
  state: RouterState,
  event: Extract<RouterEvent, { type: "settlement-mined" }>,
  out: Outcome,
): void {
  for (const report of reportsOf(state, event.hash)) {
    out.changed = true;
    report.transaction = event.transaction;
    report.gasUsed = event.gasUsed;
  }
}

/** The chain holds the settlement as pending. */
export function settlementPosted(state: RouterState, hash: Hex): void {
  for (const report of reportsOf(state, hash)) report.state = "posted";
}

/** The chain holds the settlement as final: its figures are the new beginning. */
export function settlementFinal(state: RouterState, hash: Hex, out: Outcome): void {
  const { settling } = state;
  if (settling?.hash !== hash) return;
  out.changed = true;
  for (const report of reportsOf(state, hash)) report.state = "final";
  state.settled = settling.balances;
  state.finalEpoch = settling.settlement.epoch;
  state.finalHash = hash;
  state.settling = null;
  for (const epoch of [...state.ledgers.keys()]) {
    if (epoch <= state.finalEpoch) state.ledgers.delete(epoch);
  }
  out.effects.push({ type: "settlement-finalised", epoch: state.finalEpoch, hash });
}

/** The chain threw the settlement away: what it held is settled with the next one. */
export function settlementVoid(state: RouterState, hash: Hex, out: Outcome): void {
  if (state.settling?.hash !== hash) return;
  out.changed = true;
  for (const report of reportsOf(state, hash)) report.state = "open";
  state.settling = null;
}

function reportsOf(state: RouterState, hash: Hex): ReportState[] {
  return [...state.reports.values()].filter((report) => report.settlementHash === hash);
}

function addTo<K extends Address | number>(sums: Map<K, bigint>, key: K, wei: bigint): void {
  sums.set(key, (sums.get(key) ?? 0n) + wei);
}
