import { type Deployment, LakeError, routerPaths, type RouterStatus } from "@lake-travis/protocol";
import { createHttpClient } from "@lake-travis/platform";
import { operateLimits } from "./limits.ts";

/** A Router that answered, or why it did not. */
export interface AskedRouter {
  readonly url: string;
  readonly status: RouterStatus | undefined;
  readonly failure: LakeError | undefined;
  /** How far the Router's clock was ahead of ours, in milliseconds, half the way counted off. */
  readonly clockAheadMs: number;
}

/** Asks one Router who it is; never throws for a Router that is away or of another network. */
export async function askRouter(url: string, deployment: Deployment): Promise<AskedRouter> {
  const http = createHttpClient({ unreachable: "router-unreachable" });
  try {
    const askedAt = Date.now();
    const timeoutMs = operateLimits.routerMs;
    const json = await http.json("GET", url + routerPaths.status, undefined, { timeoutMs });
    const status = json as RouterStatus;
    const middle = (askedAt + Date.now()) / 2;
    const failure = isOf(status, deployment) ? undefined : ofAnotherNetwork(url);
    return { url, status, failure, clockAheadMs: Math.round(status.now - middle) };
  } catch (error) {
    if (!(error instanceof LakeError)) throw error;
    return { url, status: undefined, failure: error, clockAheadMs: 0 };
  } finally {
    await http.close();
  }
}

/** The first of some Routers that answers for this network; throws the first one's failure. */
export async function findRouter(
  urls: readonly string[],
  deployment: Deployment,
): Promise<AskedRouter> {
  const failures: LakeError[] = [];
  for (const url of urls) {
    const asked = await askRouter(url, deployment);
    if (asked.failure === undefined) return asked;
    failures.push(asked.failure);
  }
  throw failures[0] ?? new LakeError("router-unreachable", "No Router is configured.");
}

function isOf(status: RouterStatus, deployment: Deployment): boolean {
  const { chainId, computeContract } = deployment;
  return status.chainId === chainId && status.computeContract === computeContract;
}

function ofAnotherNetwork(url: string): LakeError {
  return new LakeError("chain-wrong", `The Router at ${url} is of another network.`, {
    advice: "Check the deployment file and the Router's URL.",
  });
}
