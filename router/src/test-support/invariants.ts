import { type Address, allowanceDown, pricePerSecond } from "@lake-travis/protocol";
import { balanceAtStart } from "../core/money.ts";
import type { Ledger, RouterState } from "../core/state.ts";

/**
 * The sentences about money and slots that hold after every event; each that does not is returned.
 * The tests check them after each step, the torture after each recovery.
 */
export function brokenInvariants(state: RouterState): string[] {
  return [
    ...brokenPurses(state),
    ...brokenSlots(state),
    ...brokenLedgers(state),
    ...brokenDebits(state),
  ];
}

function brokenPurses(state: RouterState): string[] {
  const broken: string[] = [];
  const held = heldByUser(state);
  for (const [account, user] of state.users) {
    const own = held.get(account) ?? { allowance: 0n, deposit: 0n };
    if (user.depositReserved !== own.deposit) broken.push(`${account} reserves other deposits`);
    const balance = depositsOf(state, account);
    if (own.deposit + user.debited > balance) broken.push(`${account} reserves beyond deposits`);
    const debited = user.debited + own.deposit;
    const ceiling = user.delegation?.debitCeiling ?? debited;
    if (debited > ceiling) broken.push(`${account} spends beyond its debit ceiling`);
    if (user.epoch !== state.openEpoch) continue;
    if (user.allowanceReserved !== own.allowance) broken.push(`${account} reserves otherwise`);
    const whole = allowanceDown({
      budget: state.budget,
      balance: balanceAtStart(state, account),
      supply: state.supplyAtStart,
    });
    if (user.allowanceReserved + user.allowanceSpent > whole) {
      broken.push(`${account} uses more than its allowance`);
    }
  }
  return broken;
}

function heldByUser(state: RouterState): Map<Address, { allowance: bigint; deposit: bigint }> {
  const held = new Map<Address, { allowance: bigint; deposit: bigint }>();
  const holds = [
    ...[...state.sessions.values()].map(({ user, hold }) => ({ user, hold })),
    ...[...state.pending.values()].flatMap(({ user, asked }) => {
      return asked === null ? [] : [{ user, hold: asked.hold }];
    }),
  ];
  for (const { user, hold } of holds) {
    const sum = held.get(user) ?? { allowance: 0n, deposit: 0n };
    const current = hold.epoch === state.openEpoch;
    held.set(user, {
      allowance: sum.allowance + (current ? hold.allowance : 0n),
      deposit: sum.deposit + hold.deposit,
    });
  }
  return held;
}

function depositsOf(state: RouterState, account: Address): bigint {
  return (state.depositsOf.get(account) ?? []).reduce(
    (sum, number) => sum + (state.deposits[number]?.balance ?? 0n),
    0n,
  );
}

function brokenSlots(state: RouterState): string[] {
  const used = new Map<string, number>();
  const count = (key: string): void => {
    used.set(key, (used.get(key) ?? 0) + 1);
  };
  for (const { phase, offerKey } of state.sessions.values()) {
    if (phase !== "closing") count(offerKey);
  }
  for (const { asked } of state.pending.values()) if (asked !== null) count(asked.key);
  return [...state.offers].flatMap(([key, offer]) => {
    return offer.used === (used.get(key) ?? 0) ? [] : [`${key} counts its slots wrongly`];
  });
}

/** Each Record's charge is divided from two sources among four payees and the Router. */
function roundings(ledger: Ledger): bigint {
  return BigInt(ledger.records.length) * 12n;
}

function brokenLedgers(state: RouterState): string[] {
  const open = new Map<number, number>();
  for (const { ticket } of state.sessions.values()) {
    open.set(ticket.epoch, (open.get(ticket.epoch) ?? 0) + 1);
  }
  return [...state.ledgers].flatMap(([epoch, ledger]) => {
    const { allowanceCredits, paidCredits, modelEmission, agentEmission } = ledger;
    const credits = [...ledger.credits.values()].reduce((sum, wei) => sum + wei, 0n);
    const sources = allowanceCredits + paidCredits + modelEmission + agentEmission;
    const { budget } = state.reports.get(epoch) ?? { budget: 0n };
    const beyond = ledger.allowanceCharged > budget;
    const always = [
      ...(ledger.open === (open.get(epoch) ?? 0) ? [] : [`epoch ${epoch} counts Sessions wrongly`]),
      ...(credits === sources ? [] : [`epoch ${epoch} credits what has no source`]),
      ...(paidCredits <= ledger.debitTotal ? [] : [`epoch ${epoch} credits undebited wei`]),
      ...(beyond ? [`epoch ${epoch} charges allowances beyond its budget`] : []),
    ];
    // After its verdicts, or with Records on the disk, a ledger is not the sum of what is here.
    if (ledger.judged || ledger.spilled.count > 0) return always;
    const charged = ledger.records.reduce((sum, { record }) => {
      const payees = record.payees.map(({ account, kind, weiPerSecond }) => {
        return { account, kind, weiPerSecond: BigInt(weiPerSecond) };
      });
      return sum + pricePerSecond(payees) * BigInt(record.seconds);
    }, 0n);
    return [
      ...always,
      ...(allowanceCredits + paidCredits <= charged
        ? []
        : [`epoch ${epoch} credits uncharged wei`]),
      ...((allowanceCredits + paidCredits + roundings(ledger)) * 1000n >= charged * 995n
        ? []
        : [`epoch ${epoch} charged what nobody was credited`]),
    ];
  });
}

/** What a deposit was debited is settled, in a ledger, or held for a verdict: nowhere else. */
function brokenDebits(state: RouterState): string[] {
  const sums = new Map<number, bigint>(state.settled.debits);
  const add = (number: number, wei: bigint): void => {
    sums.set(number, (sums.get(number) ?? 0n) + wei);
  };
  for (const ledger of state.ledgers.values()) {
    for (const [number, wei] of ledger.debits) add(number, wei);
  }
  for (const { money } of state.held.values()) {
    for (const { number, wei } of money.debits) add(number, wei);
  }
  const debited = state.deposits.reduce((sum, deposit) => sum + deposit.debited, 0n);
  const spent = [...state.users.values()].reduce((sum, user) => sum + user.debited, 0n);
  return [
    ...state.deposits.flatMap((deposit, number) => {
      return deposit.debited === (sums.get(number) ?? 0n) ? [] : [`deposit ${number} lost wei`];
    }),
    ...(debited === spent ? [] : ["Users and deposits disagree on what was debited"]),
  ];
}
