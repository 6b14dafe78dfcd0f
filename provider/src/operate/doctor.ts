/*
 * Looks at everything that a Provider needs, from outside and while it runs or not. Each check is
 * one line: what was found, or what is wrong and what to do.
 */
import { existsSync } from "node:fs";
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import {
  type Deployment,
  formatMorShort,
  type Hex,
  LakeError,
  limits as protocolLimits,
} from "@lake-travis/protocol";
import {
  createHttpClient,
  loadOrCreateCertificate,
  loadOrCreateKey,
  signerFromKey,
  systemClock,
} from "@lake-travis/platform";
import {
  type ChainClient,
  connectChain,
  readDeployment,
  requireContracts,
} from "@lake-travis/platform/chain";
import { askControl } from "./control-socket.ts";
import { askRouter } from "./find-router.ts";
import { addressOfKeystore } from "./keystore.ts";
import { operateLimits } from "./limits.ts";
import type { ProviderConfig } from "./provider-config.ts";
import { readMachine } from "./read-machine.ts";
import { readOffers } from "./read-market.ts";
import { readStanding } from "./register-node.ts";
import { formatSize, type StatusReport, statusFromJson } from "./status-report.ts";

/** One thing that was looked at. */
export interface Finding {
  readonly name: string;
  readonly isOk: boolean;
  readonly says: string;
  /** What to do about it; empty where nothing has to be done. */
  readonly advice: string;
}

/** Runs every check; a failing one stops no other that does not need it. */
export async function examine(config: ProviderConfig): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const add = async (name: string, look: () => Promise<string>): Promise<void> => {
    findings.push(await find(name, look));
  };
  await add("folder", () => checkFolder(config));
  await add("disk", () => checkDisk(config));
  await add("wallet", async () => checkWallet(config));
  let deployment: Deployment | undefined;
  await add("network", async () => {
    deployment = readDeployment(config.deployment);
    return `chain ${deployment.chainId}, Compute Contract ${deployment.computeContract}`;
  });
  const report = await running(config);
  if (deployment !== undefined) await examineNetwork(config, deployment, report, add);
  await add("process", async () => checkProcess(config, report));
  if (report !== undefined) await add("public address", () => checkAddress(config, report));
  for (const { engine, model } of config.models) {
    if (engine !== undefined) await add(`engine of ${model}`, () => checkServer(engine.baseUrl));
  }
  return findings;
}

type Add = (name: string, look: () => Promise<string>) => Promise<void>;

async function find(name: string, look: () => Promise<string>): Promise<Finding> {
  try {
    return { name, isOk: true, says: await look(), advice: "" };
  } catch (error) {
    if (!(error instanceof LakeError)) throw error;
    return { name, isOk: false, says: error.message, advice: error.advice ?? "" };
  }
}

function red(sentence: string, advice: string): LakeError {
  return new LakeError("argument-invalid", sentence, { advice });
}

async function examineNetwork(
  config: ProviderConfig,
  deployment: Deployment,
  report: StatusReport | undefined,
  add: Add,
): Promise<void> {
  const chain = connectChain(deployment);
  try {
    await add("chain", () => checkChain(chain));
    await add("stake", () => checkStake(chain, config));
  } finally {
    chain.close();
  }
  for (const url of config.routers) {
    await add(`router ${url}`, () => checkRouter(url, deployment));
  }
  if (report !== undefined) await add("offers", () => checkOffers(config, report));
}

async function checkFolder({ dataDir }: ProviderConfig): Promise<string> {
  if (!existsSync(dataDir)) return `${dataDir} will be made at the first start`;
  try {
    await access(dataDir, constants.W_OK | constants.X_OK);
  } catch {
    throw red(`${dataDir} cannot be written.`, "Give its folder to the user that runs 'up'.");
  }
  return `${dataDir} can be written`;
}

async function checkDisk({ dataDir, path }: ProviderConfig): Promise<string> {
  const { diskFreeBytes } = await readMachine(existsSync(dataDir) ? dataDir : join(path, ".."));
  if (diskFreeBytes < operateLimits.diskFreeBytesMin) {
    throw red(`Only ${formatSize(diskFreeBytes)} are left.`, "Free some disk space.");
  }
  return `${formatSize(diskFreeBytes)} free`;
}

function checkWallet({ account, keystore }: ProviderConfig): string {
  if (keystore === undefined) return `${account}, its wallet is elsewhere`;
  const held = addressOfKeystore(keystore);
  if (held === account) return `${account} in ${keystore}`;
  throw red(`${keystore} holds ${held}, not ${account}.`, "Correct 'account' or 'keystore'.");
}

async function checkChain(chain: ChainClient): Promise<string> {
  await requireContracts(chain);
  const block = await chain.provider.getBlock("latest");
  const aheadMs = (block?.timestamp ?? 0) * 1_000 - Date.now();
  if (aheadMs > protocolLimits.clockSkewMsMax) {
    const seconds = Math.round(aheadMs / 1_000);
    throw red(
      `The chain's newest block is ${seconds} s ahead of this clock.`,
      "Set this machine's clock; time servers do it by themselves.",
    );
  }
  if (-aheadMs > operateLimits.blockAgeMsMax) {
    const minutes = Math.round(-aheadMs / 60_000);
    throw red(
      `The chain's newest block is ${minutes} minutes old.`,
      "Check the clock and whether the chain's node keeps up.",
    );
  }
  return `block ${block?.number ?? 0}, ${Math.max(0, Math.round(-aheadMs / 1_000))} s old`;
}

