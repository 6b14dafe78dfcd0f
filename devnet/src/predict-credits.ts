import {
  type Address,
  fundCharge,
  type Payee,
  pricePerSecond,
  type SessionRecord,
  splitCharge,
} from "@lake-travis/protocol";

/**
 * What the published Records of some epochs must add to each account's credit, in wei, computed
 * from nothing but the Records: the local network's own audit of the Router.
 *
 * Sessions paid partly by deposit cannot be told apart from a Record alone, so the workflow's own
 * Session, paid by allowance or deposit alone, is what this is exact for.
 */
export function predictCredits(records: readonly SessionRecord[]): Map<Address, bigint> {
  const credits = new Map<Address, bigint>();
  for (const record of records) {
    const payees: Payee[] = record.payees.map((payee) => ({
      ...payee,
      weiPerSecond: BigInt(payee.weiPerSecond),
    }));
    const charge = pricePerSecond(payees) * BigInt(record.seconds);
    const allowance = record.fundedBy === "deposit" ? 0n : charge;
    const funding = fundCharge({ charge, reservedAllowance: allowance });
    for (const { account, wei } of splitCharge({ funding, payees, router: record.router })
      .credits) {
      credits.set(account, (credits.get(account) ?? 0n) + wei);
    }
  }
  return credits;
}
