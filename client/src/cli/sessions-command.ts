import { Command, InvalidArgumentError, Option } from "commander";
import { formatMor } from "@lake-travis/protocol";
import { busyMsOf, costOf } from "../ledger/session-cost.ts";
import type { LedgerStore } from "../ledger/ledger-store.ts";
import { requireAnswer } from "../sdk/lake-transport.ts";
import { formatTable, shortHash } from "./format-table.ts";
import type { LakeContext } from "./lake-context.ts";
import { openLedger } from "./open-ledger.ts";

/** `lake sessions`: what is open and what was. */
export function createSessionsCommand(context: LakeContext): Command {
  const sessions = new Command("sessions")
    .description("Sessions, the newest first, with what each cost")
    .addOption(new Option("--last <n>", "how many to show").argParser(countIn).default(20))
    .addHelpText("after", examples)
    .action(({ last }: { last: number }) => list(context, last));
  sessions
    .command("close <session>")
    .description("close an open Session of the running endpoint now")
    .action((id: string) => close(context, id));
  return sessions;
}

const examples = `
Examples:
  lake sessions
  lake --json sessions --last 100
  lake sessions close 0x8f3a...`;

async function list(context: LakeContext, last: number): Promise<void> {
  const store = await openLedger(context);
  try {
    const rows = store.sessionsBetween("0000", "9999").slice(-last).reverse();
    const sessions = rows.map((session) => describe(store, session));
    const header = ["opened", "session", "model", "provider", "s", "MOR", "requests", "state"];
    const cells = sessions.map((each) => [
      each.openedAt.slice(0, 19).replace("T", " "),
      shortHash(each.sessionId),
      each.model,
      shortHash(each.provider),
      String(each.seconds),
      each.mor,
      String(each.requests),
      each.state,
    ]);
    const text =
      sessions.length === 0
        ? "No Sessions yet."
        : formatTable(header, cells, ["s", "MOR", "requests"]);
    context.terminal.result({ sessions }, text);
  } finally {
    store.close();
  }
}

function describe(store: LedgerStore, session: ReturnType<LedgerStore["sessionsBetween"]>[number]) {
  const { chargedSeconds, closedAt, epoch, isFinal, model, provider, sessionId, signedSeconds } =
    session;
  const known = isFinal ? "final" : "charged";
  const uses = store.usesOf(sessionId);
  return {
    sessionId,
    openedAt: new Date(session.openedAt).toISOString(),
    epoch,
    model,
    provider,
    seconds: chargedSeconds ?? signedSeconds,
    weiPerSecond: session.weiPerSecond.toString(),
    wei: costOf(session).toString(),
    mor: formatMor(costOf(session)),
    requests: uses.length,
    tokens: uses.reduce((sum, use) => sum + use.tokens, 0),
    busyMs: busyMsOf(uses),
    state: chargedSeconds !== null ? known : closedAt === null ? "open" : "closed",
  };
}

async function close(context: LakeContext, id: string): Promise<void> {
  const { running } = context.place();
  if (running === undefined) {
    context.terminal.say("No lake up runs here, so no Session of it is open.");
    return;
  }
  const url = new URL(`/lake/v1/sessions/${encodeURIComponent(id)}`, running.endpoint);
  const headers = running.bearer === null ? {} : { authorization: `Bearer ${running.bearer}` };
  await requireAnswer(await fetch(url, { method: "DELETE", headers }));
  context.terminal.result({ closed: id }, `Closed ${id}.`);
}

function countIn(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number above 0.");
}