async function checkStake(chain: ChainClient, config: ProviderConfig): Promise<string> {
  const { account, dataDir } = config;
  const standing = await readStanding(chain, account);
  const { isSlashed, minimumStake, role, signingKey, stake } = standing;
  if (isSlashed) throw red(`${account} was slashed.`, "Use another wallet.");
  if (role !== "provider" || stake < minimumStake) {
    throw red(`${account} has not staked as a Provider.`, "'lake provider up' does it.");
  }
  const keyPath = join(dataDir, "signing.key");
  const own = existsSync(keyPath) ? signerFromKey(loadOrCreateKey(keyPath)).address : undefined;
  if (own !== signingKey) {
    throw red(
      `The chain names the signing key ${signingKey}, this folder holds ${own ?? "none"}.`,
      "'lake provider up' names the one in the folder; or restore the other one.",
    );
  }
  return `${formatMorShort(stake)} MOR, signing key ${signingKey}`;
}

async function checkRouter(url: string, deployment: Deployment): Promise<string> {
  const { clockAheadMs, failure, status } = await askRouter(url, deployment);
  if (failure !== undefined) throw failure;
  if (Math.abs(clockAheadMs) > protocolLimits.clockSkewMsMax) {
    const side = clockAheadMs > 0 ? "behind" : "ahead of";
    const seconds = Math.round(Math.abs(clockAheadMs) / 1_000);
    throw red(`This clock is ${seconds} s ${side} the Router's.`, "Set this machine's clock.");
  }
  return `answers, epoch ${status?.epoch ?? 0}, clocks ${Math.abs(clockAheadMs)} ms apart`;
}

async function checkOffers(config: ProviderConfig, report: StatusReport): Promise<string> {
  const { account, models, routerUrl } = report.node;
  const http = createHttpClient({ unreachable: "router-unreachable" });
  try {
    const listed = (await readOffers(http, routerUrl)).filter(
      ({ offer }) => offer.message.provider === account,
    );
    const missing = models.filter(
      ({ model, isOffered }) =>
        isOffered && !listed.some(({ offer }) => offer.message.model === model),
    );
    const names = missing.map(({ model }) => model).join(", ");
    if (missing.length > 0) {
      throw red(
        `The Router does not list ${names}.`,
        "It lists Providers that it hears and whose stake counts: new ones from the next epoch.",
      );
    }
    return `${listed.length} listed for ${config.account}`;
  } finally {
    await http.close();
  }
}

function checkProcess(config: ProviderConfig, report: StatusReport | undefined): string {
  if (report === undefined) {
    throw red(`No Provider runs on ${config.dataDir}.`, "Start it with 'lake provider up'.");
  }
  const [problem] = report.problems;
  if (problem !== undefined) throw red(problem.what, problem.advice);
  return `runs and serves ${report.node.models.length} models`;
}

/**
 * Connects to what the Offers name, as a User does. From this machine that is no proof that others
 * get through, so a Session by anybody is named as one.
 */
async function checkAddress(config: ProviderConfig, report: StatusReport): Promise<string> {
  const { endpoint } = report.node;
  const { fingerprint } = await loadOrCreateCertificate(config.dataDir, systemClock);
  await requireTls(endpoint, fingerprint);
  const hasSold = report.node.sessions.length > 0 || report.earnings.length > 0;
  const { hostname } = new URL(endpoint);
  if (/^(127\.|localhost$|\[?::1)/.test(hostname) && config.publicUrl === undefined) {
    return `${endpoint} answers with our certificate; only this machine can reach it`;
  }
  if (hasSold) return `${endpoint} answers with our certificate, and Users have been there`;
  return (
    `${endpoint} answers with our certificate from here; nobody has come from outside yet, ` +
    "so check the firewall and the forwarding of that port"
  );
}

async function requireTls(endpoint: string, pinnedFingerprint: Hex): Promise<void> {
  const http = createHttpClient({ unreachable: "provider-unreachable", pinnedFingerprint });
  const timeoutMs = operateLimits.routerMs;
  try {
    const answer = await http.stream("GET", `${endpoint}/v1/models`, undefined, { timeoutMs });
    // The pin was checked before anything was sent; what the answer says does not matter here.
    await answer.body[Symbol.asyncIterator]().return?.();
  } catch (cause) {
    throw new LakeError("provider-unreachable", `${endpoint} does not answer as this Provider.`, {
      advice:
        "Forward that port to this machine, and let no proxy end the TLS: its certificate is ours.",
      cause,
    });
  } finally {
    await http.close();
  }
}

async function checkServer(baseUrl: string): Promise<string> {
  const http = createHttpClient({ unreachable: "engine-failed" });
  const timeoutMs = operateLimits.routerMs;
  try {
    const { status } = await http.stream("GET", `${baseUrl}/models`, undefined, { timeoutMs });
    if (status < 500) return `${baseUrl} answers (HTTP ${status})`;
    throw red(`${baseUrl} answers with HTTP ${status}.`, "See that server's own log.");
  } catch (cause) {
    if (cause instanceof LakeError && cause.code !== "engine-failed") throw cause;
    throw red(`${baseUrl} does not answer.`, "Start that server, or correct 'engineUrl'.");
  } finally {
    await http.close();
  }
}

async function running(config: ProviderConfig): Promise<StatusReport | undefined> {
  try {
    return statusFromJson(await askControl(config.dataDir, "/status"));
  } catch (error) {
    if (error instanceof LakeError) return undefined;
    throw error;
  }
}
