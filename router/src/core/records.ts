import {
  type Hex,
  fromHex,
  keccak256,
  payeeKinds,
  pricePerSecond,
  type SessionRecord,
  toHex,
} from "@lake-travis/protocol";
import type { RouterState, Session } from "./state.ts";

const minuteMs = 60_000;

/** What the public will see of a Session that has ended. */
export function recordOf(
  state: RouterState,
  session: Session,
  cost: {
    readonly seconds: number;
    readonly fromAllowance: bigint;
    readonly fromDeposit: bigint;
  },
): SessionRecord {
  const { ticket, tick } = session;
  const builders = ticket.payees.filter(({ kind }) => kind !== payeeKinds.provider);
  const both = cost.fromAllowance > 0n && cost.fromDeposit > 0n;
  return {
    sessionId: session.id,
    epoch: ticket.epoch,
    model: session.model,
    manifestDigest: ticket.manifestDigest,
    provider: ticket.provider,
    builder: builders[0]?.account ?? null,
    payees: ticket.payees.map(({ account, kind, weiPerSecond }) => {
      return { account, kind, weiPerSecond: weiPerSecond.toString() };
    }),
    router: ticket.router,
    user: pseudonymOf(state, session),
    openedAt: Math.floor(ticket.openedAt / minuteMs) * minuteMs,
    seconds: cost.seconds,
    tokens: tick?.tokens ?? 0,
    requestsAnswered: tick?.requestsAnswered ?? 0,
    requestsFailed: tick?.requestsFailed ?? 0,
    ttftMs: tick?.ttftMs ?? 0,
    milliTps: tick === null ? 0 : speedOf(tick.tokens, tick.activeMs),
    offeredMilliTps: session.offeredMilliTps,
    weiPerSecond: (ticket.payees[0]?.weiPerSecond ?? 0n).toString(),
    builderWeiPerSecond: pricePerSecond(builders).toString(),
    fundedBy: both ? "both" : cost.fromDeposit > 0n ? "deposit" : "allowance",
    endedBy: session.endedBy,
    endReason: session.endReason,
    hardwareClass: session.hardwareClass,
    challengesAsked: session.challengesAsked,
    challengesPassed: session.challengesPassed,
    signatures: {
      user: session.signature,
      provider: session.countersignature,
      tickSeconds: tick?.seconds ?? 0,
      activeMs: tick?.activeMs ?? 0,
    },
  };
}

/** Thousandths of a token per second. */
function speedOf(tokens: number, activeMs: number): number {
  return activeMs === 0 ? 0 : Math.floor((tokens * 1_000_000) / activeMs);
}

/**
 * The User's name of one epoch: the hash of a key and the epoch, so that epochs do not link. The
 * key is the one that the Delegation commits to; a User who gave none gets one of the Router's.
 */
function pseudonymOf(state: RouterState, session: Session): Hex {
  const { pseudonymKey } = state.users.get(session.user) ?? {};
  const bytes = new Uint8Array(96);
  bytes.set(fromHex(pseudonymKey ?? state.secret), 0);
  if (pseudonymKey == null) bytes.set(fromHex(session.user), 44);
  const length = pseudonymKey == null ? 96 : 64;
  new DataView(bytes.buffer).setBigUint64(length - 8, BigInt(session.ticket.epoch));
  return toHex(keccak256(bytes.subarray(0, length)));
}
