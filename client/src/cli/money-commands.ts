import { Command } from "commander";
import {
  type Address,
  domainOf,
  domainSeparatorOf,
  epochAt,
  epochStartMs,
  formatMor,
  heartbeatDigest,
  heartbeatSignatureHeader,
  type Hex,
  LakeError,
  parseMor,
  routerPaths,
} from "@lake-travis/protocol";
import { createHttpClient } from "@lake-travis/platform";
import type { ChainClient } from "@lake-travis/platform/chain";
import { sendFromWallet } from "../wallet/wallet-transaction.ts";
import type { LakeContext } from "./lake-context.ts";
import { type DepositFacts, depositOf, heldDelegation } from "./user-account.ts";

interface YesOption {
  readonly yes: boolean;
}

/** `lake deposit`: MOR into the Compute Contract, for what goes beyond the free allowance. */
export function createDepositCommand(context: LakeContext): Command {
  return new Command("deposit")
    .description("put MOR into the Compute Contract, one deposit for all Providers")
    .argument("<MOR>", "how much")
    .option("--yes", "do not ask", false)
    .addHelpText("after", "\nExamples:\n  lake deposit 20\n  lake deposit 0.5 --yes")
    .action((amount: string, options: YesOption) => deposit(context, parseMor(amount), options));
}

/** `lake withdraw`: announced first, paid by a later settlement. */
export function createWithdrawCommand(context: LakeContext): Command {
  return new Command("withdraw")
    .description("take MOR out of the deposit: announce a sum, later --claim it")
    .argument("[MOR]", "how much to announce; 0 takes the announcement back")
    .option("--claim", "pay out what was announced", false)
    .option("--yes", "do not ask", false)
    .addHelpText("after", withdrawHelp)
    .action((amount: string | undefined, options: YesOption & { readonly claim: boolean }) =>
      options.claim ? claim(context, options) : announce(context, amount, options),
    );
}

const withdrawHelp = `
Examples:
  lake withdraw 10
  lake withdraw --claim

From the next epoch on the announced sum is not spent any more. It can be claimed once a settlement
of a later epoch is final.`;

async function deposit(context: LakeContext, wei: bigint, { yes }: YesOption): Promise<void> {
  if (wei === 0n) throw new LakeError("argument-invalid", "A deposit of nothing changes nothing.");
  const chain = await context.chain();
  const opened = await context.wallet();
  const { address } = opened.wallet;
  const held = (await chain.read("mor", "balanceOf", [address])) as bigint;
  if (held < wei) {
    throw new LakeError("mor-missing", `The wallet ${address} holds only ${formatMor(held)} MOR.`, {
      advice: "Deposit less, or send it some MOR first.",
    });
  }
  const to = chain.deployment.computeContract;
  await context.terminal.confirm(`Put ${formatMor(wei)} MOR into the Compute Contract ${to}?`, yes);
  const allowed = (await chain.read("mor", "allowance", [address, to])) as bigint;
  if (allowed < wei) {
    await sendFromWallet(chain, opened, { contract: "mor", method: "approve", args: [to, wei] });
  }
  const call = { contract: "computeContract", method: "deposit", args: [wei] } as const;
  const { transaction } = await sendFromWallet(chain, opened, call);
  const now = await depositOf(chain, address);
  context.terminal.result(
    { transaction, depositWei: now?.left.toString() ?? null },
    `The deposit holds ${formatMor(now?.left ?? 0n)} MOR (${transaction}).`,
  );
}

