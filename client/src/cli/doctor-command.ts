import { existsSync } from "node:fs";
import { Command } from "commander";
import { formatMor, LakeError, limits, type RouterStatus } from "@lake-travis/protocol";
import { systemClock } from "@lake-travis/platform";
import { chainError, createNodeDirectory } from "@lake-travis/platform/chain";
import { LedgerStore } from "../ledger/ledger-store.ts";
import { utcDay } from "../ledger/spend-ledger.ts";
import { createRouterClient, type RouterClient } from "../router-client.ts";
import { exitCodes } from "./exit-code.ts";
import type { LakeContext } from "./lake-context.ts";
import { depositOf, heldDelegation, userAddress } from "./user-account.ts";

/** One line of the examination. */
interface Finding {
  readonly name: string;
  readonly ok: boolean;
  readonly says: string;
}

/** `lake doctor`: what works, what does not, and what to do about it. */
export function createDoctorCommand(context: LakeContext): Command {
  return new Command("doctor")
    .description("check configuration, Router, chain, clock, wallet, MOR and Delegation")
    .addHelpText(
      "after",
      "\nExamples:\n  lake doctor\n  lake --json doctor\n\nExit code 1: a line is red.",
    )
    .action(() => examine(context));
}

async function examine(context: LakeContext): Promise<void> {
  const findings: Finding[] = [];
  for (const [name, look] of examinations) {
    findings.push(await lookAt(name, () => look(context)));
  }
  const { terminal } = context;
  const lines = findings.map(({ name, ok, says }) => {
    const mark = ok ? terminal.paint("green", "ok ") : terminal.paint("red", "red");
    return `${mark} ${name.padEnd(11)} ${says}`;
  });
  const ok = findings.every((finding) => finding.ok);
  terminal.result({ ok, findings }, lines.join("\n"));
  if (!ok) process.exitCode = exitCodes.failed;
}

async function lookAt(name: string, look: () => Promise<string>): Promise<Finding> {
  try {
    return { name, ok: true, says: await look() };
  } catch (error) {
    const known =
      error instanceof LakeError ? error : new LakeError("internal", String(error).slice(0, 300));
    const advice = known.advice === undefined ? "" : ` ${known.advice}`;
    return { name, ok: false, says: known.message + advice };
  }
}

type Look = (context: LakeContext) => Promise<string>;

const examinations: readonly (readonly [string, Look])[] = [
  ["config", async (context) => describeConfig(context)],
  ["deployment", async (context) => `chain ${context.place().deployment().chainId}`],
  ["chain", lookAtChain],
  ["router", lookAtRouter],
  ["clock", lookAtClock],
  ["offers", lookAtOffers],
  ["wallet", lookAtWallet],
  ["MOR", lookAtMor],
  ["delegation", lookAtDelegation],
  ["spending", lookAtSpending],
  ["endpoint", async (context) => context.place().running?.endpoint ?? "lake up is not running"],
];

function describeConfig(context: LakeContext): string {
  const { config, configPath } = context.place();
  const count = Object.keys(config).length;
  return existsSync(configPath)
    ? `${configPath}, ${count} settings`
    : "none; defaults are in force";
}

async function lookAtChain(context: LakeContext): Promise<string> {
  const chain = await context.chain();
  const told = Number(await chain.provider.send("eth_chainId", []).catch(failOnChain));
  if (told !== chain.deployment.chainId) {
    throw new LakeError("chain-wrong", `The RPC address answers for chain ${told}.`, {
      advice: `This network is on chain ${chain.deployment.chainId}: check the deployment file.`,
    });
  }
  return `block ${await chain.provider.getBlockNumber()}, contracts found`;
}

async function withRouter<T>(
  context: LakeContext,
  work: (router: RouterClient, url: string) => Promise<T>,
): Promise<T> {
  const url = context.place().routerUrl();
  const router = createRouterClient(url);
  try {
    return await work(router, url);
  } finally {
    await router.stop();
  }
}

