import {
  type Address,
  type AllowanceRule,
  explainSelection,
  type Hex,
  LakeError,
  limits,
  messageHash,
  nextInLine,
  placeInLine,
  type Ranking,
  type Ticket,
  ticketType,
  type Waiting,
  whyHashOf,
  zeroBytes32,
} from "@lake-travis/protocol";
import { allowanceRuleFor, payeesOf, rank, wishOf } from "./candidates.ts";
import { coreLimits } from "./core-limits.ts";
import { noteUnserved } from "./demand-book.ts";
import { separatorOf } from "./domain.ts";
import type { Effect, Refusal, RouterEvent } from "./events.ts";
import { type Funded, fundSession, release, reserve, userOf, weightOf } from "./money.ts";
import type { Outcome } from "./outcome.ts";
import { changeUsed, offerKeyOf, providerOf } from "./providers.ts";
import type { HeldOffer, PendingRfc, RouterState, Session } from "./state.ts";
import { ledgerOf } from "./settling.ts";
import { schedule } from "./wheel.ts";

type EventOf<T extends RouterEvent["type"]> = Extract<RouterEvent, { type: T }>;

/**
 * Takes an RFC one step towards its Ticket: asks the best Offer that is left, lines up where all
 * slots are taken, or throws why neither can be.
 */
export function pursue(state: RouterState, pending: PendingRfc, at: number, out: Outcome): void {
  const line = state.lines.get(pending.digest);
  if (line !== undefined && line.length > 0) {
    // Whoever comes later does not pass those who wait.
    lineUp(state, pending, out);
    dispatchLine(state, pending.digest, at, out);
    return;
  }
  const ranking = rank(state, pending, at);
  if (askNext(state, pending, ranking, at, out)) return;
  if (ranking.ranked.length > 0) throw budgetSpent(ranking);
  if (!ranking.refused.some(({ reason }) => reason === "slots-full")) throw whyNone(ranking);
  lineUp(state, pending, out);
}

/** A Provider's signed word that it has a slot: the Ticket. */
export function receiveAccept(
  state: RouterState,
  event: EventOf<"accept-received">,
  out: Outcome,
): void {
  const { message: accept } = event.accept;
  const pending = state.pending.get(accept.rfcHash);
  if (pending?.asked == null || pending.asked.offerHash !== accept.offerHash) return;
  const offer = state.offers.get(pending.asked.key);
  const provider = offer?.signed.message.provider;
  const key = provider === undefined ? undefined : state.nodes.get(provider)?.signingKey;
  const good = event.signer === key && accept.expiresAt > event.at;
  if (offer?.hash !== accept.offerHash || !good) {
    refuseOffer(state, pending, { reason: "refused", at: event.at }, out);
    return;
  }
  grant(state, pending, offer, event, out);
}

/** The Provider did not answer, or said no: the next Offer. */
export function missAccept(
  state: RouterState,
  event: EventOf<"accept-missing">,
  out: Outcome,
): void {
  const pending = state.pending.get(event.rfcHash);
  if (pending?.asked?.offerHash !== event.offerHash) return;
  refuseOffer(state, pending, event, out);
}

/** Gives the freed slots of a model to the RFCs that wait for it. */
export function dispatchLine(state: RouterState, digest: Hex, at: number, out: Outcome): void {
  const line = state.lines.get(digest);
  if (line === undefined) return;
  const passed: Waiting[] = [];
  for (let tries = 0; tries < coreLimits.dispatchTriesMax && line.length > 0; tries += 1) {
    const index = nextInLine(line, state.served);
    const waiting = line[index] as Waiting;
    line.splice(index, 1);
    const pending = state.pending.get(waiting.rfcHash) as PendingRfc;
    const ranking = rank(state, pending, at);
    if (askNext(state, pending, ranking, at, out)) {
      state.served += 1;
      userOf(state, pending.user).queued -= 1;
      continue;
    }
    passed.push(waiting);
    if (ranking.ranked.length === 0 && isAllFull(ranking)) break;
  }
  for (const waiting of passed) line.splice(placeInLine(line, waiting), 0, waiting);
  if (line.length === 0) state.lines.delete(digest);
}

