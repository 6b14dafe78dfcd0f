/*
 * The Router's state machine. `step` is a pure function of state and event in this sense: it reads
 * no clock, no randomness, no file and no network, and from equal states equal events lead to equal
 * states and effects, on any machine. It changes the state object in place, since copying a million
 * balances per event would cost a thousand times the work; whoever wants the old state replays.
 *
 * What it refuses it refuses before the first change, so that such an event need not be journalled.
 */
import { LakeError } from "@lake-travis/protocol";
import {
  receiveDelegation,
  receiveOffer,
  receiveRevocation,
  receiveRfc,
  silenceProvider,
} from "./admission.ts";
import { followBlocks } from "./chain-facts.ts";
import { askChallenges, judgeChallenges } from "./challenges.ts";
import { checkSession, finalise, receiveBeat, receiveClose } from "./closing.ts";
import { receiveEvidence } from "./conduct.ts";
import { coreLimits } from "./core-limits.ts";
import type { Effect, RouterEvent } from "./events.ts";
import { applyVerdicts } from "./judging.ts";
import {
  dropPending,
  expireRfc,
  missAccept,
  receiveAccept,
  refusalOf,
  retryLine,
} from "./matching.ts";
import type { Outcome } from "./outcome.ts";
import {
  keepReceipt,
  keepSettlement,
  settlementFinal,
  settlementVoid,
  spillRecords,
} from "./settling.ts";
import { forgetReported, hearVerdicts, takeReport } from "./shards.ts";
import { coreFormat, type RouterState } from "./state.ts";
import { beginEpoch } from "./succession.ts";
import { isDue, takeDue } from "./wheel.ts";
import type { Hex } from "@lake-travis/protocol";

/** What an event led to. */
export interface Step {
  readonly state: RouterState;
  readonly effects: readonly Effect[];
  /** Whether the state is another than before; only such events need to be journalled. */
  readonly changed: boolean;
}

/** Applies one event; see the head of this file. */
export function step(state: RouterState, event: RouterEvent): Step {
  const out: Outcome = { effects: [], changed: false };
  try {
    apply(state, event, out);
  } catch (error) {
    // A refusal after the first change would leave half of it behind: that is a fault of ours.
    if (!(error instanceof LakeError) || out.changed) throw error;
    out.effects.push({ type: "refused", refusal: refusalOf(error) });
  }
  return { state, effects: out.effects, changed: out.changed };
}

function apply(state: RouterState, event: RouterEvent, out: Outcome): void {
  switch (event.type) {
    case "router-founded":
      return found(state, event, out);
    case "router-restarted":
      dropPending(state, out);
      return resume(state, event.at, out);
    case "router-resumed":
      return resume(state, event.at, out);
    case "blocks-followed":
      return followBlocks(state, event.blocks, out);
    case "epoch-began":
      return beginEpoch(state, event, out);
    case "delegation-received":
      return receiveDelegation(state, event, out);
    case "revocation-received":
      return receiveRevocation(state, event, out);
    case "offer-received":
      return receiveOffer(state, event, out);
    case "rfc-received":
      return receiveRfc(state, event, out);
    case "accept-received":
      return receiveAccept(state, event, out);
    case "accept-missing":
      return missAccept(state, event, out);
    case "beat-received":
      return receiveBeat(state, event, out);
    case "provider-silent":
      return silenceProvider(state, event, out);
    case "close-received":
      return receiveClose(state, event, out);
    case "time-passed":
      return passTime(state, event.at, out);
    case "shard-reported":
      return takeReport(state, event, out);
    case "shard-sealed":
      return forgetReported(state, event, out);
    case "verdicts-heard":
      return hearVerdicts(state, event, out);
    case "settlement-signed":
      return keepSettlement(state, event, out);
    case "settlement-matured":
      return settlementFinal(state, event.hash, out);
    case "settlement-abandoned":
      return settlementVoid(state, event.hash, out);
    case "settlement-mined":
      return keepReceipt(state, event, out);
    case "records-spilled":
      return spillRecords(state, event, out);
    case "epoch-judged":
      return applyVerdicts(state, event, out);
    case "evidence-received":
      return receiveEvidence(state, event, out);
  }
}

function found(
  state: RouterState,
  event: Extract<RouterEvent, { type: "router-founded" }>,
  out: Outcome,
): void {
  // From here on a throw is no refusal of one event: it stops the recovery.
  out.changed = true;
  if (event.format !== coreFormat) throw formatUnknown();
  const { router, chainId, computeContract, schedule, secret } = event;
  state.router = router;
  state.domain = { chainId, computeContract };
  state.schedule = schedule;
  state.secret = secret;
  state.shard = event.shard ?? { index: 0, count: 1 };
}

/** What a journal or snapshot of another version is refused with. */
export function formatUnknown(): LakeError {
  return new LakeError("journal-corrupt", "This journal was written by another version.", {
    advice: "Start the version that wrote it, or name another folder with --data-dir.",
  });
}

/** While the Router was away it heard nothing: everyone gets time anew to be heard. */
function resume(state: RouterState, at: number, out: Outcome): void {
  if (state.sessions.size === 0) return;
  out.changed = true;
  state.resumedAt = at;
}

function passTime(state: RouterState, at: number, out: Outcome): void {
  if (!isDue(state, at)) return;
  out.changed = true;
  for (const entry of takeDue(state, at)) {
    const id = entry.slice(2) as Hex;
    const session = state.sessions.get(id);
    if (entry.startsWith("n:")) state.nonces.delete(id);
    else if (entry.startsWith("q:")) expireRfc(state, id, out);
    else if (entry.startsWith("d:")) retryLine(state, id, at, out);
    else if (entry.startsWith("c:")) askChallenges(state, id, at, out);
    else if (entry.startsWith("j:")) judgeChallenges(state, id, at, out);
    else if (session === undefined) continue;
    else if (entry.startsWith("s:")) checkSession(state, session, at, out);
    else if (session.phase === "closing") finalise(state, session, out);
  }
  dropNotices(state, at);
}

function dropNotices(state: RouterState, at: number): void {
  const isNew = (notice: { readonly at: number }): boolean => notice.at + coreLimits.noticeMs > at;
  for (const provider of state.providers.values()) {
    if (provider.notices.length > 0) provider.notices = provider.notices.filter(isNew);
    if (provider.warnings.length > 0) provider.warnings = provider.warnings.filter(isNew);
  }
}
