import {
  type Address,
  type Delegation,
  type Hex,
  LakeError,
  limits,
  parseHandle,
  routingWishHash,
  zeroBytes32,
} from "@lake-travis/protocol";
import { revokeBelow } from "./chain-facts.ts";
import { blameGone, endSessionsOf } from "./closing.ts";
import { coreLimits } from "./core-limits.ts";
import { noteAsked, noteUnserved } from "./demand-book.ts";
import type { RouterEvent } from "./events.ts";
import { dispatchLine, pursue, refusalOf } from "./matching.ts";
import { nameIn, taggedDigest } from "./models.ts";
import { coversBeside, keepCover, purseOf, userOf } from "./money.ts";
import type { Outcome } from "./outcome.ts";
import { offerKeyOf, providerOf } from "./providers.ts";
import { isOwnUser } from "./shards.ts";
import type { PendingRfc, RouterState, UserState } from "./state.ts";
import { isSuspended } from "./suspension.ts";
import { schedule } from "./wheel.ts";

type EventOf<T extends RouterEvent["type"]> = Extract<RouterEvent, { type: T }>;

/** A wallet's Delegation, its signature checked at the edge. A higher nonce replaces a lower. */
export function receiveDelegation(
  state: RouterState,
  event: EventOf<"delegation-received">,
  out: Outcome,
): void {
  const { delegation, hash, signature, at } = event;
  if (delegation.expiresAt <= at) throw expired("Delegation");
  if (delegation.expiresAt > at + limits.delegationMsMax) {
    throw new LakeError("deadline-too-far", "This Delegation lasts longer than a year.");
  }
  const known = state.users.get(delegation.user);
  if (delegation.nonce < (known?.revokedBelow ?? 0)) throw revoked();
  if (known?.delegationHash === hash) {
    // Sent again, perhaps since the answer was lost.
    return;
  }
  if (known?.delegation != null && delegation.nonce <= known.delegation.nonce) {
    throw new LakeError(
      "sequence-stale",
      "A Delegation with this nonce or a higher one is known.",
      {
        advice: "Sign one with a higher nonce.",
      },
    );
  }
  if (known !== undefined) requireRoom(state, known, delegation);
  out.changed = true;
  const user = userOf(state, delegation.user);
  if (user.delegationHash !== null) state.delegations.delete(user.delegationHash);
  user.delegation = delegation;
  user.delegationHash = hash;
  user.delegationSignature = signature;
  user.pseudonymKey = event.pseudonymKey;
  state.delegations.set(hash, delegation.user);
  // What another shard reserves under it is answered for here.
  if (!isOwnUser(state, delegation.user)) keepCover(state, user);
}

/** A wallet's Revocation: what runs under its Delegations is closed at once. */
export function receiveRevocation(
  state: RouterState,
  event: EventOf<"revocation-received">,
  out: Outcome,
): void {
  const { user, nonce } = event.revocation;
  const known = state.users.get(user);
  if (known !== undefined && known.revokedBelow > nonce) return;
  if (known === undefined) throw new LakeError("delegation-unknown", "No Delegation is known.");
  out.changed = true;
  revokeBelow(state, { user, below: nonce + 1, at: event.at }, out);
}

/** A Provider's Offer. A higher sequence replaces a lower; no slots withdraw it. */
export function receiveOffer(
  state: RouterState,
  event: EventOf<"offer-received">,
  out: Outcome,
): void {
  const { message: offer } = event.offer;
  const key = offerKeyOf(offer);
  checkOffer(state, event, key);
  if (state.offers.get(key)?.hash === event.hash) return;
  if (offer.sequence <= (state.sequences.get(key) ?? -1)) {
    throw new LakeError("sequence-stale", "An Offer with this sequence or a higher one is known.");
  }
  const provider = providerOf(state, offer.provider);
  if (!provider.offers.has(key) && provider.offers.size >= limits.offersPerProviderMax) {
    throw new LakeError("quota-exceeded", "This Provider has too many Offers.", {
      advice: "Withdraw one by sending it again with no slots.",
    });
  }
  out.changed = true;
  state.sequences.set(key, offer.sequence);
  provider.silent = false;
  const used = state.offers.get(key)?.used ?? countUsed(state, key);
  if (offer.slots === 0) {
    state.offers.delete(key);
    provider.offers.delete(key);
    state.offersByDigest.get(offer.manifestDigest)?.delete(key);
    return;
  }
  state.offers.set(key, { key, signed: event.offer, hash: event.hash, used });
  provider.offers.add(key);
  const ofDigest = state.offersByDigest.get(offer.manifestDigest) ?? new Set();
  state.offersByDigest.set(offer.manifestDigest, ofDigest.add(key));
  dispatchLine(state, offer.manifestDigest, event.at, out);
}

