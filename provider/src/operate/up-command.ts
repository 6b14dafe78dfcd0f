import { Command, Option } from "commander";
import { type Deployment, formatMorShort, LakeError } from "@lake-travis/protocol";
import {
  createLogger,
  type DataFolder,
  loadOrCreateKey,
  openDataFolder,
  runUntilStopped,
  signerFromKey,
} from "@lake-travis/platform";
import {
  type ChainClient,
  connectChain,
  readDeployment,
  requireContracts,
} from "@lake-travis/platform/chain";
import type { Progress } from "@lake-travis/registry";
import { join } from "node:path";
import { renewOnSignal } from "../renew-on-signal.ts";
import { askControl } from "./control-socket.ts";
import { findRouter } from "./find-router.ts";
import { createDemandFollower, explainDemand } from "./follow-demand.ts";
import { createPriceFollower } from "./follow-prices.ts";
import { type ProviderConfig, readConfig } from "./provider-config.ts";
import { ProviderService } from "./provider-service.ts";
import {
  carryOut,
  describeTransactions,
  planRegistration,
  type RegistrationPlan,
  requireFunds,
} from "./register-node.ts";
import { formatSize } from "./status-report.ts";
import { createTerminal, type Terminal } from "./terminal.ts";
import { unlockWallet } from "./unlock-wallet.ts";
import { describePrice } from "./write-config.ts";

interface UpOptions {
  readonly config: string;
  readonly deployment?: string;
  readonly yes: boolean;
  readonly auto: boolean;
  readonly dryRun: boolean;
}

const examples = `
Examples:
  lake provider up
  lake provider up --yes --config /etc/lake-travis/provider.yaml
  lake provider up --auto --dry-run     say what would be served, and why
  lake provider up --auto               serve what pays best, beside what is configured

The first start stakes and registers, which 'up' shows and asks about first.
SIGTERM and Ctrl-C stop in order: Offers withdrawn, running answers finished, Sessions closed.`;

/** `lake provider up`. */
export function createUpCommand(): Command {
  return new Command("up")
    .description("stake and register if needed, pull, load, measure, offer, serve")
    .addOption(new Option("--config <file>", "the configuration").default("provider.yaml"))
    .option("--deployment <file>", "another network than the configuration names")
    .option("--yes", "send the registration's transactions without asking", false)
    .option("--auto", "also serve what pays best for this machine, within 'demand'", false)
    .option("--dry-run", "with --auto: explain each choice and change nothing", false)
    .addHelpText("after", examples)
    .action(async (options: UpOptions) => {
      if (options.dryRun) await explain(options);
      else await runUntilStopped((signal) => up(options, signal));
    });
}

async function up(
  options: UpOptions,
  signal: AbortSignal,
): Promise<{ stop(): Promise<void>; ready: unknown }> {
  const config = readConfig(options.config);
  if (config.models.length === 0 && !options.auto) throw nothingToServe(config);
  const terminal = createTerminal({ json: false });
  const deployment = readDeployment(options.deployment ?? config.deployment);
  const folder = await openDataFolder(config.dataDir);
  const chain = connectChain(deployment);
  try {
    await requireContracts(chain);
    const { url: routerUrl } = await findRouter(config.routers, deployment);
    await ensureRegistered({ chain, config, terminal, isAgreed: options.yes });
    const service = await startService({ chain, config, deployment, routerUrl, signal, terminal });
    if (options.auto) service.follow(createDemandFollower(service));
    say(terminal, service, config);
    return { ready: service.facts, stop: () => stop(service, chain, folder) };
  } catch (error) {
    chain.close();
    folder.close();
    throw error;
  }
}

/** Says what `--auto` would do now, by the running Provider or, where none runs, from here. */
async function explain(options: UpOptions): Promise<void> {
  const config = readConfig(options.config);
  const { plan } = await askControl(config.dataDir, "/plan").then(
    (page) => page as { plan: string },
    (error: unknown) => {
      if (error instanceof LakeError) return { plan: undefined };
      throw error;
    },
  );
  process.stdout.write(`${plan ?? (await explainStopped(config, options))}\n`);
}

async function explainStopped(config: ProviderConfig, options: UpOptions): Promise<string> {
  const deployment = readDeployment(options.deployment ?? config.deployment);
  const folder = await openDataFolder(config.dataDir);
  const chain = connectChain(deployment);
  try {
    const { url: routerUrl } = await findRouter(config.routers, deployment);
    const { signal } = new AbortController();
    const logger = createLogger({ name: "provider", level: "silent" });
    const parts = { chain, config, deployment, routerUrl, signal, logger };
    const service = new ProviderService(parts);
    await service.openStorage();
    try {
      return await explainDemand(service);
    } finally {
      await service.stop();
    }
  } finally {
    chain.close();
    folder.close();
  }
}