/** Asks those again who said that their slots are taken: nobody tells when one frees there. */
export function retryLine(state: RouterState, digest: Hex, at: number, out: Outcome): void {
  const line = state.lines.get(digest) ?? [];
  for (const { rfcHash } of line) {
    const unanswered = state.pending.get(rfcHash)?.unanswered;
    for (const [offerHash, reason] of unanswered ?? []) {
      if (reason === slotsTaken) unanswered?.delete(offerHash);
    }
  }
  dispatchLine(state, digest, at, out);
}

/** An RFC whose deadline came before a slot did. */
export function expireRfc(state: RouterState, hash: Hex, out: Outcome): void {
  const pending = state.pending.get(hash);
  if (pending?.phase !== "waiting") return;
  leaveLine(state, pending);
  refuse(state, pending, slotsFull(), out);
}

/**
 * After a restart nobody waits for these answers any more: their money and slots are free again.
 */
export function dropPending(state: RouterState, out: Outcome): void {
  for (const pending of [...state.pending.values()]) {
    if (pending.phase === "waiting") leaveLine(state, pending);
    else unask(state, pending);
    const error = new LakeError("shutting-down", "The Router was restarted; send a new RFC.");
    refuse(state, pending, error, out);
  }
}

function askNext(
  state: RouterState,
  pending: PendingRfc,
  ranking: Ranking,
  at: number,
  out: Outcome,
): boolean {
  for (const candidate of ranking.ranked) {
    const key = offerKeyOf({ provider: candidate.provider, manifestDigest: pending.digest });
    const offer = state.offers.get(key) as HeldOffer;
    const rule = allowanceRuleFor(state, offer, ranking);
    const funded = fundFor(state, pending, { offer, rule, at });
    if (funded === undefined) continue;
    out.changed = true;
    reserve(state, pending.user, funded.hold);
    changeUsed(state, key, 1);
    pending.phase = "asking";
    pending.asked = { offerHash: offer.hash, key: offer.key, hold: funded.hold };
    state.pending.set(pending.hash, pending);
    const { provider, endpoint, tlsFingerprint } = offer.signed.message;
    out.effects.push({
      type: "provider-asked",
      rfcHash: pending.hash,
      rfc: pending.rfc,
      offerHash: offer.hash,
      provider,
      endpoint,
      tlsFingerprint,
    });
    return true;
  }
  return false;
}

function fundFor(
  state: RouterState,
  pending: PendingRfc,
  from: { readonly offer: HeldOffer; readonly rule: AllowanceRule; readonly at: number },
): Funded | undefined {
  const { offer, rule, at } = from;
  return fundSession(state, {
    user: pending.user,
    payees: payeesOf(state, offer),
    allowancePays: rule === "may-pay",
    secondsWished: pending.rfc.message.maxSeconds,
    secondsMin: offer.signed.message.minSeconds,
    at,
  });
}

function refuseOffer(
  state: RouterState,
  pending: PendingRfc,
  how: { readonly reason: string; readonly at: number },
  out: Outcome,
): void {
  out.changed = true;
  const { asked } = pending;
  unask(state, pending);
  // Its slots are taken by Sessions that are not known here: it is waited for as any full one.
  const reason = how.reason === "full" ? slotsTaken : how.reason;
  pending.unanswered.set(asked?.offerHash ?? zeroBytes32, reason);
  const ranking = rank(state, pending, how.at);
  if (askNext(state, pending, ranking, how.at, out)) return;
  const full = ranking.refused.some(({ reason }) => reason === "slots-full");
  if (ranking.ranked.length > 0) refuse(state, pending, budgetSpent(ranking), out);
  else if (full && tryLineUp(state, pending, out)) {
    if (reason === slotsTaken) schedule(state, how.at + coreLimits.fullRetryMs, retryOf(pending));
  } else refuse(state, pending, whyNone(ranking), out);
}

/** As selection calls an Offer without a free slot. */
const slotsTaken = "slots-full";

function retryOf({ digest }: PendingRfc): string {
  return `d:${digest}`;
}

function unask(state: RouterState, pending: PendingRfc): void {
  const { asked } = pending;
  if (asked === null) return;
  release(state, pending.user, asked.hold);
  changeUsed(state, asked.key, -1);
  pending.asked = null;
}

