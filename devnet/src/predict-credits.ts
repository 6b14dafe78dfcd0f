import {
  type Address,
  fundCharge,
  type Payee,
  pricePerSecond,
  type SessionRecord,
  splitCharge,
} from "@lake-travis/protocol";

/** The Records of a settlement's file; lines with a kind stand behind them and are none. */
export function recordsIn(file: string): SessionRecord[] {
  return linesOf(file).flatMap((line) => (line.kind === undefined ? [line as SessionRecord] : []));
}

/**
 * The Records that a settlement credits: those that passed or failed by their User's fault, and of
 * earlier epochs those that were held and are cleared in it. `fileOf` reads an epoch's file.
 */
export async function creditedIn(
  file: string,
  fileOf: (epoch: number) => Promise<string>,
): Promise<readonly SessionRecord[]> {
  const held = new Set<string>();
  const cleared: SessionRecord[] = [];
  for (const line of linesOf(file)) {
    if (line.kind === "verdict" && !(line.verdict === "fail" && line.fault === "user"))
      held.add(String(line.sessionId));
    if (line.kind !== "outcome" || line.outcome !== "cleared") continue;
    const earlier = recordsIn(await fileOf(line.epoch ?? 0));
    cleared.push(...earlier.filter(({ sessionId }) => sessionId === line.sessionId));
  }
  return [...recordsIn(file).filter(({ sessionId }) => !held.has(sessionId)), ...cleared];
}

type Line = Partial<SessionRecord> & {
  readonly kind?: string;
  readonly verdict?: "fail" | "review";
  readonly fault?: string;
  readonly outcome?: string;
};

function linesOf(file: string): Line[] {
  const lines = file.split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as Line);
}

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
