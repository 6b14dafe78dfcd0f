/*
 * The mission's workflow on the local network, step by step. Each step performs one thing and then
 * verifies it from outside: from the chain, from what a process published, from its own arithmetic.
 */
import { createRouterClient } from "@lake-travis/client";
import { connectChain } from "@lake-travis/platform/chain";
import { noteChainHead } from "./chain-memory.ts";
import { chainStep, fundingStep, stakingStep } from "./steps/chain-steps.ts";
import { offersStep, providersStep, publishStep, routerStep } from "./steps/model-steps.ts";
import { closeStep, grantStep, sessionStep, userStep } from "./steps/session-steps.ts";
import { claimStep, finalStep, recordStep, settlementStep } from "./steps/settlement-steps.ts";
import type { Workplace } from "./workplace.ts";

/** What the workflow leaves running, for whoever tries the network by hand. */
export interface RunningNetwork {
  readonly endpoint: string;
  readonly routerUrl: string;
}

/** Runs every step; throws at the first one that is not verified. */
export async function runWorkflow(place: Workplace): Promise<RunningNetwork> {
  const chain = await chainStep(place);
  const memory = connectChain(chain.deployment);
  place.network.beforeStop(noteChainHead(memory, place.network.dataDir));
  place.network.beforeStop(() => memory.close());
  await fundingStep(place, chain);
  await stakingStep(place, chain);
  const holder = await publishStep(place, chain);
  const routerUrl = await routerStep(place, chain, holder);
  await providersStep(place, { routerUrl, holder });
  const router = createRouterClient(routerUrl);
  try {
    const offers = await offersStep(place, router);
    const endpoint = await userStep(place, chain, routerUrl);
    const baseline = await grantStep(place, { chain, router, endpoint, offers });
    const chat = await sessionStep(place, endpoint);
    const ended = await closeStep(place, { router, endpoint, sessionId: chat.sessionId });
    const records = await recordStep(place, { chain, router, routerUrl, ended });
    const settled = await settlementStep(place, { chain, router, epoch: ended.epoch });
    await finalStep(place, chain, settled);
    await claimStep(place, { chain, router, records, baseline, provider: chat.provider });
    return { endpoint, routerUrl };
  } finally {
    await router.stop();
    chain.close();
  }
}