async function announce(
  context: LakeContext,
  amount: string | undefined,
  { yes }: YesOption,
): Promise<void> {
  if (amount === undefined) {
    throw new LakeError("argument-invalid", "How much shall be withdrawn?", {
      advice: "Write lake withdraw <MOR>, or lake withdraw --claim for what was announced.",
    });
  }
  const wei = parseMor(amount);
  const chain = await context.chain();
  const opened = await context.wallet();
  const known = await requireDeposit(chain, opened.wallet.address);
  if (wei > known.left) {
    throw new LakeError("argument-invalid", `The deposit holds ${formatMor(known.left)} MOR.`);
  }
  await context.terminal.confirm(`Announce a withdrawal of ${formatMor(wei)} MOR?`, yes);
  const args = [known.number, wei];
  const call = { contract: "computeContract", method: "announceWithdrawal", args } as const;
  const { transaction } = await sendFromWallet(chain, opened, call);
  const { schedule } = chain.deployment;
  const from = new Date(epochStartMs(schedule, epochAt(schedule, Date.now()) + 1)).toISOString();
  context.terminal.result(
    { transaction, announcedWei: wei.toString() },
    `Announced (${transaction}). Not spent from ${from} on; then lake withdraw --claim.`,
  );
}

async function claim(context: LakeContext, { yes }: YesOption): Promise<void> {
  const chain = await context.chain();
  const opened = await context.wallet();
  const known = await requireDeposit(chain, opened.wallet.address);
  if (known.announced === 0n) {
    throw new LakeError("argument-invalid", "No withdrawal is announced.", {
      advice: "Announce one with lake withdraw <MOR>.",
    });
  }
  const final = (await chain.read("computeContract", "finalSettlement")) as { epoch: bigint };
  if (Number(final.epoch) <= known.announcedEpoch) {
    const epochs = `announced in epoch ${known.announcedEpoch}, final is ${final.epoch}`;
    throw new LakeError("chain-refused", "No later settlement than it is final yet.", {
      advice: `Try again in some epochs: ${epochs}.`,
    });
  }
  await context.terminal.confirm(`Withdraw ${formatMor(known.announced)} MOR?`, yes);
  const leaf = await askLeaf(context, known.number);
  const args = [known.number, leaf];
  const call = { contract: "computeContract", method: "withdraw", args } as const;
  const { transaction } = await sendFromWallet(chain, opened, call);
  const now = await depositOf(chain, opened.wallet.address);
  context.terminal.result(
    { transaction, depositWei: now?.left.toString() ?? null },
    `Withdrawn (${transaction}); the deposit holds ${formatMor(now?.left ?? 0n)} MOR.`,
  );
}

async function requireDeposit(chain: ChainClient, owner: Address): Promise<DepositFacts> {
  const known = await depositOf(chain, owner);
  if (known !== undefined) return known;
  throw new LakeError("content-missing", `The wallet ${owner} has no deposit.`);
}

/** A leaf of the debit tree as the contract takes it. */
interface DebitLeaf {
  readonly cumulativeDebit: bigint;
  readonly salt: Hex;
  readonly proof: readonly Hex[];
}

/** What a deposit spent is told to its owner alone, so the request is signed by its delegate. */
async function askLeaf(context: LakeContext, number: bigint): Promise<DebitLeaf> {
  const place = context.place();
  const held = heldDelegation(place);
  if (held === undefined) {
    throw new LakeError("delegation-unknown", "The Router tells a debit to its owner only.", {
      advice: "Run lake up or lake run once, so that the wallet signs a Delegation.",
    });
  }
  const separator = domainSeparatorOf(domainOf(place.deployment()));
  const at = Date.now();
  const path = `${routerPaths.debits}/${number}`;
  const signature = held.delegate.sign(
    heartbeatDigest(separator, Buffer.from(`GET ${path} ${at}`)),
  );
  const http = createHttpClient({ unreachable: "router-unreachable" });
  try {
    const url = place.routerUrl().replace(/\/+$/, "") + path;
    const headers = { "lake-at": String(at), [heartbeatSignatureHeader]: signature };
    const json = await http.json("GET", url, undefined, { headers });
    const { cumulative, proof, salt } = json as { cumulative: string; proof: Hex[]; salt: Hex };
    return { cumulativeDebit: BigInt(cumulative), salt, proof };
  } catch (error) {
    // Younger than the final tree: the contract ignores the leaf then.
    if (!(error instanceof LakeError) || error.code !== "content-missing") throw error;
    return { cumulativeDebit: 0n, salt: `0x${"0".repeat(64)}`, proof: [] };
  } finally {
    await http.close();
  }
}
