/*
 * What repeated faults lead to: first a lower rank (the standings), then a suspension of a
 * Provider's Offers or a User's RFCs for some epochs. Everybody has a way back: counts are halved
 * at each epoch, a suspension ends by itself and leaves a clean slate, and a verdict falls if the
 * other party's own signature speaks against it.
 */
import {
  type Address,
  closeReasons,
  LakeError,
  parties,
  type CloseReason,
} from "@lake-travis/protocol";
import { coreLimits } from "./core-limits.ts";
import type { JudgedSession, ReceivedEvidence, RouterEvent } from "./events.ts";
import type { Outcome } from "./outcome.ts";
import type { Conduct, EndedRecord, Finding, RouterState } from "./state.ts";
import { isSuspended } from "./suspension.ts";

/** Tells a party of a verdict that speaks against it. */
export function noteFinding(state: RouterState, judged: JudgedSession, epoch: number): void {
  const { ended, verdict, fault, score, reasons, sessionId } = judged;
  if (fault === "none") return;
  const { provider } = ended.record;
  const byUser = fault === "user";
  const conduct = conductOf(state, byUser ? ended.money.user : provider);
  const other = byUser ? provider : ended.money.sessionKey;
  // A User's fault changes no money, so nothing of it is open.
  const outcome = byUser && verdict === "fail" ? "upheld" : "held";
  conduct.findings.push({ sessionId, epoch, other, verdict, score, reasons, outcome });
  conduct.findings = conduct.findings.slice(-coreLimits.findingsMax);
}

/** Writes down what came of a verdict. */
export function settleFinding(
  state: RouterState,
  { record, money }: EndedRecord,
  outcome: "upheld" | "cleared",
): void {
  for (const account of [record.provider, money.user]) {
    const finding = findingOf(state.conducts.get(account), record.sessionId);
    if (finding !== undefined) finding.outcome = outcome;
  }
}

/** Counts faults by party. */
export function countFaults(state: RouterState, judged: readonly JudgedSession[]): void {
  for (const { verdict, fault, ended } of judged) {
    if (verdict !== "fail" || fault === "none") continue;
    conductOf(state, fault === "user" ? ended.money.user : ended.record.provider).faults += 1;
  }
}

/** Once an epoch is judged: suspends who has too many faults for the Sessions that it had. */
export function suspendFaulty(
  state: RouterState,
  sessionsOf: readonly (readonly [Address, number])[],
  out: Outcome,
): void {
  for (const [account, sessions] of sessionsOf) {
    const conduct = state.conducts.get(account);
    if (conduct === undefined) continue;
    conduct.sessions += sessions;
    if (!isTooMuch(conduct) || isSuspended(state, account)) continue;
    const epochs = coreLimits.suspensionEpochs * 2 ** conduct.suspensions;
    conduct.suspendedUntil = state.openEpoch + Math.min(epochs, coreLimits.suspensionEpochsMax);
    conduct.suspensions += 1;
    conduct.faults = 0;
    conduct.sessions = 0;
    const { suspendedUntil: untilEpoch } = conduct;
    out.effects.push({ type: "party-suspended", account, untilEpoch });
  }
}

/** One epoch later: the past fades, and who has kept clean is forgotten. */
export function fadeConducts(state: RouterState): void {
  for (const [account, conduct] of state.conducts) {
    const isClean = conduct.faults === 0 && !isSuspended(state, account);
    if (isClean) conduct.suspensions = Math.max(0, conduct.suspensions - 1);
    conduct.sessions >>= 1;
    conduct.faults >>= 1;
    const since = state.openEpoch - coreLimits.findingEpochsMax;
    conduct.findings = conduct.findings.filter(({ epoch }) => epoch >= since);
    const isOver = isClean && conduct.suspensions === 0 && conduct.findings.length === 0;
    if (isOver) state.conducts.delete(account);
  }
}

/**
 * A party shows the other one's signed Close against a verdict. Throws `content-missing`,
 * `signer-wrong`, `message-invalid`.
 */
export function receiveEvidence(
  state: RouterState,
  event: Extract<RouterEvent, { type: "evidence-received" }>,
  out: Outcome,
): void {
  const { evidence } = event;
  const conduct = state.conducts.get(evidence.account);
  const finding = findingOf(conduct, evidence.sessionId);
  if (conduct === undefined || finding === undefined) {
    throw new LakeError("content-missing", "No verdict on this Session speaks against you.");
  }
  requireParty(state, evidence);
  requireClearing(state, evidence, finding);
  if (finding.outcome === "cleared") return;
  const held = state.held.get(evidence.sessionId);
  const isProvider = state.nodes.get(evidence.account)?.kind === "provider";
  // A Provider's failed Session is refunded by now; a User's fault moved no money.
  if (isProvider && finding.outcome === "upheld") {
    throw new LakeError("message-expired", "This verdict was settled for good.");
  }
  out.changed = true;
  finding.outcome = "cleared";
  if (held !== undefined) {
    held.cleared = true;
    held.byEvidence = true;
  }
  if (finding.verdict === "fail") conduct.faults = Math.max(0, conduct.faults - 1);
  const left = conduct.findings.filter(({ verdict, outcome }) => {
    return verdict === "fail" && outcome !== "cleared";
  });
  if (left.length < coreLimits.suspensionFaultsMin) conduct.suspendedUntil = 0;
}

function isTooMuch({ faults, sessions }: Conduct): boolean {
  return (
    faults >= coreLimits.suspensionFaultsMin &&
    faults * coreLimits.suspensionShareDivisor >= sessions
  );
}

function conductOf(state: RouterState, account: Address): Conduct {
  const known = state.conducts.get(account);
  if (known !== undefined) return known;
  const made: Conduct = {
    sessions: 0,
    faults: 0,
    suspendedUntil: 0,
    suspensions: 0,
    findings: [],
  };
  state.conducts.set(account, made);
  return made;
}

function findingOf(conduct: Conduct | undefined, sessionId: string): Finding | undefined {
  return conduct?.findings.find((finding) => finding.sessionId === sessionId);
}

function requireParty(state: RouterState, { account, signer }: ReceivedEvidence): void {
  const sessionKey = state.users.get(account)?.delegation?.sessionKey;
  const signingKey = state.nodes.get(account)?.signingKey;
  if (signer === account || signer === sessionKey || signer === signingKey) return;
  throw new LakeError("signer-wrong", "This evidence is not signed by whom it is for.");
}

/** One's own word clears nothing; the other party's word that all went well does. */
function requireClearing(state: RouterState, evidence: ReceivedEvidence, finding: Finding): void {
  const { close, signer } = evidence.close;
  const key = state.nodes.get(finding.other)?.signingKey ?? finding.other;
  const expected = state.nodes.has(evidence.account) ? "user" : "provider";
  const reason: CloseReason | undefined = closeReasons[close.reason];
  const isWell = reason === "finished" || reason === "idle";
  const isTheirs = signer === key && parties[close.party] === expected;
  if (close.sessionId === evidence.sessionId && isWell && isTheirs) return;
  throw new LakeError("message-invalid", "This does not show that the other party was content.", {
    advice: "Show the Close of this Session that the other party signed as finished or idle.",
  });
}
