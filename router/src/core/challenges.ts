/*
 * Random questions to the engine processes behind open Sessions (DESIGN.md section 8): evidence
 * that one machine serves, not a proof. A round asks every Provider of a version the same nonce
 * at the same moment, so that answers can be compared; when it comes and what it asks follows
 * from the epoch's secret, which nobody knows before the epoch is over.
 */
import {
  type Address,
  type ChallengeAnswer,
  fromHex,
  type Hex,
  keccak256,
  toHex,
} from "@lake-travis/protocol";
import { coreLimits } from "./core-limits.ts";
import type { Outcome } from "./outcome.ts";
import { offerKeyOf, providerOf } from "./providers.ts";
import type { ChallengeRound, RouterState, Session } from "./state.ts";
import { schedule } from "./wheel.ts";

/** A Session of a version has begun: from now on there are rounds, while there are Sessions. */
export function beginRounds(state: RouterState, digest: Hex, at: number): void {
  if (state.rounds.has(digest)) return;
  state.rounds.set(digest, null);
  scheduleRound(state, digest, at);
}

/** Asks one open Session of each Provider of a version. */
export function askChallenges(state: RouterState, digest: Hex, at: number, out: Outcome): void {
  const nonce = drawnAt(state, digest, at);
  const answerBy = at + coreLimits.challengeMs;
  const asked = new Map<Address, Hex>();
  for (const [provider, sessions] of openByProvider(state, digest)) {
    const session = sessions[numberIn(nonce) % sessions.length] as Session;
    asked.set(provider, session.id);
    providerOf(state, provider).questions.push({ sessionId: session.id, nonce, answerBy });
    out.effects.push({ type: "challenge-asked", sessionId: session.id, provider, nonce });
  }
  if (asked.size === 0) {
    state.rounds.delete(digest);
    return;
  }
  state.rounds.set(digest, { nonce, answerBy, asked, answers: new Map() });
  schedule(state, answerBy, `j:${digest}`);
}

/** Takes an engine's answer, if it is the first one and in time. */
export function receiveAnswer(
  state: RouterState,
  account: Address,
  answer: ChallengeAnswer,
  at: number,
): void {
  const provider = providerOf(state, account);
  const { sessionId, nonce, digest } = answer;
  const question = provider.questions.find((each) => {
    return each.sessionId === sessionId && each.nonce === nonce;
  });
  if (question === undefined || at > question.answerBy) return;
  provider.questions = provider.questions.filter((each) => each !== question);
  for (const round of state.rounds.values()) {
    const isAsked = round?.nonce === nonce && round.asked.get(account) === sessionId;
    if (isAsked) round.answers.set(account, digest);
  }
}

/** A round's time is up: who answered in time, and as most did, has passed. */
export function judgeChallenges(state: RouterState, digest: Hex, at: number, out: Outcome): void {
  const round = state.rounds.get(digest);
  if (round == null) return;
  // What the Router did not hear while it was away was no silence.
  const wasAway = round.answerBy - coreLimits.challengeMs < state.resumedAt;
  const agreed = majorityOf(round);
  for (const [account, sessionId] of round.asked) {
    const provider = providerOf(state, account);
    provider.questions = provider.questions.filter(({ nonce }) => nonce !== round.nonce);
    const session = state.sessions.get(sessionId);
    const answer = round.answers.get(account);
    // Two who contradict each other, and no third: nobody can tell who is wrong.
    const isOpen = answer !== undefined && agreed === undefined;
    if (session?.phase !== "open" || isOpen || wasAway) continue;
    const passed = answer !== undefined && answer === agreed;
    session.challengesAsked += 1;
    session.challengesPassed += passed ? 1 : 0;
    out.effects.push({ type: "challenge-judged", sessionId, provider: account, passed });
  }
  state.rounds.set(digest, null);
  scheduleRound(state, digest, at);
}

/** The answer that more than half of those gave who answered; undefined where there is none. */
function majorityOf(round: ChallengeRound): Hex | undefined {
  const counts = new Map<Hex, number>();
  for (const answer of round.answers.values()) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  return [...counts].find(([, count]) => count * 2 > round.answers.size)?.[0];
}

function openByProvider(state: RouterState, digest: Hex): [Address, Session[]][] {
  return [...state.providers].flatMap(([account, provider]): [Address, Session[]][] => {
    if (!state.offers.has(offerKeyOf({ provider: account, manifestDigest: digest }))) return [];
    const sessions: Session[] = [];
    for (const id of provider.sessions) {
      const session = state.sessions.get(id);
      if (session?.phase === "open" && session.ticket.manifestDigest === digest) {
        sessions.push(session);
      }
    }
    return sessions.length === 0 ? [] : [[account, sessions]];
  });
}

function scheduleRound(state: RouterState, digest: Hex, at: number): void {
  const { challengeGapMsMin, challengeGapMsMax } = coreLimits;
  const spread = challengeGapMsMax - challengeGapMsMin;
  const gap = challengeGapMsMin + (numberIn(drawnAt(state, digest, at)) % spread);
  schedule(state, at + gap, `c:${digest}`);
}

function drawnAt(state: RouterState, digest: Hex, at: number): Hex {
  const bytes = new Uint8Array(72);
  bytes.set(fromHex(state.epochSecret), 0);
  bytes.set(fromHex(digest), 32);
  new DataView(bytes.buffer).setBigUint64(64, BigInt(at));
  return toHex(keccak256(bytes));
}

/** The last four bytes; the first six of a nonce already say where in the file to look. */
function numberIn(nonce: Hex): number {
  return Number(`0x${nonce.slice(-8)}`);
}