async function startService(parts: {
  readonly chain: ChainClient;
  readonly config: ProviderConfig;
  readonly deployment: Deployment;
  readonly routerUrl: string;
  readonly signal: AbortSignal;
  readonly terminal: Terminal;
}): Promise<ProviderService> {
  const { terminal, ...rest } = parts;
  const { logFile, logLevel } = rest.config;
  const logger = createLogger({
    name: "provider",
    level: logLevel,
    ...(logFile === undefined ? {} : { file: logFile }),
  });
  const service = new ProviderService({
    ...rest,
    logger,
    onPlan: (model, { bytes, heldBytes, fit }) => {
      terminal.say(`${model}: ${formatSize(bytes)}, ${formatSize(heldBytes)} of it here.`);
      if (!fit.runs) {
        throw new LakeError("argument-invalid", `This machine cannot run ${model}.`, {
          advice: fit.lacks.join(" "),
        });
      }
      for (const lack of fit.lacks) terminal.say(`  ${lack}`);
    },
    onProgress: (progress) => terminal.show(progressLine(progress)),
  });
  try {
    await service.start();
  } catch (error) {
    await service.stop();
    throw error;
  }
  renewOnSignal(service.node, logger);
  if (rest.config.pricing.mode === "auto") service.follow(createPriceFollower(service));
  return service;
}

async function stop(
  service: ProviderService,
  chain: ChainClient,
  folder: DataFolder,
): Promise<void> {
  await service.stop();
  chain.close();
  folder.close();
}

/** Stakes and names the signing key where that is missing; throws what stands in the way. */
async function ensureRegistered(parts: {
  readonly chain: ChainClient;
  readonly config: ProviderConfig;
  readonly terminal: Terminal;
  readonly isAgreed: boolean;
}): Promise<void> {
  const { chain, config, terminal, isAgreed } = parts;
  const signer = signerFromKey(loadOrCreateKey(join(config.dataDir, "signing.key")));
  const plan = await planRegistration(chain, config.account, signer);
  if (plan.transactions.length === 0) return;
  terminal.say(`${config.account} is not ready on the chain. It has to`);
  for (const { says } of plan.transactions) terminal.say(`  - ${says}`);
  terminal.say(
    `That locks up ${formatMorShort(plan.stake)} MOR, which stays yours, and takes at most ` +
      `${formatMorShort(plan.gasWei)} of the chain's coin for gas.`,
  );
  if (config.keystore === undefined) throw sendYourself(chain, plan, terminal);
  await requireFunds(chain, plan);
  if (!isAgreed && !(await terminal.confirm("Send these transactions now?"))) {
    throw new LakeError("wallet-refused", "Nothing was sent, so there is nothing to serve with.", {
      advice: "Run 'lake provider up' again when you want to register.",
    });
  }
  await carryOut(chain, plan, await unlockWallet(config, terminal));
  terminal.say("Registered.");
}

function sendYourself(chain: ChainClient, plan: RegistrationPlan, terminal: Terminal): LakeError {
  terminal.say("Its wallet is not here. Send these from it, in this order:");
  for (const { says, to, data } of describeTransactions(chain, plan)) {
    terminal.say(`  ${says}\n    to   ${to}\n    data ${data}`);
  }
  return new LakeError("wallet-missing", "The configuration names no keystore to sign with.", {
    advice: "Send the transactions above, then run 'lake provider up' again.",
  });
}

function say(terminal: Terminal, service: ProviderService, config: ProviderConfig): void {
  const { endpoint, offers } = service.facts;
  for (const { model, weiPerSecond, milliTps, milliTpsAlone, ttftMs } of offers) {
    const [busy, alone] = [milliTps, milliTpsAlone].map((speed) => Math.round(speed / 1_000));
    terminal.say(
      `${model}: ${describePrice(BigInt(weiPerSecond))}, ${busy} tokens/s with all slots busy ` +
        `(${alone} alone), first token ${ttftMs} ms`,
    );
  }
  terminal.say(
    `Serving at ${endpoint}. 'lake provider status --config ${config.path}' shows more.`,
  );
}

function progressLine({ phase, bytes, totalBytes, bytesPerSecond, peers }: Progress): string {
  const share = totalBytes === 0 ? 0 : Math.floor((bytes / totalBytes) * 100);
  const rate = `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`;
  return phase === "done" ? "" : `${phase} ${share}% at ${rate} from ${peers} holders`;
}

function nothingToServe(config: ProviderConfig): LakeError {
  return new LakeError("config-invalid", `${config.path} names no model to serve.`, {
    advice: "Add one under 'models'.",
  });
}