/** A User's RFC, its signer recovered at the edge. */
export function receiveRfc(state: RouterState, event: EventOf<"rfc-received">, out: Outcome): void {
  const account = checkRfc(state, event);
  const { message: rfc } = event.rfc;
  const digest = wishedDigest(state, rfc.model, rfc.manifestDigest);
  const pending: PendingRfc = {
    rfc: event.rfc,
    hash: event.hash,
    user: account,
    wish: event.wish ?? null,
    digest,
    arrivedAt: event.at,
    phase: "asking",
    arrival: 0,
    asked: null,
    ranking: null,
    unanswered: new Map(),
  };
  try {
    pursue(state, pending, event.at, out);
  } catch (error) {
    // Refused before anything changed; that somebody wished for it and got nothing is demand.
    if (!(error instanceof LakeError) || out.changed) throw error;
    const isNews = [noteAsked(state, pending), noteUnserved(state, pending, error.code)];
    if (!isNews.includes(true)) throw error;
    out.changed = true;
    out.effects.push({ type: "refused", refusal: refusalOf(error) });
    return;
  }
  if (!out.changed) return;
  noteAsked(state, pending);
  state.nonces.add(rfc.nonce);
  schedule(state, rfc.deadline + limits.clockSkewMsMax, `n:${rfc.nonce}`);
}

function requireRoom(state: RouterState, user: UserState, delegation: Delegation): void {
  if (coversBeside(state, user, delegation).length < coreLimits.coversMax) return;
  throw new LakeError("quota-exceeded", "Too many Delegations of this wallet are still needed.", {
    advice: "Sign one with at least the ceiling and the time of the others, or wait.",
  });
}

