import {
  newcomerStanding,
  type Address,
  type Payee,
  splitCharge,
  standingAfter,
} from "@lake-travis/protocol";
import { coreLimits } from "./core-limits.ts";
import { offerKeyOf } from "./providers.ts";
import { reportOf } from "./settling.ts";
import type { EndedMoney, EndedRecord, Ledger, RouterState } from "./state.ts";

/**
 * Credits a Session's payees in a ledger and debits its deposits, or with -1 takes both back to the
 * wei: the division of a charge is the same each time.
 */
export function moveMoney(
  ledger: Ledger,
  session: {
    readonly payees: readonly Payee[];
    readonly router: Address;
    readonly money: EndedMoney;
  },
  sign: 1n | -1n,
): void {
  const { payees, router, money } = session;
  const split = splitCharge({ funding: money, payees, router });
  for (const { account, wei } of split.credits) addTo(ledger.credits, account, sign * wei);
  for (const { number, wei } of money.debits) addTo(ledger.debits, number, sign * wei);
  ledger.allowanceCharged += sign * money.fromAllowance;
  ledger.allowanceCredits += sign * split.allowanceCredits;
  ledger.paidCredits += sign * split.paidCredits;
  ledger.modelEmission += sign * split.modelEmission;
  ledger.agentEmission += sign * split.agentEmission;
  ledger.debitTotal += sign * split.debit;
}

/** Enters a Record in all that is made of Records. */
export function keepRecord(state: RouterState, ledger: Ledger, ended: EndedRecord): void {
  const { record } = ended;
  ledger.records.push(ended);
  reportOf(state, record.epoch).records += 1;
  const key = offerKeyOf(record);
  const standing = standingAfter(state.standings.get(key) ?? newcomerStanding, record);
  if (standing.sessions > 0) state.standings.set(key, standing);
  keepPrice(ledger, ended);
}

/** The payees as a Record has them. */
export function payeesIn({ record }: EndedRecord): Payee[] {
  return record.payees.map(({ account, kind, weiPerSecond }) => {
    return { account, kind, weiPerSecond: BigInt(weiPerSecond) };
  });
}

function keepPrice(ledger: Ledger, { record }: EndedRecord): void {
  const { hardwareClass, provider, weiPerSecond, seconds } = record;
  const key = `${hardwareClass} ${provider} ${weiPerSecond}`;
  const known = ledger.priced.get(key);
  if (known === undefined && ledger.priced.size >= coreLimits.pricedMax) return;
  const sum = seconds + (known?.seconds ?? 0);
  ledger.priced.set(key, { hardwareClass, provider, weiPerSecond, seconds: sum });
}

function addTo<K>(sums: Map<K, bigint>, key: K, wei: bigint): void {
  const sum = (sums.get(key) ?? 0n) + wei;
  if (sum === 0n) sums.delete(key);
  else sums.set(key, sum);
}
