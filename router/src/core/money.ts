import {
  type Address,
  allowanceDown,
  allowanceWeiPerSecondMax,
  type Delegation,
  epochAt,
  epochStartMs,
  limits,
  type Payee,
  pricePerSecond,
  type Signed,
} from "@lake-travis/protocol";
import { coreLimits } from "./core-limits.ts";
import type { DepositState, Hold, RouterState, UserState } from "./state.ts";

/** What a User may still spend in the open epoch, in wei. */
export interface Purse {
  readonly allowance: bigint;
  readonly deposit: bigint;
  /** Left of the Delegation's epochLimit, which bounds both together. */
  readonly epochLeft: bigint;
}

/** Money for a Session and how long it lasts. */
export interface Funded {
  readonly hold: Hold;
  readonly seconds: number;
  readonly boundBy: "wish" | "money" | "epoch";
}

/** The User's state, made where it is new. */
export function userOf(state: RouterState, account: Address): UserState {
  const known = state.users.get(account);
  if (known !== undefined) return known;
  const made: UserState = {
    delegation: null,
    delegationHash: null,
    delegationSignature: null,
    covers: noCovers,
    pseudonymKey: null,
    revokedBelow: 0,
    epoch: -1,
    allowanceReserved: 0n,
    allowanceSpent: 0n,
    epochReserved: 0n,
    epochSpent: 0n,
    lapses: 0,
    depositReserved: 0n,
    debited: 0n,
    failedBy: noProviders,
    sessions: new Set(),
    queued: 0,
  };
  state.users.set(account, made);
  return made;
}

/** One list for all Users who never spent from a deposit. */
const noCovers: readonly Signed<Delegation>[] = [];

/** One list for all Users whom nobody failed. */
const noProviders: readonly Address[] = [];

/** Remembers for the epoch that a Provider failed a User. */
export function noteFailedBy(state: RouterState, account: Address, provider: Address): void {
  const user = rolled(state, account);
  if (user.failedBy.includes(provider)) return;
  user.failedBy = [...user.failedBy, provider].slice(-coreLimits.failedByMax);
}

/** MOR held at the epoch's first block, in wei. */
export function balanceAtStart(state: RouterState, account: Address): bigint {
  return state.balancesAtStart.get(account) ?? state.balances.get(account) ?? 0n;
}

/** The smaller of the balances at the epoch's first block and now: a User's weight in the queue. */
export function weightOf(state: RouterState, account: Address): bigint {
  const start = balanceAtStart(state, account);
  const now = state.balances.get(account) ?? 0n;
  return now < start ? now : start;
}

/** What the User may still spend. Reads only. */
export function purseOf(state: RouterState, account: Address): Purse {
  const user = state.users.get(account);
  const whole = allowanceDown({
    budget: state.budget,
    balance: balanceAtStart(state, account),
    supply: state.supplyAtStart,
  });
  const current = user?.epoch === state.openEpoch ? user : undefined;
  const used = (current?.allowanceReserved ?? 0n) + (current?.allowanceSpent ?? 0n);
  const epochUsed = (current?.epochReserved ?? 0n) + (current?.epochSpent ?? 0n);
  return {
    allowance: atLeastZero(whole - used),
    deposit: depositLeft(state, account, user),
    epochLeft: atLeastZero((user?.delegation?.epochLimit ?? 0n) - epochUsed),
  };
}

/**
 * Money for as many seconds as the wish, the purse and the epoch allow; undefined where that is
 * less than `secondsMin`. Allowances pay only up to the price cap of DESIGN.md section 4.
 */
export function fundSession(
  state: RouterState,
  options: {
    readonly user: Address;
    readonly payees: readonly Payee[];
    /** Whether the allowance may pay this Provider at its price at all. */
    readonly allowancePays: boolean;
    readonly secondsWished: number;
    readonly secondsMin: number;
    readonly at: number;
  },
): Funded | undefined {
  const price = pricePerSecond(options.payees);
  const purse = purseOf(state, options.user);
  const allowed = options.allowancePays && price <= allowanceWeiPerSecondMax;
  const allowance = allowed ? purse.allowance : 0n;
  const both = allowance + purse.deposit;
  const most = both < purse.epochLeft ? both : purse.epochLeft;
  const epochEnd = epochStartMs(state.schedule, state.openEpoch + 1);
  const toEpochEnd = Math.max(0, Math.ceil((epochEnd - options.at) / 1000));
  const byEpoch = toEpochEnd + coreLimits.epochCutSlackSeconds;
  const wished = Math.min(options.secondsWished, limits.sessionSecondsMax);
  const byTime = Math.min(wished, byEpoch);
  const affordable = price === 0n ? BigInt(byTime) : most / price;
  const seconds = affordable < BigInt(byTime) ? Number(affordable) : byTime;
  if (seconds < Math.max(1, options.secondsMin)) return undefined;
  const cost = price * BigInt(seconds);
  const fromAllowance = cost < allowance ? cost : allowance;
  return {
    hold: { epoch: state.openEpoch, allowance: fromAllowance, deposit: cost - fromAllowance },
    seconds,
    boundBy: seconds < byTime ? "money" : wished <= byEpoch ? "wish" : "epoch",
  };
}

/** Sets money aside. What belongs to a past epoch burdens only the deposit. */
export function reserve(state: RouterState, account: Address, hold: Hold): void {
  const user = rolled(state, account);
  user.depositReserved += hold.deposit;
  if (hold.deposit > 0n) keepCover(state, user);
  if (hold.epoch !== user.epoch) return;
  user.allowanceReserved += hold.allowance;
  user.epochReserved += hold.allowance + hold.deposit;
}