function grant(
  state: RouterState,
  pending: PendingRfc,
  offer: HeldOffer,
  event: EventOf<"accept-received">,
  out: Outcome,
): void {
  out.changed = true;
  const { at } = event;
  const ranking = pending.ranking as Ranking;
  const rule = allowanceRuleFor(state, offer, ranking);
  // The epoch may have turned while the Provider was asked, so the money is taken anew.
  release(state, pending.user, pending.asked?.hold ?? { epoch: -1, allowance: 0n, deposit: 0n });
  const funded = fundFor(state, pending, { offer, rule, at });
  if (funded === undefined) {
    changeUsed(state, pending.asked?.key ?? "", -1);
    pending.asked = null;
    refuse(state, pending, budgetSpent(ranking), out);
    return;
  }
  reserve(state, pending.user, funded.hold);
  const why = explainSelection({
    rfcHash: pending.hash,
    wish: wishOf(state, pending),
    ranking,
    chosen: offer.hash,
    unanswered: pending.unanswered,
    allowance: rule,
  });
  const ticket = ticketOf(state, pending, { offer, event, funded, whyHash: whyHashOf(why) });
  const session = sessionOf(state, ticket, {
    user: pending.user,
    offer,
    funded,
    wishedSeconds: pending.rfc.message.maxSeconds,
    depositOnly: ranking.allowance !== "may-pay",
  });
  addSession(state, session);
  state.pending.delete(pending.hash);
  schedule(state, ticket.connectBy + coreLimits.beatSlackMs, `s:${session.id}`);
  const { signed } = offer;
  const granted = { rfcHash: pending.hash, sessionId: session.id, ticket, offer: signed };
  out.effects.push({ type: "ticket-granted", ...granted, accept: event.accept, why });
}

function ticketOf(
  state: RouterState,
  pending: PendingRfc,
  chosen: {
    readonly offer: HeldOffer;
    readonly event: EventOf<"accept-received">;
    readonly funded: Funded;
    readonly whyHash: Hex;
  },
): Ticket {
  const { offer, event, funded, whyHash } = chosen;
  const { message } = offer.signed;
  return {
    rfcHash: pending.hash,
    offerHash: offer.hash,
    acceptHash: event.hash,
    whyHash,
    sessionKey: pending.rfc.message.sessionKey,
    provider: message.provider,
    router: state.router,
    epoch: state.openEpoch,
    manifestDigest: pending.digest,
    payees: payeesOf(state, offer),
    reservedAllowance: funded.hold.allowance,
    reservedDeposit: funded.hold.deposit,
    minSeconds: message.minSeconds,
    maxSeconds: funded.seconds,
    tickSeconds: limits.tickSeconds,
    connectBy: event.at + limits.connectMsMax,
    openedAt: event.at,
  };
}

/** A Session at its beginning. Its id is the Ticket's EIP-712 digest. */
export function sessionOf(
  state: RouterState,
  ticket: Ticket,
  from: {
    readonly user: Address;
    readonly offer: Pick<HeldOffer, "signed" | "key">;
    readonly funded: Funded;
    readonly wishedSeconds: number;
    readonly depositOnly: boolean;
  },
): Session {
  const { message } = from.offer.signed;
  return {
    id: messageHash(separatorOf(state.domain), ticketType, ticket),
    ticket,
    user: from.user,
    offerKey: from.offer.key,
    model: message.model,
    hold: from.funded.hold,
    offeredMilliTps: message.milliTps,
    hardwareClass: message.hardwareClass,
    wishedSeconds: from.wishedSeconds,
    depositOnly: from.depositOnly,
    boundBy: from.funded.boundBy,
    // What no Session has yet when it begins, field by field: an object that is spread together
    // from so many takes 300 bytes more.
    phase: "granted",
    warned: false,
    challengesAsked: 0,
    challengesPassed: 0,
    measuredFrom: 0,
    tick: null,
    tickHash: zeroBytes32,
    signature: null,
    countersignature: null,
    closedAt: 0,
    closeTickHash: null,
    endedBy: "router",
    endReason: "finished",
    successor: null,
  };
}

/** Enters a Session in every book. */
export function addSession(state: RouterState, session: Session): void {
  state.sessions.set(session.id, session);
  userOf(state, session.user).sessions.add(session.id);
  providerOf(state, session.ticket.provider).sessions.add(session.id);
  ledgerOf(state, session.ticket.epoch).open += 1;
}

