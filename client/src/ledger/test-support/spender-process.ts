/* Spends as fast as the limit lets it, for a test that kills it. Arguments: file, limit in wei. */
import { systemClock } from "@lake-travis/platform";
import { LedgerStore } from "../ledger-store.ts";
import { SpendLedger } from "../spend-ledger.ts";
import { grantedSession } from "./granted-session.ts";

const [path = "", limit = "0"] = process.argv.slice(2);
const store = new LedgerStore(path);
const ledger = new SpendLedger({
  store,
  clock: systemClock,
  dailyLimit: BigInt(limit),
  warn: () => undefined,
});
for (let count = 1; ; count += 1) {
  const session = await ledger.openSession(grantedSession({ openedAt: systemClock.now() }));
  for (let seconds = 1; seconds <= 20; seconds += 1) {
    const allowed = session.allow(seconds);
    // What is signed is told only after the ledger knows it, as with a real Tick.
    process.stdout.write(`${count} ${allowed}\n`);
    if (allowed < seconds) process.exit(0);
  }
}
