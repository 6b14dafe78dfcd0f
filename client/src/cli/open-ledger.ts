import { LakeError } from "@lake-travis/protocol";
import { LedgerStore } from "../ledger/ledger-store.ts";
import { settleLedger } from "../ledger/settle-ledger.ts";
import type { LakeContext } from "./lake-context.ts";

/**
 * Opens the ledger with the Router's newest figures in it. Where the Router is away, what was
 * signed is shown instead, and a line says so.
 */
export async function openLedger(context: LakeContext): Promise<LedgerStore> {
  const { terminal } = context;
  const place = context.place();
  const store = new LedgerStore(place.ledgerPath);
  try {
    if (store.unsettled(1).length === 0) return store;
    const { disputed } = await settleLedger(store, place.routerUrl());
    for (const id of disputed) {
      terminal.say(terminal.paint("red", `The Router charged more than was signed in ${id}.`));
    }
  } catch (error) {
    if (!(error instanceof LakeError)) throw error;
    terminal.say(`Newest charges are not known (${error.message}) What was signed counts instead.`);
  }
  return store;
}
