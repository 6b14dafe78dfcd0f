/* One answer of several shards' answers. The shards are this Router's, so these are its forms. */
import type { HeartbeatReply, RouterStatus } from "@lake-travis/protocol";

interface ListedOffers {
  readonly offers: readonly {
    readonly offer: { readonly message: { readonly slots: number } };
    readonly offerHash: string;
    readonly freeSlots: number;
  }[];
}

interface Health {
  readonly ready: boolean;
  readonly epoch: number;
  readonly projection: "up" | "down";
}

/** What a Provider is told: everything of all shards, but only the Offers that all of them hold. */
export function mergeReplies(answers: readonly unknown[]): HeartbeatReply {
  const replies = answers as readonly HeartbeatReply[];
  const [first] = replies;
  return {
    ended: replies.flatMap(({ ended }) => ended),
    successors: replies.flatMap(({ successors }) => successors),
    notices: replies.flatMap(({ notices }) => notices),
    challenges: replies.flatMap(({ challenges }) => challenges),
    offers: (first?.offers ?? []).filter((hash) =>
      replies.every(({ offers }) => offers.includes(hash)),
    ),
  };
}

/** An Offer's free slots are what the Sessions of no shard take. */
export function mergeOffers(answers: readonly unknown[]): ListedOffers {
  const lists = answers as readonly ListedOffers[];
  const taken = new Map<string, number>();
  for (const { offers } of lists) {
    for (const { offer, offerHash, freeSlots } of offers) {
      const used = offer.message.slots - freeSlots;
      taken.set(offerHash, (taken.get(offerHash) ?? 0) + used);
    }
  }
  const offers = (lists[0]?.offers ?? []).map((each) => {
    const free = each.offer.message.slots - (taken.get(each.offerHash) ?? 0);
    return { ...each, freeSlots: Math.max(0, free) };
  });
  return { offers };
}

/** Shard 0's status with the Sessions and RFCs of all; the epoch is the one that all are in. */
export function mergeStatus(answers: readonly unknown[]): RouterStatus {
  const all = answers as readonly RouterStatus[];
  const behind = all.reduce((least, each) => (each.epoch < least.epoch ? each : least));
  const sum = (count: (each: RouterStatus) => number): number =>
    all.reduce((total, each) => total + count(each), 0);
  return {
    ...behind,
    openSessions: sum(({ openSessions }) => openSessions),
    queuedRfcs: sum(({ queuedRfcs }) => queuedRfcs),
  };
}

/** Ready once every shard is. */
export function mergeHealth(answers: readonly unknown[]): Health {
  const all = answers as readonly Health[];
  return {
    ready: all.every(({ ready }) => ready),
    epoch: Math.min(...all.map(({ epoch }) => epoch)),
    projection: all.every(({ projection }) => projection === "up") ? "up" : "down",
  };
}
