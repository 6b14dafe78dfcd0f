import { TrialNetwork } from "../src/test-support/trial-network.ts";
import { measureCryptoLimit } from "./crypto-limit.ts";
import { loadByPost, loadBySocket, type LoadResult, signRfcs } from "./load.ts";

/** What one run measured. */
export interface RfcSample {
  /** Signature operations of one RFC that one core does, per second. */
  readonly limit: number;
  readonly post: LoadResult;
  /** At half of the rate that `post` reached. */
  readonly paced: LoadResult;
  readonly socket: LoadResult;
  readonly rfcs: number;
}

/**
 * Sends RFCs to fresh Routers, each in a process of its own. Load generator and Provider share
 * another process on the same machine, and the Provider signs its Accepts there; RFCs are signed
 * ahead. A run is over before its first Ticket lapses: nobody connects here.
 */
export async function measureRfcs(quick: boolean): Promise<RfcSample> {
  const count = quick ? 320 : 12_000;
  const limit = measureCryptoLimit(quick ? 0.2 : 2);
  const post = await onFreshRouter(count, (network, rfcs) =>
    loadByPost(network, rfcs, { concurrency: 32 }),
  );
  const perSecond = post.perSecond / 2;
  const paced = await onFreshRouter(count / 2, (network, rfcs) =>
    loadByPost(network, rfcs, { concurrency: 64, perSecond }),
  );
  const socket = await onFreshRouter(count, (network, rfcs) =>
    loadBySocket(network, rfcs, { concurrency: 128, perFrame: 16, sockets: 2 }),
  );
  const again = measureCryptoLimit(quick ? 0.2 : 2);
  return { limit: (limit + again) / 2, post, paced, socket, rfcs: count * 2.5 };
}

/** Warms a Router up with a fifth of the load, then measures the load. */
async function onFreshRouter(
  count: number,
  load: (network: TrialNetwork, rfcs: readonly string[]) => Promise<LoadResult>,
): Promise<LoadResult> {
  // So many that none runs into what one User may have open or let lapse.
  const users = Math.ceil(count / 8);
  const network = await TrialNetwork.start({ users, slots: 4_000_000, epochMs: 3_600_000 });
  const beating = setInterval(() => void network.simulated.beat({}).catch(() => undefined), 1_000);
  try {
    const [warm, rfcs] = [signRfcs(network, Math.ceil(count / 5)), signRfcs(network, count)];
    await load(network, warm);
    const result = await load(network, rfcs);
    if (result.refused > 0) throw new Error(`${result.refused} RFCs were refused`);
    return result;
  } finally {
    clearInterval(beating);
    await network.stop();
  }
}
