import { rfcType, signedToJson } from "@lake-travis/protocol";
import { systemClock } from "@lake-travis/platform";
import type { TrialNetwork } from "../src/test-support/trial-network.ts";
import { HttpPost } from "./http-post.ts";
import { RfcSocketClient } from "./rfc-socket-client.ts";

/** What a load run measured. */
export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refused: number;
}

/** How a load is sent: as fast as it goes, or paced. */
interface LoadOptions {
  readonly concurrency: number;
  readonly perSecond?: number;
}

/** Signs RFCs ahead of the run: a User signs on a machine of its own, not on the Router's. */
export function signRfcs(network: TrialNetwork, count: number): string[] {
  const { router, model } = network;
  return Array.from({ length: count }, (_, index) => {
    const which = index % network.users.length;
    const user = network.users[which];
    const delegationHash = network.delegationHashes[which];
    if (user === undefined || delegationHash === undefined) throw new Error("no such User");
    const deadline = systemClock.now() + 110_000;
    const rfc = user.rfc({ router, delegationHash, model, maxSeconds: 5, deadline });
    return JSON.stringify(signedToJson(rfcType, rfc));
  });
}

/** Sends each RFC by POST, over `concurrency` connections with one request under way each. */
export async function loadByPost(
  network: TrialNetwork,
  rfcs: readonly string[],
  options: LoadOptions,
): Promise<LoadResult> {
  const port = Number(new URL(network.url).port);
  const posts: HttpPost[] = [];
  for (let index = 0; index < options.concurrency; index += 1) {
    posts.push(await HttpPost.connect(port));
  }
  const run = await runLoad(rfcs, options, async (rfc, worker) => {
    const answer = await (posts[worker] as HttpPost).send(rfc);
    return answer.includes('"sessionId":"0x');
  });
  for (const post of posts) post.close();
  return run;
}

/**
 * Sends the RFCs over WebSockets, so many in each frame, with as many frames under way as make
 * `concurrency` RFCs.
 */
export async function loadBySocket(
  network: TrialNetwork,
  rfcs: readonly string[],
  options: LoadOptions & { readonly perFrame: number; readonly sockets: number },
): Promise<LoadResult> {
  const { perFrame, sockets, concurrency } = options;
  const clients: RfcSocketClient[] = [];
  for (let index = 0; index < sockets; index += 1) {
    clients.push(await RfcSocketClient.connect(network.url));
  }
  const frames: string[][] = [];
  for (let at = 0; at < rfcs.length; at += perFrame) frames.push(rfcs.slice(at, at + perFrame));
  const workers = Math.max(1, Math.round(concurrency / perFrame));
  let refused = 0;
  const run = await runLoad(frames, { concurrency: workers }, async (frame, worker) => {
    const outcome = await (clients[worker % sockets] as RfcSocketClient).send(frame);
    refused += outcome.filter((session) => session === undefined).length;
    return true;
  });
  for (const client of clients) client.close();
  const perSecond = (run.perSecond * (rfcs.length - refused)) / frames.length;
  return { ...run, perSecond, refused };
}

async function runLoad<T>(
  items: readonly T[],
  options: LoadOptions,
  send: (item: T, worker: number) => Promise<boolean>,
): Promise<LoadResult> {
  const ms: number[] = [];
  let refused = 0;
  let next = 0;
  const begunAt = performance.now();
  const work = async (worker: number): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      const due = options.perSecond === undefined ? 0 : (index * 1000) / options.perSecond;
      const wait = begunAt + due - performance.now();
      if (wait > 1) await systemClock.sleep(wait);
      // Where the load is paced, what waited behind a slow one counts from when it was due.
      const from = options.perSecond === undefined ? performance.now() : begunAt + due;
      if (!(await send(items[index] as T, worker))) refused += 1;
      ms.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, (_, worker) => work(worker)));
  const seconds = (performance.now() - begunAt) / 1000;
  ms.sort((a, b) => a - b);
  const at = (share: number): number => ms[Math.floor((ms.length - 1) * share)] ?? 0;
  return { perSecond: (ms.length - refused) / seconds, p50Ms: at(0.5), p99Ms: at(0.99), refused };
}
