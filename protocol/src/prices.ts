import { type Payee, payeeKinds } from "./messages.ts";
import type { Address } from "./hex.ts";

/** The fee withheld from each charge, in parts of 200: one half is the Router's, one the pool's. */
export const feeHalfDivisor = 200n;

/** Builders' emission on allowance-paid time is a tenth of the charge. */
export const emissionDivisor = 10n;

/** One second's whole price in wei: the Provider and every payee. */
export function pricePerSecond(payees: readonly Payee[]): bigint {
  return payees.reduce((sum, payee) => sum + payee.weiPerSecond, 0n);
}

/** A MOR-per-hour price as exact wei per second, rounded down. `mor` is wei of MOR per hour. */
export function weiPerSecondDown(weiPerHour: bigint): bigint {
  return weiPerHour / 3600n;
}

/** What a Session's charge is paid from, in wei. */
export interface Funding {
  readonly fromAllowance: bigint;
  readonly fromDeposit: bigint;
}

/** The allowance pays first, the deposit what is beyond it. */
export function fundCharge(options: {
  readonly charge: bigint;
  readonly reservedAllowance: bigint;
}): Funding {
  const { charge, reservedAllowance } = options;
  const fromAllowance = charge < reservedAllowance ? charge : reservedAllowance;
  return { fromAllowance, fromDeposit: charge - fromAllowance };
}

/** Where the wei of one Session go. */
export interface Split {
  /** Credits by account; an account may appear more than once. */
  readonly credits: readonly { readonly account: Address; readonly wei: bigint }[];
  readonly allowanceCredits: bigint;
  readonly paidCredits: bigint;
  readonly modelEmission: bigint;
  readonly agentEmission: bigint;
  readonly debit: bigint;
}

/**
 * Divides a Session's funding among its payees, the Router and the pool (DESIGN.md section 4).
 * Each division rounds down, so the pool keeps what cannot be divided and nothing is invented.
 */
export function splitCharge(options: {
  readonly funding: Funding;
  readonly payees: readonly Payee[];
  readonly router: Address;
}): Split {
  const { funding, payees, router } = options;
  const allowance = creditSource(funding.fromAllowance, payees, router);
  const deposit = creditSource(funding.fromDeposit, payees, router);
  const emission = funding.fromAllowance / emissionDivisor;
  const emitted = payees.filter((payee) => payee.kind !== payeeKinds.provider && emission > 0n);
  const emittedTo = (kind: number): bigint =>
    emission * BigInt(emitted.filter((payee) => payee.kind === kind).length);
  return {
    credits: [
      ...allowance.credits,
      ...deposit.credits,
      ...emitted.map(({ account }) => ({ account, wei: emission })),
    ],
    allowanceCredits: allowance.total,
    paidCredits: deposit.total,
    modelEmission: emittedTo(payeeKinds.modelBuilder),
    agentEmission: emittedTo(payeeKinds.agentBuilder),
    debit: funding.fromDeposit,
  };
}

interface Source {
  readonly credits: readonly { readonly account: Address; readonly wei: bigint }[];
  readonly total: bigint;
}

function creditSource(wei: bigint, payees: readonly Payee[], router: Address): Source {
  const price = pricePerSecond(payees);
  if (wei === 0n || price === 0n) return { credits: [], total: 0n };
  const net = (wei * 99n) / 100n;
  const credits = payees.map((payee) => ({
    account: payee.account,
    wei: (net * payee.weiPerSecond) / price,
  }));
  credits.push({ account: router, wei: wei / feeHalfDivisor });
  return { credits, total: credits.reduce((sum, credit) => sum + credit.wei, 0n) };
}

/** A balance rounded down to two significant digits, so that spending it all names no address. */
export function roundDownToTwoDigits(wei: bigint): bigint {
  const digits = wei.toString().length;
  const unit = digits <= 2 ? 1n : 10n ** BigInt(digits - 2);
  return (wei / unit) * unit;
}

/** A User's free allowance of one epoch in wei: budget x rounded balance / supply, rounded down. */
export function allowanceDown(options: {
  readonly budget: bigint;
  readonly balance: bigint;
  readonly supply: bigint;
}): bigint {
  const { budget, balance, supply } = options;
  return supply === 0n ? 0n : (budget * roundDownToTwoDigits(balance)) / supply;
}
