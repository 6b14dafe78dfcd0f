import {
  type Clock,
  formatHandle,
  formatMor,
  type ListedOffer,
  parseHandle,
} from "@lake-travis/protocol";
import { clientLimits } from "../limits.ts";
import type { Wish } from "../open-by-name.ts";

/** What the network offers now, as the Router last said. */
export interface OfferBoard {
  /** The Offers, at most {@link clientLimits.offersMsMax} old. */
  read(): Promise<readonly ListedOffer[]>;
  /** The Offer that a wish will most likely get, from what is known without asking. */
  likely(wish: Wish): ListedOffer | undefined;
}

/** Makes a board that asks `offers` when what it knows is too old. */
export function createOfferBoard(
  offers: () => Promise<readonly ListedOffer[]>,
  clock: Clock,
): OfferBoard {
  let known: readonly ListedOffer[] = [];
  let readAt = -Infinity;
  let reading: Promise<readonly ListedOffer[]> | undefined;
  const refresh = async (): Promise<readonly ListedOffer[]> => {
    try {
      known = await offers();
      readAt = clock.now();
      return known;
    } finally {
      reading = undefined;
    }
  };
  return {
    read: () => {
      if (clock.now() < readAt + clientLimits.offersMsMax) return Promise.resolve(known);
      return (reading ??= refresh());
    },
    likely: (wish) => {
      const model = formatHandle(parseHandle(wish.model));
      const { ignore = [], only } = wish.routing ?? {};
      const fit = known.filter(({ freeSlots, offer: { message }, totalWeiPerSecond }) => {
        const isAllowed = only?.includes(message.provider) ?? !ignore.includes(message.provider);
        const isCheap = BigInt(totalWeiPerSecond) <= wish.maxWeiPerSecond;
        return message.model === model && isAllowed && isCheap && freeSlots > 0;
      });
      return fit.sort(byPrice)[0];
    },
  };
}

/** The board as OpenAI's list of models, with what a User wants to know before choosing. */
export function modelListOf(offers: readonly ListedOffer[]): readonly ListedModel[] {
  const byModel = Map.groupBy(offers, ({ offer }) => offer.message.model);
  return [...byModel].map(([model, all]) => {
    const handle = parseHandle(model);
    const id = handle.tag === "latest" ? `${handle.builder}/${handle.name}` : formatHandle(handle);
    const sorted = [...all].sort(byPrice);
    const cheapest = BigInt(sorted[0]?.totalWeiPerSecond ?? 0);
    const tps = Math.max(...all.map(({ offer }) => offer.message.milliTps)) / 1000;
    return {
      id,
      object: "model",
      created: 0,
      owned_by: handle.builder,
      lake: {
        providers: all.length,
        mor_per_hour: formatMor(cheapest * 3600n),
        wei_per_second: cheapest.toString(),
        tokens_per_second: tps,
        free_slots: all.reduce((sum, { freeSlots }) => sum + freeSlots, 0),
        offers: sorted.map(({ freeSlots, offer: { message }, totalWeiPerSecond }) => ({
          provider: message.provider,
          mor_per_hour: formatMor(BigInt(totalWeiPerSecond) * 3600n),
          wei_per_second: totalWeiPerSecond,
          tokens_per_second: message.milliTps / 1000,
          min_seconds: message.minSeconds,
          slots: message.slots,
          free_slots: freeSlots,
          engine: message.engineClass,
          hardware: message.hardwareClass,
        })),
      },
    };
  });
}

/** A model as `/v1/models` lists it; prices are whole prices, Provider and Builders. */
export interface ListedModel {
  readonly id: string;
  readonly object: "model";
  readonly created: number;
  readonly owned_by: string;
  readonly lake: Readonly<Record<string, unknown>>;
}

function byPrice(a: ListedOffer, b: ListedOffer): number {
  const [x, y] = [BigInt(a.totalWeiPerSecond), BigInt(b.totalWeiPerSecond)];
  return x < y ? -1 : Number(x > y);
}
