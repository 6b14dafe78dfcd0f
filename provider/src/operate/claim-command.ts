import { Command, Option } from "commander";
import {
  type Address,
  type CreditProof,
  formatMor,
  type Hex,
  LakeError,
  routerPaths,
} from "@lake-travis/protocol";
import { createHttpClient } from "@lake-travis/platform";
import {
  type ChainClient,
  connectChain,
  readDeployment,
  requireContracts,
} from "@lake-travis/platform/chain";
import { findRouter } from "./find-router.ts";
import { operateLimits } from "./limits.ts";
import { readConfig } from "./provider-config.ts";
import { createTerminal } from "./terminal.ts";
import { unlockWallet } from "./unlock-wallet.ts";

interface ClaimOptions {
  readonly config: string;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** What the newest final settlement owes an account. Amounts are wei of MOR. */
interface Claimable {
  readonly cumulative: bigint;
  readonly claimed: bigint;
  readonly proof: readonly Hex[];
}

/** `lake provider claim`: moves what is settled and final to the payout address. */
export function createClaimCommand(): Command {
  return new Command("claim")
    .description("move what is settled and final to the payout address")
    .addOption(new Option("--config <file>", "the configuration").default("provider.yaml"))
    .option("--dry-run", "only say how much there is", false)
    .option("--json", "print JSON for scripts", false)
    .addHelpText("after", "\nExample:\n  lake provider claim")
    .action(claim);
}

async function claim(options: ClaimOptions): Promise<void> {
  const config = readConfig(options.config);
  const terminal = createTerminal({ json: options.json });
  const deployment = readDeployment(config.deployment);
  const chain = connectChain(deployment);
  try {
    await requireContracts(chain);
    const { url } = await findRouter(config.routers, deployment);
    const { claimed, cumulative, proof } = await readClaimable(chain, url, config.account);
    const due = cumulative - claimed;
    let transaction: Hex | null = null;
    if (due > 0n && !options.dryRun) {
      const sender = chain.as(await unlockWallet(config, terminal));
      const args = [config.account, cumulative, proof];
      ({ transaction } = await sender.send("computeContract", "claim", args));
    }
    const facts = { claimedWei: claimed.toString(), dueWei: due.toString(), transaction };
    const sentence =
      transaction === null
        ? `${formatMor(due)} MOR can be claimed; ${formatMor(claimed)} were before.`
        : `Claimed ${formatMor(due)} MOR for ${config.account} in ${transaction}.`;
    process.stdout.write(`${options.json ? JSON.stringify(facts) : sentence}\n`);
  } finally {
    chain.close();
  }
}

async function readClaimable(
  chain: ChainClient,
  routerUrl: string,
  account: Address,
): Promise<Claimable> {
  const claimed = (await chain.read("computeContract", "claimedOf", [account])) as bigint;
  const http = createHttpClient({ unreachable: "router-unreachable" });
  try {
    const url = `${routerUrl}${routerPaths.credits}/${account}`;
    const timeoutMs = operateLimits.routerMs;
    const answer = (await http.json("GET", url, undefined, { timeoutMs })) as CreditProof;
    return { claimed, cumulative: BigInt(answer.cumulative), proof: answer.proof };
  } catch (error) {
    // Nothing is settled for this account yet.
    const isNone = error instanceof LakeError && error.code === "content-missing";
    if (isNone) return { claimed, cumulative: claimed, proof: [] };
    throw error;
  } finally {
    await http.close();
  }
}
