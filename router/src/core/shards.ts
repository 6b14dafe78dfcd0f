/*
 * Several Router processes of one account, each with the Users that are its own
 * (docs/decisions/router-shards.md). Money is the Users', so each shard reserves and charges
 * alone; what its Sessions moved it hands over to shard 0 once their epoch is over, which judges
 * and settles for all. Each hand-over may come again: what is known already changes nothing.
 */
import { type Address, LakeError } from "@lake-travis/protocol";
import type { RouterEvent } from "./events.ts";
import { keepRecord, moveMoney, payeesIn } from "./ledgers.ts";
import { refund, userOf } from "./money.ts";
import type { Outcome } from "./outcome.ts";
import { ledgerOf } from "./settling.ts";
import { shardOf } from "./shard-of.ts";
import type { DepositState, EndedRecord, Ledger, RouterState } from "./state.ts";

type EventOf<T extends RouterEvent["type"]> = Extract<RouterEvent, { type: T }>;

/** At shard 0: a part of what another shard's Sessions of an epoch moved; throws to get it anew. */
export function takeReport(
  state: RouterState,
  event: EventOf<"shard-reported">,
  out: Outcome,
): void {
  const { shard, epoch, from, ended, demand, isLast } = event;
  if (epoch <= (state.sealed.get(shard) ?? -1)) return;
  const key = `${shard} ${epoch}`;
  const known = state.handedOver.get(key);
  if (known !== undefined && from + ended.length <= known && !isLast) return;
  requireNext(state, event, known ?? 0);
  out.changed = true;
  const ledger = ledgerOf(state, epoch);
  if (known === undefined) ledger.demand = [...ledger.demand, ...demand];
  const news = ended.slice((known ?? 0) - from);
  for (const each of news) takeEnded(state, ledger, each);
  state.handedOver.set(key, Math.max(known ?? 0, from + ended.length));
  if (!isLast) return;
  state.sealed.set(shard, epoch);
  for (const name of [...state.handedOver.keys()]) {
    const [of, number] = name.split(" ").map(Number) as [number, number];
    if (of === shard && number <= epoch) state.handedOver.delete(name);
  }
}

/** At another shard: what shard 0 has on its disk is not needed here any more. */
export function forgetReported(
  state: RouterState,
  event: EventOf<"shard-sealed">,
  out: Outcome,
): void {
  if (event.epoch <= state.sealedEpoch) return;
  out.changed = true;
  state.sealedEpoch = event.epoch;
  for (const epoch of [...state.ledgers.keys()]) {
    if (epoch <= event.epoch) state.ledgers.delete(epoch);
  }
}

/** At another shard: what shard 0's verdicts mean for the Users here. */
export function hearVerdicts(
  state: RouterState,
  event: EventOf<"verdicts-heard">,
  out: Outcome,
): void {
  out.changed = true;
  state.judgedEpoch = event.judgedEpoch;
  state.priceCaps = new Map(event.priceCaps);
  state.heldElsewhere = new Set(event.held);
  for (const [number, cumulative] of event.refunded) {
    const wei = cumulative - (state.refunded.get(number) ?? 0n);
    const owner = state.deposits[number]?.owner;
    if (wei <= 0n || owner === undefined) continue;
    if (!isOwnUser(state, owner)) continue;
    refund(state, owner, [{ number, wei }]);
    state.refunded.set(number, cumulative);
  }
  for (const sessionId of event.upheld) {
    const ended = state.ended.get(sessionId);
    if (ended === undefined) continue;
    state.ended.set(sessionId, { ...ended, chargedSeconds: 0, charge: 0n });
  }
  for (const [account, conduct] of event.conducts) state.conducts.set(account, conduct);
}

/** Whether a User's Sessions are this shard's. Reads only. */
export function isOwnUser({ shard }: RouterState, user: Address): boolean {
  return shard.count === 1 || shardOf(user, shard.count) === shard.index;
}

function takeEnded(state: RouterState, ledger: Ledger, ended: EndedRecord): void {
  const { money } = ended;
  moveMoney(ledger, { ...ended, payees: payeesIn(ended), router: state.router }, 1n);
  keepRecord(state, ledger, ended);
  // So that a verdict can give it back here as where it was charged.
  const user = userOf(state, money.user);
  for (const { number, wei } of money.debits) {
    (state.deposits[number] as DepositState).debited += wei;
    user.debited += wei;
  }
}

function requireNext(state: RouterState, event: EventOf<"shard-reported">, known: number): void {
  const { shard, from, ended } = event;
  const debits = ended.flatMap(({ money }) => money.debits);
  const isChainKnown = debits.every(({ number }) => state.deposits[number] !== undefined);
  const isShard = shard > 0 && shard < state.shard.count && state.shard.index === 0;
  if (isShard && isChainKnown && from <= known) return;
  throw new LakeError("sequence-stale", "This report does not follow the last one of its shard.");
}
