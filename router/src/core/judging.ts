/*
 * What the verdicts on an epoch's Records do (DESIGN.md section 4, Faults). A Session that failed
 * by its Provider's fault, or that is not clear yet, is taken out of the epoch's ledger to the
 * wei: it is neither charged nor credited. One epoch later it is settled for good: what failed is
 * refunded, unless the other party's hand clears it; what was unclear is judged again, and is
 * paid unless it fails then. A User's fault changes no money: what was signed is owed.
 */
import { type Hex, newcomerStanding, nextPriceCaps, standingBlamed } from "@lake-travis/protocol";
import { coreLimits } from "./core-limits.ts";
import { countFaults, noteFinding, settleFinding, suspendFaulty } from "./conduct.ts";
import type { JudgedSession, RouterEvent } from "./events.ts";
import { moveMoney, payeesIn } from "./ledgers.ts";
import { refund } from "./money.ts";
import type { Outcome } from "./outcome.ts";
import { offerKeyOf } from "./providers.ts";
import { isClosed, ledgerOf, reportOf, unsettledLedgers } from "./settling.ts";
import type { EndedRecord, HeldSession, Ledger, RouterState, JudgedVerdict } from "./state.ts";

/** The next epoch whose Records can be judged; undefined where none is due. Reads only. */
export function epochToJudge(state: RouterState): number | undefined {
  const last = state.openEpoch - 1;
  const open = [...state.ledgers]
    .filter(([epoch, ledger]) => epoch <= last && !ledger.judged)
    .map(([epoch]) => epoch);
  // Without Records of its own an epoch is judged only for what was held before.
  const due = open.length > 0 ? Math.min(...open) : state.held.size > 0 ? last : -1;
  // What a settlement was signed for stands: what is still held goes into the next one.
  const isOpen = due > state.judgedEpoch && due > state.signedEpoch;
  return isOpen && isClosed(state, due) ? due : undefined;
}

/** Whether all money up to the end of an epoch stands, so that it can be settled. Reads only. */
export function isSettleable(state: RouterState, epoch: number): boolean {
  const isJudged = unsettledLedgers(state, epoch).every(([, ledger]) => ledger.judged);
  return isJudged && isClosed(state, epoch) && epochToJudge(state) === undefined;
}

/** Applies the verdicts on one epoch; see the head of this file. */
export function applyVerdicts(
  state: RouterState,
  event: Extract<RouterEvent, { type: "epoch-judged" }>,
  out: Outcome,
): void {
  const { epoch } = event;
  // After a crash between two events the first ones come again.
  const applied = state.ledgers.get(epoch)?.applied ?? 0;
  if (epochToJudge(state) !== epoch || event.from !== applied) return;
  out.changed = true;
  const ledger = ledgerOf(state, epoch);
  for (const judged of event.judged) {
    applyVerdict(state, ledger, judged, epoch);
    const { ended: _, ...verdict } = judged;
    ledger.verdicts.push(verdict);
  }
  ledger.applied += event.judged.length;
  countFaults(state, event.judged);
  if (!event.isLast) return;
  const again = new Map(event.judgedAgain.map((verdict) => [verdict.sessionId, verdict]));
  for (const [sessionId, held] of state.held) {
    if (held.until <= epoch) settleHeld(state, ledger, { sessionId, held, again, epoch });
  }
  suspendFaulty(state, event.sessionsOf, out);
  state.priceCaps = nextPriceCaps(state.priceCaps, ledger.priced.values());
  reportOf(state, epoch).baselineHash = event.baselineHash;
  ledger.judged = true;
  state.judgedEpoch = epoch;
  state.baselineHash = event.baselineHash;
}

function applyVerdict(
  state: RouterState,
  ledger: Ledger,
  judged: JudgedSession,
  epoch: number,
): void {
  const { ended, verdict, fault } = judged;
  noteFinding(state, judged, epoch);
  if (verdict === "fail" && fault === "user") return;
  if (verdict === "fail") {
    blame(state, ended);
    uncount(ledger, ended);
  }
  moveMoney(ledger, { ...ended, payees: payeesIn(ended), router: state.router }, -1n);
  const { record, money } = ended;
  const open = { until: epoch + 1, cleared: false, byEvidence: false };
  const held: HeldSession = { record, money, verdict, ...open };
  state.held.set(record.sessionId, held);
}

function settleHeld(
  state: RouterState,
  ledger: Ledger,
  found: {
    readonly sessionId: Hex;
    readonly held: HeldSession;
    readonly again: ReadonlyMap<Hex, JudgedVerdict>;
    readonly epoch: number;
  },
): void {
  const { sessionId, held, again, epoch } = found;
  const now = again.get(sessionId);
  const failsNow = now?.verdict === "fail" && now.fault === "provider";
  const isFailed = !held.cleared && (held.verdict === "fail" || failsNow);
  const isLate = epoch - held.record.epoch > coreLimits.heldEpochsMax;
  const fits = fitsBudget(state, ledger, held, epoch);
  if (isFailed || (isLate && !fits)) {
    if (held.verdict === "review" && failsNow) blame(state, held);
    refund(state, held.money.user, held.money.debits);
    for (const { number, wei } of held.money.debits) {
      state.refunded.set(number, (state.refunded.get(number) ?? 0n) + wei);
    }
    const ended = state.ended.get(sessionId);
    if (ended !== undefined)
      state.ended.set(sessionId, { ...ended, chargedSeconds: 0, charge: 0n });
    close(state, ledger, held, "upheld");
    return;
  }
  if (!fits) {
    // Paid in a later epoch, out of what that one leaves.
    held.cleared = true;
    held.until = epoch + 1;
    return;
  }
  moveMoney(ledger, { ...held, payees: payeesIn(held), router: state.router }, 1n);
  close(state, ledger, held, "cleared");
}

function close(
  state: RouterState,
  ledger: Ledger,
  held: HeldSession,
  outcome: "upheld" | "cleared",
): void {
  const { sessionId, epoch } = held.record;
  settleFinding(state, held, outcome);
  ledger.outcomes.push({ sessionId, epoch, outcome, byEvidence: held.byEvidence });
  state.held.delete(sessionId);
}

/** The contract pays allowances of an epoch's settlement out of that epoch's budget alone. */
function fitsBudget(state: RouterState, ledger: Ledger, held: EndedRecord, epoch: number): boolean {
  const { fromAllowance } = held.money;
  if (fromAllowance === 0n) return true;
  return ledger.allowanceCharged + fromAllowance <= reportOf(state, epoch).budget;
}

/** A Session that ended well and failed after all counts against its Provider's rank now. */
function blame(state: RouterState, { record }: EndedRecord): void {
  // What cost nothing was a failure already when it ended.
  if (record.seconds === 0) return;
  const key = offerKeyOf(record);
  state.standings.set(key, standingBlamed(state.standings.get(key) ?? newcomerStanding));
}

/** What failed makes no prices. */
function uncount(ledger: Ledger, { record }: EndedRecord): void {
  const { hardwareClass, provider, weiPerSecond, seconds } = record;
  const key = `${hardwareClass} ${provider} ${weiPerSecond}`;
  const known = ledger.priced.get(key);
  if (known !== undefined) ledger.priced.set(key, { ...known, seconds: known.seconds - seconds });
}
