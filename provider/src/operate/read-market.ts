import {
  type Address,
  LakeError,
  type ListedOffer,
  offerType,
  routerPaths,
  signedFromJson,
} from "@lake-travis/protocol";
import type { HttpClient } from "@lake-travis/platform";
import { operateLimits } from "./limits.ts";
import type { Rival } from "./price-to-win.ts";

/** A model's Offers at a Router, ours apart. */
export interface ModelMarket {
  readonly model: string;
  readonly rivals: readonly Rival[];
  readonly ownUsedSlots: number;
}

/** Every Offer that a Router lists, or those of one model; throws `router-unreachable`. */
export async function readOffers(
  http: HttpClient,
  routerUrl: string,
  model?: string,
): Promise<readonly ListedOffer[]> {
  const query = model === undefined ? "" : `?model=${encodeURIComponent(model)}`;
  const timeoutMs = operateLimits.routerMs;
  const url = routerUrl + routerPaths.offers + query;
  const json = await http.json("GET", url, undefined, { timeoutMs });
  const { offers } = (json ?? {}) as { offers?: unknown };
  if (!Array.isArray(offers)) {
    throw new LakeError("router-unreachable", `${routerUrl} does not list Offers.`);
  }
  return offers.map((listed: Omit<ListedOffer, "offer"> & { readonly offer: unknown }) => {
    return { ...listed, offer: signedFromJson(offerType, listed.offer) };
  });
}

/** What others ask for a model; `account` is ours. */
export function marketOf(
  offers: readonly ListedOffer[],
  model: string,
  account: Address,
): ModelMarket {
  const rivals: Rival[] = [];
  let ownUsedSlots = 0;
  for (const { offer, freeSlots } of offers) {
    const { message } = offer;
    if (message.model !== model || message.slots === 0) continue;
    const { slots, weiPerSecond } = message;
    const usedSlots = Math.max(0, slots - freeSlots);
    if (message.provider === account) ownUsedSlots += usedSlots;
    else rivals.push({ weiPerSecond, slots, usedSlots });
  }
  return { model, rivals, ownUsedSlots };
}
