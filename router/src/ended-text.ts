import type { SessionRecord } from "@lake-travis/protocol";
import type { EndedMoney, EndedRecord } from "./core/state.ts";

/** An ended Session as one line of text, with its wei as decimals. */
export function endedToText({ record, money }: EndedRecord): string {
  const { fromAllowance, fromDeposit, debits, ...rest } = money;
  return JSON.stringify({
    record,
    money: {
      ...rest,
      fromAllowance: fromAllowance.toString(),
      fromDeposit: fromDeposit.toString(),
      debits: debits.map(({ number, wei }) => ({ number, wei: wei.toString() })),
    },
  });
}

/** Reads {@link endedToText}. */
export function endedFromText(text: string): EndedRecord {
  // Written by this Router into a folder of its own: nobody else's word is read here.
  const { record, money } = JSON.parse(text) as { record: SessionRecord; money: MoneyText };
  const debits = money.debits.map(({ number, wei }) => ({ number, wei: BigInt(wei) }));
  const { user, sessionKey } = money;
  const fromAllowance = BigInt(money.fromAllowance);
  const fromDeposit = BigInt(money.fromDeposit);
  return { record, money: { user, sessionKey, fromAllowance, fromDeposit, debits } };
}

interface MoneyText extends Pick<EndedMoney, "user" | "sessionKey"> {
  readonly fromAllowance: string;
  readonly fromDeposit: string;
  readonly debits: readonly { readonly number: number; readonly wei: string }[];
}