/** Gives money back that was set aside. What belonged to a past epoch's allowance is void. */
export function release(state: RouterState, account: Address, hold: Hold): void {
  const user = rolled(state, account);
  user.depositReserved -= hold.deposit;
  if (hold.epoch !== user.epoch) return;
  user.allowanceReserved -= hold.allowance;
  user.epochReserved -= hold.allowance + hold.deposit;
}

/** Spends from what was set aside and given back just before. */
export function spend(
  state: RouterState,
  account: Address,
  funding: { readonly epoch: number; readonly fromAllowance: bigint; readonly fromDeposit: bigint },
): void {
  const user = rolled(state, account);
  user.debited += funding.fromDeposit;
  if (funding.epoch !== user.epoch) return;
  user.allowanceSpent += funding.fromAllowance;
  user.epochSpent += funding.fromAllowance + funding.fromDeposit;
}

/**
 * Debits the User's deposits, lowest number first, and tells which by how much. Nothing is refused
 * here: what is spent was reserved, and only owners who withdraw against the contract's rules could
 * make it fall short; what is missing then is nobody's credit.
 */
export function debitDeposits(
  state: RouterState,
  account: Address,
  wei: bigint,
): { readonly debits: readonly { readonly number: number; readonly wei: bigint }[] } {
  const debits: { number: number; wei: bigint }[] = [];
  let rest = wei;
  for (const number of state.depositsOf.get(account) ?? []) {
    const deposit = state.deposits[number] as DepositState;
    const free = atLeastZero(deposit.balance - deposit.debited);
    const part = rest < free ? rest : free;
    if (part === 0n) continue;
    deposit.debited += part;
    debits.push({ number, wei: part });
    rest -= part;
  }
  return { debits };
}

/** Takes back what a Session was debited, since it is not charged after all. */
export function refund(
  state: RouterState,
  account: Address,
  debits: readonly { readonly number: number; readonly wei: bigint }[],
): void {
  const user = userOf(state, account);
  for (const { number, wei } of debits) {
    const deposit = state.deposits[number] as DepositState;
    deposit.debited -= wei;
    user.debited -= wei;
  }
}

function depositLeft(state: RouterState, account: Address, user: UserState | undefined): bigint {
  const ceiling = user?.delegation?.debitCeiling ?? 0n;
  const reserved = user?.depositReserved ?? 0n;
  const numbers = state.depositsOf.get(account) ?? [];
  const paidByHatch = sumOf(numbers, (number) => state.deposits[number]?.paidByHatch ?? 0n);
  const underCeiling = atLeastZero(ceiling - (user?.debited ?? 0n) - paidByHatch - reserved);
  const held = numbers.reduce((sum, number) => {
    const deposit = state.deposits[number] as DepositState;
    const leaving = state.openEpoch >= deposit.withdrawingFrom ? deposit.withdrawing : 0n;
    return sum + atLeastZero(deposit.balance - deposit.debited - leaving);
  }, 0n);
  const free = atLeastZero(held - reserved);
  return free < underCeiling ? free : underCeiling;
}

/**
 * The Delegations that an answer to a demand may still need: those that end late enough for the
 * contract, and cover more than the final leaf (what is no more than that needs none). Reads only.
 */
export function neededCovers(
  state: RouterState,
  account: Address,
  user: UserState,
): readonly Signed<Delegation>[] {
  const numbers = state.depositsOf.get(account) ?? [];
  const final = sumOf(numbers, (number) => state.settled.debits.get(number) ?? 0n);
  return user.covers.filter(({ message: { debitCeiling, expiresAt } }) => {
    const end = epochAt(state.schedule, expiresAt) + coreLimits.coverLateEpochs;
    return debitCeiling > final && end >= state.finalEpoch;
  });
}

/** The newest Delegation joins those kept, in place of what it covers as well. */
export function keepCover(state: RouterState, user: UserState): void {
  const { delegation, delegationSignature: signature, covers } = user;
  if (delegation === null || signature === null) return;
  if (covers.at(-1)?.message.nonce === delegation.nonce) return;
  const others = coversBeside(state, user, delegation);
  user.covers = [...others, { message: delegation, signature }];
}

/** Those of them that a Delegation of the same User does not replace. Reads only. */
export function coversBeside(
  state: RouterState,
  user: UserState,
  { user: account, debitCeiling, expiresAt }: Delegation,
): readonly Signed<Delegation>[] {
  return neededCovers(state, account, user).filter(({ message }) => {
    return message.debitCeiling > debitCeiling || message.expiresAt > expiresAt;
  });
}

function sumOf(numbers: readonly number[], weiOf: (number: number) => bigint): bigint {
  return numbers.reduce((sum, number) => sum + weiOf(number), 0n);
}

/** The User with the figures of the open epoch. */
function rolled(state: RouterState, account: Address): UserState {
  const user = userOf(state, account);
  if (user.epoch !== state.openEpoch) {
    user.epoch = state.openEpoch;
    user.allowanceReserved = 0n;
    user.allowanceSpent = 0n;
    user.epochReserved = 0n;
    user.epochSpent = 0n;
    user.lapses = 0;
    user.failedBy = noProviders;
  }
  return user;
}

function atLeastZero(wei: bigint): bigint {
  return wei < 0n ? 0n : wei;
}
