import { Agent, request } from "node:http";
import { type Hex, rfcType, routerPaths, signedToJson } from "@lake-travis/protocol";
import { systemClock } from "@lake-travis/platform";
import type { TrialNetwork } from "../src/test-support/trial-network.ts";

/** What a load run measured. */
export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refused: number;
  readonly sessions: readonly Hex[];
}

/** Signs RFCs ahead of the run: a User signs on a machine of its own, not on the Router's. */
export function signRfcs(network: TrialNetwork, count: number): Buffer[] {
  const { router, model } = network;
  return Array.from({ length: count }, (_, index) => {
    const which = index % network.users.length;
    const user = network.users[which];
    const delegationHash = network.delegationHashes[which];
    if (user === undefined || delegationHash === undefined) throw new Error("no such User");
    const deadline = systemClock.now() + 110_000;
    const rfc = user.rfc({ router, delegationHash, model, maxSeconds: 5, deadline });
    return Buffer.from(JSON.stringify(signedToJson(rfcType, rfc)));
  });
}

/**
 * Sends all bodies as fast as `concurrency` connections go, or at `perSecond` where it is given.
 */
export async function runLoad(
  network: TrialNetwork,
  bodies: readonly Buffer[],
  options: { readonly concurrency: number; readonly perSecond?: number },
): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: options.concurrency });
  const port = Number(new URL(network.url).port);
  const tally = { ms: [] as number[], refused: 0, sessions: [] as Hex[] };
  const begunAt = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < bodies.length) {
      const index = next;
      next += 1;
      const due = options.perSecond === undefined ? 0 : (index * 1000) / options.perSecond;
      const wait = begunAt + due - performance.now();
      if (wait > 1) await systemClock.sleep(wait);
      // Where the load is paced, what waited behind a slow one counts from when it was due.
      const from = options.perSecond === undefined ? performance.now() : begunAt + due;
      const answer = await post(agent, port, bodies[index] as Buffer);
      tally.ms.push(performance.now() - from);
      const sessionId = /"sessionId":"(0x[0-9a-f]{64})"/.exec(answer)?.[1];
      if (sessionId === undefined) tally.refused += 1;
      else tally.sessions.push(sessionId as Hex);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  const seconds = (performance.now() - begunAt) / 1000;
  agent.destroy();
  tally.ms.sort((a, b) => a - b);
  const at = (share: number): number => tally.ms[Math.floor((tally.ms.length - 1) * share)] ?? 0;
  return {
    perSecond: tally.sessions.length / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    refused: tally.refused,
    sessions: tally.sessions,
  };
}

function post(agent: Agent, port: number, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": body.length };
    const path = routerPaths.rfcs;
    const options = { agent, host: "127.0.0.1", port, path, method: "POST", headers };
    const sent = request(options, (answer) => {
      let text = "";
      answer.setEncoding("latin1");
      answer.on("data", (chunk: string) => (text += chunk));
      answer.once("end", () => {
        resolve(text);
      });
    });
    sent.once("error", reject);
    sent.end(body);
  });
}
