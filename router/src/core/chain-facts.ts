import {
  type Address,
  type ChainBlock,
  type ChainEvent,
  epochAt,
  type Hex,
} from "@lake-travis/protocol";
import { endSessionsOf } from "./closing.ts";
import { userOf } from "./money.ts";
import type { Outcome } from "./outcome.ts";
import { settlementFinal, settlementPosted, settlementVoid } from "./settling.ts";
import type { NameState, RouterState } from "./state.ts";

/** Takes in blocks, in order. Those at or below the newest known one are skipped. */
export function followBlocks(
  state: RouterState,
  blocks: readonly ChainBlock[],
  out: Outcome,
): void {
  for (const block of blocks) {
    if (block.number <= state.blockNumber) continue;
    const epoch = Math.max(-1, epochAt(state.schedule, block.timestampMs));
    // A block that brings nothing is not remembered: to see it again after a restart is harmless.
    if (block.events.length === 0 && epoch <= state.epoch) continue;
    out.changed = true;
    state.blockNumber = block.number;
    for (const event of block.events) applyFact(state, event, block.timestampMs, out);
    if (epoch > state.epoch) beginChainEpoch(state, epoch, out);
  }
}

/**
 * What the account's balances were after the epoch's first block is what its allowances rest on.
 */
function beginChainEpoch(state: RouterState, epoch: number, out: Outcome): void {
  state.epoch = epoch;
  state.balancesAtStart = new Map();
  state.supplyAtStart = state.supply;
  out.effects.push({ type: "epoch-advanced", epoch });
}

function applyFact(state: RouterState, fact: ChainEvent, at: number, out: Outcome): void {
  switch (fact.type) {
    case "mor-transferred":
      moveMor(state, fact.from, -fact.wei);
      moveMor(state, fact.to, fact.wei);
      break;
    case "deposit-changed":
      changeDeposit(state, fact);
      break;
    case "deposit-collected": {
      const deposit = state.deposits[Number(fact.number)];
      if (deposit !== undefined) deposit.collected = fact.collected;
      break;
    }
    case "deposit-demanded":
      state.demands.set(Number(fact.number), fact.hash);
      out.effects.push({ type: fact.type, number: Number(fact.number) });
      break;
    case "demand-answered":
      state.demands.delete(Number(fact.number));
      out.effects.push({ type: fact.type, number: Number(fact.number) });
      break;
    case "withdrawal-announced":
      announceWithdrawal(state, fact);
      break;
    case "node-registered":
      state.nodes.set(fact.account, { kind: fact.kind, signingKey: fact.signingKey });
      break;
    case "node-left":
      state.nodes.delete(fact.account);
      break;
    case "signing-key-rotated": {
      const node = state.nodes.get(fact.account);
      if (node !== undefined) node.signingKey = fact.signingKey;
      break;
    }
    case "delegations-revoked":
      revokeBelow(state, { user: fact.user, below: fact.below, at }, out);
      break;
    case "settlement-posted":
      settlementPosted(state, fact.hash);
      break;
    case "settlement-final":
      dropDemands(state, fact.hash);
      settlementFinal(state, fact.hash, out);
      break;
    case "settlement-void":
      dropDemands(state, fact.hash);
      settlementVoid(state, fact.hash, out);
      break;
    default:
      applyModelFact(state, fact);
  }
}

/** Nobody can answer any more once a settlement is final or void. */
function dropDemands(state: RouterState, hash: Hex): void {
  for (const [number, demanded] of state.demands) {
    if (demanded === hash) state.demands.delete(number);
  }
}

/** Takes back every Delegation of the user below a nonce, and closes what runs under one. */
export function revokeBelow(
  state: RouterState,
  revoked: { readonly user: Address; readonly below: number; readonly at: number },
  out: Outcome,
): void {
  const user = userOf(state, revoked.user);
  user.revokedBelow = Math.max(user.revokedBelow, revoked.below);
  if (user.delegation === null || user.delegation.nonce >= user.revokedBelow) return;
  endSessionsOf(state, user.sessions, { at: revoked.at, party: "user", reason: "revoked" }, out);
}

function applyModelFact(
  state: RouterState,
  fact: Extract<
    ChainEvent,
    { type: "model-published" | "tag-moved" | "builder-changed" | "builder-price-changed" }
  >,
): void {
  const name = nameOf(state, fact.name);
  switch (fact.type) {
    case "model-published": {
      name.builder = fact.builder;
      const { kind, baseDigest, manifestDigest } = fact;
      state.versions.set(`${fact.name}@${manifestDigest}`, { kind, baseDigest });
      if (!state.firstNames.has(manifestDigest)) {
        state.firstNames.set(manifestDigest, fact.name);
      }
      break;
    }
    case "tag-moved":
      state.tags.set(`${fact.name}:${fact.tag}`, fact.manifestDigest);
      break;
    case "builder-changed":
      name.builder = fact.builder;
      break;
    case "builder-price-changed": {
      const { fromEpoch, weiPerSecond } = fact;
      const kept = name.prices.filter((price) => price.fromEpoch < fromEpoch);
      // The last but one may still be in force in this epoch; older ones never again.
      name.prices = [...kept.slice(-2), { fromEpoch, weiPerSecond }];
      break;
    }
  }
}

function nameOf(state: RouterState, name: string): NameState {
  const known = state.names.get(name);
  if (known !== undefined) return known;
  const made: NameState = { builder: nobody, prices: [] };
  state.names.set(name, made);
  return made;
}

const nobody: Address = `0x${"0".repeat(40)}`;

function moveMor(state: RouterState, account: Address, wei: bigint): void {
  if (account === nobody) {
    // Minted from, or burnt to, the zero address.
    state.supply -= wei;
    return;
  }
  const before = state.balances.get(account) ?? 0n;
  if (!state.balancesAtStart.has(account)) state.balancesAtStart.set(account, before);
  const after = before + wei;
  if (after === 0n) state.balances.delete(account);
  else state.balances.set(account, after);
}

function changeDeposit(
  state: RouterState,
  fact: Extract<ChainEvent, { type: "deposit-changed" }>,
): void {
  const number = Number(fact.number);
  const known = state.deposits[number];
  if (known === undefined) {
    // The contract numbers deposits densely from 0, so the new one is the next.
    const { owner, balance } = fact;
    const rest = { withdrawing: 0n, withdrawingFrom: 0, paidByHatch: 0n };
    state.deposits[number] = { owner, balance, debited: 0n, collected: 0n, ...rest };
    const numbers = state.depositsOf.get(owner) ?? [];
    state.depositsOf.set(owner, [...numbers, number]);
    return;
  }
  const paidOut = known.balance - fact.balance;
  known.balance = fact.balance;
  known.paidByHatch += fact.paidByHatch ?? 0n;
  if (paidOut <= 0n) return;
  known.withdrawing = known.withdrawing > paidOut ? known.withdrawing - paidOut : 0n;
}

function announceWithdrawal(
  state: RouterState,
  fact: Extract<ChainEvent, { type: "withdrawal-announced" }>,
): void {
  const deposit = state.deposits[Number(fact.number)];
  if (deposit === undefined) return;
  deposit.withdrawing = fact.wei;
  deposit.withdrawingFrom = state.epoch + 1;
}