async function lookAtRouter(context: LakeContext): Promise<string> {
  const chain = await context.chain();
  return withRouter(context, async (router, url) => {
    const status: RouterStatus = await router.status();
    const { chainId, computeContract } = chain.deployment;
    if (status.chainId !== chainId || status.computeContract !== computeContract) {
      throw new LakeError("chain-wrong", `The Router ${url} belongs to another network.`, {
        advice: "Check --router and --deployment: both must name the same chain and contracts.",
      });
    }
    const key = await createNodeDirectory(chain).signingKeyOf(status.router);
    if (key !== status.signingKey) {
      throw new LakeError("signer-wrong", `The Router ${url} is not staked under its account.`, {
        advice: "Use another Router; its Tickets would be refused.",
      });
    }
    return `${url}, epoch ${status.epoch}, ${status.openSessions} Sessions open`;
  });
}

async function lookAtClock(context: LakeContext): Promise<string> {
  return withRouter(context, async (router) => {
    const askedAt = systemClock.now();
    const status = await router.status();
    const now = systemClock.now();
    requireClock(status, now);
    const offMs = Math.round((askedAt + now) / 2 - status.now);
    return `${Math.abs(offMs)} ms off the Router's; ${limits.clockSkewMsMax} ms are tolerated`;
  });
}

async function lookAtOffers(context: LakeContext): Promise<string> {
  const offers = await withRouter(context, (router) => router.offers());
  if (offers.length === 0) {
    throw new LakeError("provider-none", "No Provider offers anything now.", {
      advice: "Wait for one, or serve a model yourself with lake provider.",
    });
  }
  const models = new Set(offers.map(({ offer }) => offer.message.model));
  return `${offers.length} for ${models.size} models`;
}

async function lookAtWallet(context: LakeContext): Promise<string> {
  return `${context.place().wallet().kind}, ${await userAddress(context)}`;
}

async function lookAtMor(context: LakeContext): Promise<string> {
  const chain = await context.chain();
  const user = await userAddress(context);
  const held = (await chain.read("mor", "balanceOf", [user])) as bigint;
  const deposit = await depositOf(chain, user);
  if (held === 0n && (deposit?.left ?? 0n) === 0n) {
    throw new LakeError("mor-missing", `The wallet ${user} holds no MOR and has no deposit.`, {
      advice: "Send it some MOR: any amount brings a free allowance each epoch.",
    });
  }
  return `${formatMor(held)} held, ${formatMor(deposit?.left ?? 0n)} deposited`;
}

async function lookAtDelegation(context: LakeContext): Promise<string> {
  const held = heldDelegation(context.place());
  if (held === undefined) return "none yet; the first Session asks the wallet for one";
  const { expiresAt } = held.signed.message;
  if (expiresAt <= Date.now()) return "expired; the next Session asks the wallet for a new one";
  const { allowance, deposit } = await withRouter(context, (router) =>
    router.delegate({ delegation: held.signed, pseudonymKey: held.pseudonymKey }),
  );
  const [free, paid] = [formatMor(BigInt(allowance)), formatMor(BigInt(deposit))];
  const until = new Date(expiresAt).toISOString().slice(0, 10);
  return `${free} free and ${paid} of the deposit left now, until ${until}`;
}

async function lookAtSpending(context: LakeContext): Promise<string> {
  const { config, ledgerPath } = context.place();
  if (!existsSync(ledgerPath)) return "nothing yet";
  const store = new LedgerStore(ledgerPath);
  const wei = store
    .secondsOfDay(utcDay(Date.now()))
    .reduce((sum, { seconds, weiPerSecond }) => sum + BigInt(seconds) * weiPerSecond, 0n);
  store.close();
  const { dailyLimit } = config;
  if (dailyLimit === undefined) return `${formatMor(wei)} MOR today; no daily limit is set`;
  if (wei < dailyLimit) return `${formatMor(wei)} of ${formatMor(dailyLimit)} MOR today`;
  throw new LakeError("spend-limit-reached", `Today's ${formatMor(dailyLimit)} MOR are spent.`, {
    advice: "Wait for midnight UTC, or raise it with lake config set dailyLimit <MOR>.",
  });
}

/** Throws `clock-wrong` where this machine's time would make every signature worthless. */
function requireClock(status: RouterStatus, now: number): void {
  const offMs = now - status.now;
  if (Math.abs(offMs) <= limits.clockSkewMsMax) return;
  const seconds = Math.round(Math.abs(offMs) / 1000);
  const side = offMs > 0 ? "ahead of" : "behind";
  throw new LakeError("clock-wrong", `This machine's clock is ${seconds} s ${side} the Router's.`, {
    advice: "Set it right (by NTP, say); signatures carry times and would be refused.",
  });
}

function failOnChain(error: unknown): never {
  throw chainError(error);
}