function lineUp(state: RouterState, pending: PendingRfc, out: Outcome): void {
  const user = userOf(state, pending.user);
  if (user.queued >= limits.queuedPerUserMax)
    throw queueFull("This User has too many RFCs waiting.");
  const line = state.lines.get(pending.digest) ?? [];
  if (line.length >= limits.queueMax) throw queueFull("Too many RFCs wait for this model.");
  out.changed = true;
  if (pending.arrival === 0) {
    state.arrivals += 1;
    pending.arrival = state.arrivals;
  }
  user.queued += 1;
  pending.phase = "waiting";
  state.pending.set(pending.hash, pending);
  const waiting: Waiting = {
    rfcHash: pending.hash,
    user: pending.user,
    balance: weightOf(state, pending.user),
    arrival: pending.arrival,
  };
  line.splice(placeInLine(line, waiting), 0, waiting);
  state.lines.set(pending.digest, line);
  schedule(state, pending.rfc.message.deadline, `q:${pending.hash}`);
  out.effects.push({ type: "rfc-queued", rfcHash: pending.hash, waiting: line.length });
}

function tryLineUp(state: RouterState, pending: PendingRfc, out: Outcome): boolean {
  if (userOf(state, pending.user).queued >= limits.queuedPerUserMax) return false;
  if ((state.lines.get(pending.digest)?.length ?? 0) >= limits.queueMax) return false;
  lineUp(state, pending, out);
  return true;
}

function leaveLine(state: RouterState, pending: PendingRfc): void {
  const line = state.lines.get(pending.digest) ?? [];
  const left = line.filter(({ rfcHash }) => rfcHash !== pending.hash);
  if (left.length < line.length) userOf(state, pending.user).queued -= 1;
  if (left.length === 0) state.lines.delete(pending.digest);
  else state.lines.set(pending.digest, left);
}

function refuse(state: RouterState, pending: PendingRfc, error: LakeError, out: Outcome): void {
  out.changed = true;
  state.pending.delete(pending.hash);
  noteUnserved(state, pending, error.code);
  const effect: Effect = {
    type: "rfc-refused",
    rfcHash: pending.hash,
    refusal: refusalOf(error),
  };
  out.effects.push(effect);
}

/** A failure as data. */
export function refusalOf(error: LakeError): Refusal {
  const { code, message, advice } = error;
  return advice === undefined ? { code, message } : { code, message, advice };
}

function isAllFull(ranking: Ranking): boolean {
  return ranking.refused.every(({ reason }) => reason === "slots-full" || reason === "silent");
}

function whyNone(ranking: Ranking): LakeError {
  const reasons = ranking.refused.map(({ reason }) => reason);
  if (reasons.includes("price-above-cap")) {
    return new LakeError("price-cap-too-low", "Every Offer costs more than the price cap.", {
      advice: "Raise the price cap, or wait for a cheaper Offer.",
    });
  }
  if (reasons.includes("offered-too-slow") || reasons.includes("measured-too-slow")) {
    return new LakeError("speed-not-offered", "No Provider offers the wished speed.", {
      advice: "Wish for fewer tokens per second.",
    });
  }
  if (reasons.includes("not-among-only") || reasons.includes("ignored")) {
    return new LakeError("provider-none", "The wish leaves no Provider of this model.", {
      advice: "Name other Providers in only, or fewer in ignore.",
    });
  }
  if (reasons.includes("refused")) {
    return new LakeError("provider-refused", "Every Provider of this model refused.", {
      advice: "Try again in a moment.",
    });
  }
  return new LakeError("provider-none", "No Provider of this model is alive now.", {
    advice: "Try again later, or wish for another model.",
  });
}

function budgetSpent({ allowance }: Ranking): LakeError {
  if (allowance !== "may-pay") {
    const sentence = "The free allowance pays no Provider that the User singles out.";
    return new LakeError("budget-spent", sentence, {
      advice: "Make a deposit, or leave only, order and ignore out of the wish.",
    });
  }
  return new LakeError("budget-spent", "What is left of allowance and deposit buys no Session.", {
    advice: "Wait for the next epoch, or make a deposit and raise the Delegation's limits.",
  });
}

function slotsFull(): LakeError {
  return new LakeError("slots-full", "No slot became free before the RFC's deadline.", {
    advice: "Try again later, or raise the price cap so that more Offers fit.",
  });
}

function queueFull(sentence: string): LakeError {
  return new LakeError("queue-full", sentence, { advice: "Try again later." });
}
