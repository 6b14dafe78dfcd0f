/*
 * Which price wins which share of a model's Sessions. The Router's rule is public: the cheapest
 * Offer that fits is taken until its slots are full, then the next. So at a price p we get what
 * does not fit into the slots of everybody who is cheaper, up to our own slots.
 */

/** Somebody else's Offer for the same model. */
export interface Rival {
  /** Its own part of the price; the Builder's is the same for everyone. */
  readonly weiPerSecond: bigint;
  readonly slots: number;
  readonly usedSlots: number;
}

/** What is known when a price is chosen. */
export interface PriceQuestion {
  readonly rivals: readonly Rival[];
  readonly ownSlots: number;
  readonly ownUsedSlots: number;
  /** The owner's own price: what is asked where there is nobody to compare with. */
  readonly price: bigint;
  readonly floor: bigint;
  readonly sharePercent: number;
}

/** A price with what it is expected to win. */
export interface PriceAnswer {
  readonly weiPerSecond: bigint;
  readonly sharePercent: number;
  readonly reason: string;
}

/** The share in percent of today's Sessions that a price would win. */
export function expectedShare(weiPerSecond: bigint, question: PriceQuestion): number {
  const { rivals, ownSlots } = question;
  const demand = openSessions(question);
  // An equal price may lose the lot, so it counts as lost.
  const before = rivals
    .filter((rival) => rival.weiPerSecond <= weiPerSecond)
    .reduce((sum, { slots }) => sum + slots, 0);
  const won = Math.min(ownSlots, Math.max(0, demand - before));
  return Math.floor((won * 100) / demand);
}

/**
 * The highest price that is expected to win the wanted share, never below the floor; where no
 * allowed price wins so much, the highest one that wins as much as any.
 */
export function priceToWin(question: PriceQuestion): PriceAnswer {
  const { rivals, floor, price, sharePercent } = question;
  if (rivals.length === 0) {
    const weiPerSecond = price > floor ? price : floor;
    return { weiPerSecond, sharePercent: 100, reason: "nobody else offers it" };
  }
  const below = rivals.map(({ weiPerSecond }) => weiPerSecond - 1n);
  const allowed = [...below, price, floor].filter((candidate) => candidate >= floor);
  const candidates = [...new Set(allowed)]
    .sort((a, b) => (a > b ? -1 : 1))
    .map((weiPerSecond) => ({ weiPerSecond, share: expectedShare(weiPerSecond, question) }));
  const enough = candidates.find(({ share }) => share >= sharePercent);
  if (enough !== undefined) {
    const reason = `the highest price that wins ${sharePercent}% or more`;
    return { weiPerSecond: enough.weiPerSecond, sharePercent: enough.share, reason };
  }
  const most = Math.max(...candidates.map(({ share }) => share));
  if (most === 0) {
    const reason = "rivals below the floor have room for every Session";
    return { weiPerSecond: floor, sharePercent: 0, reason };
  }
  const best = candidates.find(({ share }) => share === most);
  const reason = `no price from the floor on wins ${sharePercent}%; this wins the most`;
  return { weiPerSecond: best?.weiPerSecond ?? floor, sharePercent: most, reason };
}

// A market where nobody is served now is judged by its next Session.
function openSessions({ rivals, ownUsedSlots }: PriceQuestion): number {
  const used = rivals.reduce((sum, { usedSlots }) => sum + usedSlots, ownUsedSlots);
  return Math.max(1, used);
}
