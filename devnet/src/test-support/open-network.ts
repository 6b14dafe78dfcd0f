import { join } from "node:path";
import { loadActors } from "../actors.ts";
import { LocalNetwork } from "../local-network.ts";
import { createStepPrinter } from "../step-printer.ts";
import { chainStep, fundingStep, stakingStep } from "../steps/chain-steps.ts";
import { providersStep, publishStep, routerStep } from "../steps/model-steps.ts";
import { userStep } from "../steps/session-steps.ts";

/** A local network with everybody in place and no Session yet. */
export interface OpenNetwork {
  readonly deploymentPath: string;
  readonly routerUrl: string;
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** Starts what `npm start` starts, up to the User's endpoint: a test needs no settled workflow. */
export async function openNetwork(dataDir: string): Promise<OpenNetwork> {
  const network = await LocalNetwork.open(dataDir, () => undefined);
  try {
    const printer = createStepPrinter({ json: false, write: () => undefined, now: Date.now });
    const place = { network, actors: loadActors(dataDir), printer, port: 0 };
    const chain = await chainStep(place);
    await fundingStep(place, chain);
    await stakingStep(place, chain);
    const holder = await publishStep(place, chain);
    const routerUrl = await routerStep(place, chain, holder);
    await providersStep(place, { routerUrl, holder });
    const endpoint = await userStep(place, chain, routerUrl);
    chain.close();
    const deploymentPath = join(dataDir, "deployment.json");
    return { deploymentPath, routerUrl, endpoint, stop: () => network.stop() };
  } catch (error) {
    await network.stop();
    throw error;
  }
}