function checkOffer(state: RouterState, event: EventOf<"offer-received">, key: string): void {
  const { message: offer } = event.offer;
  const node = state.nodes.get(offer.provider);
  if (node?.kind !== "provider") {
    throw new LakeError("signer-wrong", "No Provider is registered under this account.", {
      advice: "Register it with the Node Registry first.",
    });
  }
  if (event.signer !== node.signingKey) {
    throw new LakeError("signer-wrong", "This Offer is not signed by the Provider's signing key.");
  }
  if (isSuspended(state, offer.provider)) throw suspended(state, offer.provider);
  if (offer.validUntil <= event.at) throw expired("Offer");
  if (offer.validUntil > event.at + limits.offerMsMax + limits.clockSkewMsMax) {
    throw new LakeError("deadline-too-far", "This Offer is valid for longer than an hour.");
  }
  const name = nameIn(offer.model);
  if (!state.versions.has(`${name}@${offer.manifestDigest}`)) throw modelUnknown(offer.model);
  const others = state.offersByDigest.get(offer.manifestDigest)?.size ?? 0;
  if (!state.offers.has(key) && others >= coreLimits.offersPerVersionMax) {
    throw new LakeError("quota-exceeded", "This model has too many Offers here.");
  }
  if (!/^https:\/\/[^/?#@\s]+$/.test(offer.endpoint)) {
    throw new LakeError("message-invalid", "Offer.endpoint must be https://host:port.");
  }
}

function checkRfc(state: RouterState, event: EventOf<"rfc-received">): Address {
  const { rfc: signed, hash, signer, at } = event;
  const { message: rfc } = signed;
  if (rfc.router !== state.router) {
    throw new LakeError("audience-wrong", "This RFC is for another Router.");
  }
  if (rfc.deadline <= at) throw expired("RFC");
  if (rfc.deadline > at + limits.rfcDeadlineMsMax + limits.clockSkewMsMax) {
    throw new LakeError("deadline-too-far", "This RFC's deadline is too far away.");
  }
  const account = state.delegations.get(rfc.delegationHash);
  const user = account === undefined ? undefined : state.users.get(account);
  if (account === undefined || user?.delegation == null) {
    throw new LakeError("delegation-unknown", "The Delegation of this RFC is not known here.", {
      advice: "Send the Delegation first; a newer one replaces an older.",
    });
  }
  if (user.delegation.sessionKey !== signer) {
    throw new LakeError("signer-wrong", "This RFC is not signed by the Delegation's session key.");
  }
  if (user.delegation.expiresAt <= at) throw expired("Delegation");
  if (user.delegation.nonce < user.revokedBelow) throw revoked();
  if (state.pending.has(hash)) {
    throw new LakeError("rfc-pending", "This RFC is being worked on.");
  }
  if (state.nonces.has(rfc.nonce)) {
    throw new LakeError("message-replayed", "An RFC with this nonce was seen before.");
  }
  if (routingWishHash(event.wish ?? undefined) !== rfc.wishHash) {
    throw new LakeError("message-invalid", "This wish is not the one that its RFC hashes.");
  }
  checkUser(state, account, user);
  return account;
}

function checkUser(state: RouterState, account: Address, user: UserState): void {
  if (state.openEpoch < 0 || state.openEpoch !== state.epoch) {
    throw new LakeError("chain-unreachable", "This Router has not read the chain yet.", {
      advice: "Try again in a moment.",
    });
  }
  if (isSuspended(state, account)) throw suspended(state, account);
  if (user.sessions.size >= limits.sessionsPerUserMax) {
    throw new LakeError("rate-limited", "This User has too many open Sessions.");
  }
  if (user.epoch === state.openEpoch && user.lapses >= coreLimits.lapsesPerEpochMax) {
    throw new LakeError("rate-limited", "Too many Tickets of this User lapsed unused this epoch.");
  }
  const balance = state.balances.get(account) ?? 0n;
  if (balance === 0n && purseOf(state, account).deposit === 0n) {
    throw new LakeError("mor-missing", "The wallet holds no MOR and has no deposit to spend.", {
      advice: "Get some MOR into the wallet, or make a deposit and raise the debit ceiling.",
    });
  }
}

function wishedDigest(state: RouterState, model: string, pinned: Hex): Hex {
  const handle = parseHandle(model);
  const name = `${handle.builder}/${handle.name}`;
  if (pinned === zeroBytes32) {
    const digest = taggedDigest(state, `${name}:${handle.tag}`);
    if (digest === undefined) throw modelUnknown(model);
    return digest;
  }
  if (!state.versions.has(`${name}@${pinned}`)) throw modelUnknown(model);
  return pinned;
}

function countUsed(state: RouterState, key: string): number {
  let used = 0;
  for (const session of state.sessions.values()) {
    if (session.offerKey === key && session.phase !== "closing") used += 1;
  }
  for (const pending of state.pending.values()) if (pending.asked?.key === key) used += 1;
  return used;
}

/** A Provider that was not heard of for too long: its Sessions end, its Offers rest. */
export function silenceProvider(
  state: RouterState,
  event: EventOf<"provider-silent">,
  out: Outcome,
): void {
  const provider = state.providers.get(event.provider);
  if (provider === undefined || provider.silent) return;
  out.changed = true;
  provider.silent = true;
  blameGone(state, provider.sessions, out);
  const how = { at: event.at, party: "router", reason: "provider-gone" } as const;
  endSessionsOf(state, provider.sessions, how, out);
}

function expired(what: string): LakeError {
  return new LakeError("message-expired", `This ${what} has expired.`, {
    advice: "Sign a new one; check that the clock is right.",
  });
}

function suspended(state: RouterState, account: Address): LakeError {
  const until = state.conducts.get(account)?.suspendedUntil ?? 0;
  return new LakeError("party-suspended", `This party is suspended until epoch ${until}.`, {
    advice: "GET /v1/conduct/<account> says why; show evidence against it, or wait.",
  });
}

function revoked(): LakeError {
  return new LakeError("delegation-revoked", "This Delegation was revoked by its wallet.", {
    advice: "Sign a new Delegation with a higher nonce.",
  });
}

function modelUnknown(model: string): LakeError {
  return new LakeError("model-unknown", `No model '${model}' is published.`, {
    advice: "Check the name; published models are listed in the Model Registry.",
  });
}
