import { Command } from "commander";
import { type DelegationReceipt, formatMor, LakeError } from "@lake-travis/protocol";
import { utcDay } from "../ledger/spend-ledger.ts";
import { createRouterClient } from "../router-client.ts";
import type { LakeContext } from "./lake-context.ts";
import { openLedger } from "./open-ledger.ts";
import { depositOf, heldDelegation, userAddress } from "./user-account.ts";

/** `lake balance`: what the User holds, may spend, and has spent. */
export function createBalanceCommand(context: LakeContext): Command {
  return new Command("balance")
    .description("MOR held, free allowance left, deposit, limits, spent today")
    .addHelpText("after", "\nExamples:\n  lake balance\n  lake --json balance | jq .allowanceWei")
    .action(() => balance(context));
}

async function balance(context: LakeContext): Promise<void> {
  const chain = await context.chain();
  const user = await userAddress(context);
  const [mor, deposit, receipt] = await Promise.all([
    chain.read("mor", "balanceOf", [user]) as Promise<bigint>,
    depositOf(chain, user),
    askReceipt(context),
  ]);
  const store = await openLedger(context);
  const today = store
    .secondsOfDay(utcDay(Date.now()))
    .reduce((sum, { seconds, weiPerSecond }) => sum + BigInt(seconds) * weiPerSecond, 0n);
  store.close();
  const { config } = context.place();
  const delegation = heldDelegation(context.place())?.signed.message;
  const figures: readonly (readonly [string, string, string | null])[] = [
    ["wallet", user, user],
    ["MOR", `${formatMor(mor)} held`, mor.toString()],
    [
      "allowance",
      morOrUnknown(receipt?.allowance, "left of this epoch's free time"),
      receipt?.allowance ?? null,
    ],
    [
      "deposit",
      deposit === undefined ? "none" : `${formatMor(deposit.left)} in the Compute Contract`,
      deposit?.left.toString() ?? null,
    ],
    [
      "covered",
      morOrUnknown(receipt?.deposit, "of it may be spent under the Delegation"),
      receipt?.deposit ?? null,
    ],
    [
      "leaving",
      deposit === undefined || deposit.announced === 0n
        ? "nothing"
        : `${formatMor(deposit.announced)} announced for withdrawal`,
      deposit?.announced.toString() ?? null,
    ],
    [
      "epochLimit",
      delegation === undefined
        ? "no Delegation yet"
        : `${formatMor(delegation.epochLimit)} an epoch`,
      delegation?.epochLimit.toString() ?? null,
    ],
    ["spentToday", formatMor(today), today.toString()],
    [
      "dailyLimit",
      config.dailyLimit === undefined ? "none" : formatMor(config.dailyLimit),
      config.dailyLimit?.toString() ?? null,
    ],
  ];
  const json = figures.map(([name, , value]) => [jsonName(name), value]);
  const text = figures.map(([name, words]) => `${name.padEnd(11)} ${words}`).join("\n");
  context.terminal.result(Object.fromEntries(json) as object, text);
}

function jsonName(name: string): string {
  return name === "wallet" ? name : name === "MOR" ? "morWei" : `${name}Wei`;
}

function morOrUnknown(wei: string | undefined, what: string): string {
  return wei === undefined ? "not known: no Delegation yet" : `${formatMor(BigInt(wei))} ${what}`;
}

/** The Router tells what is left to whoever shows it the Delegation again. */
async function askReceipt(context: LakeContext): Promise<DelegationReceipt | undefined> {
  const held = heldDelegation(context.place());
  if (held === undefined) return undefined;
  const router = createRouterClient(context.place().routerUrl());
  try {
    return await router.delegate({ delegation: held.signed, pseudonymKey: held.pseudonymKey });
  } catch (error) {
    if (!(error instanceof LakeError)) throw error;
    context.terminal.say(context.terminal.paint("yellow", error.message));
    return undefined;
  } finally {
    await router.stop();
  }
}
