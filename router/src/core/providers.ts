import type { Address, Offer } from "@lake-travis/protocol";
import type { Notice, ProviderState, RouterState } from "./state.ts";

/** Offers of one Provider for one version replace each other; slots are counted under this key. */
export function offerKeyOf(offer: Pick<Offer, "provider" | "manifestDigest">): string {
  return `${offer.provider}|${offer.manifestDigest}`;
}

/** The Provider's state, made where it is new. */
export function providerOf(state: RouterState, account: Address): ProviderState {
  const known = state.providers.get(account);
  if (known !== undefined) return known;
  const made: ProviderState = {
    silent: false,
    offers: new Set(),
    sessions: new Set(),
    notices: [],
    warnings: [],
    questions: [],
  };
  state.providers.set(account, made);
  return made;
}

/** Puts a slot of an Offer to use, or gives it back. */
export function changeUsed(state: RouterState, key: string, by: 1 | -1): void {
  const offer = state.offers.get(key);
  // An Offer withdrawn meanwhile has no slots to give back to.
  if (offer !== undefined) offer.used += by;
}

/** Leaves word for a Provider, for its next Heartbeats. */
export function notify(state: RouterState, account: Address, notice: Notice): void {
  providerOf(state, account).notices.push(notice);
}
