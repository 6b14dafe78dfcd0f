import {
  type Address,
  type Hex,
  messageToJson,
  rfcType,
  type RouterStatus,
  routerPaths,
  signedToJson,
  tickType,
} from "@lake-travis/protocol";
import { systemClock } from "@lake-travis/platform";
import type { SimulatedUser } from "../src/test-support/simulated-user.ts";
import { TrialNetwork } from "../src/test-support/trial-network.ts";
import { RfcSocketClient } from "./rfc-socket-client.ts";

/** What holding many Sessions took. */
export interface HeldSessions {
  /** Open at the end. */
  readonly sessions: number;
  readonly ticksPerSecond: number;
  readonly beatP99Ms: number;
}

interface Opened {
  readonly user: SimulatedUser;
  readonly key: Address;
  readonly id: Hex;
}

const usersPer = 50;
const perFrame = 50;
/** Sessions that are opened before the Provider reports them, well before their Tickets lapse. */
const perChunk = 1_000;
const firstSeconds = 600;
const tickEverySeconds = 10;
const beatsPerSecond = 10;

/**
 * Opens so many Sessions at a Router in a process of its own and holds them for some rounds, with a
 * countersigned Tick of each every ten seconds. Both signatures of each Tick are made beforehand:
 * Users and Providers have machines of their own.
 */
export async function measureHeldSessions(count: number, rounds: number): Promise<HeldSessions> {
  const users = Math.ceil(count / usersPer);
  const network = await TrialNetwork.start({ users, slots: count * 2, epochMs: 36_000_000 });
  try {
    const opened = await openAll(network, count);
    const batches: string[][] = [];
    for (let round = 1; round <= rounds; round += 1) {
      batches.push(...(await signTicks(network, opened, round)));
    }
    const ms: number[] = [];
    const begunAt = performance.now();
    for (const [index, ticks] of batches.entries()) {
      const due = begunAt + (index * 1000) / beatsPerSecond;
      if (due > performance.now()) await systemClock.sleep(due - performance.now());
      await network.simulated.beatText(ticks);
      ms.push(performance.now() - due);
    }
    const seconds = Math.max(performance.now() - begunAt, (batches.length * 1000) / beatsPerSecond);
    ms.sort((a, b) => a - b);
    const url = network.url + routerPaths.status;
    const status = (await network.http.json("GET", url)) as RouterStatus;
    return {
      sessions: status.openSessions,
      ticksPerSecond: (count * rounds * 1000) / seconds,
      beatP99Ms: ms[Math.floor((ms.length - 1) * 0.99)] ?? 0,
    };
  } finally {
    await network.stop();
  }
}

async function openAll(network: TrialNetwork, count: number): Promise<Opened[]> {
  const client = await RfcSocketClient.connect(network.url);
  const opened: Opened[] = [];
  while (opened.length < count) {
    const size = Math.min(perChunk, count - opened.length);
    const asked: ReturnType<typeof rfcOf>[] = [];
    for (let at = 0; at < size; at += 1) {
      if (at % perFrame === 0) await beatWhenDue(network);
      asked.push(rfcOf(network, opened.length + at));
    }
    const frames: Promise<readonly (Hex | undefined)[]>[] = [];
    for (let at = 0; at < size; at += perFrame) {
      frames.push(client.send(asked.slice(at, at + perFrame).map(({ text }) => text)));
    }
    const ids = (await Promise.all(frames)).flat();
    const chunk = asked.map(({ user, key }, at): Opened => {
      const id = ids[at];
      if (id === undefined) throw new Error("an RFC was refused");
      return { user, key, id };
    });
    const ticks = chunk.map(({ user, key, id }) => {
      return network.simulated.countersign(
        user.tick(key, { sessionId: id, seconds: firstSeconds }),
      );
    });
    await network.simulated.beat({ connected: chunk.map(({ id }) => id), ticks });
    opened.push(...chunk);
  }
  client.close();
  return opened;
}

let beatenAt = 0;

/** All the signing here takes long, and a Provider that is silent for some seconds is gone. */
async function beatWhenDue(network: TrialNetwork): Promise<void> {
  if (performance.now() - beatenAt < 500) return;
  beatenAt = performance.now();
  await network.simulated.beat({});
}

function rfcOf(network: TrialNetwork, index: number) {
  const which = index % network.users.length;
  const user = network.users[which];
  const delegationHash = network.delegationHashes[which];
  if (user === undefined || delegationHash === undefined) throw new Error("no such User");
  const { router, model } = network;
  const rfc = user.rfc({ router, delegationHash, model, maxSeconds: 3_600 });
  return { user, key: rfc.message.sessionKey, text: JSON.stringify(signedToJson(rfcType, rfc)) };
}

/** One round's Ticks as JSON, in the batches of one beat each. Beats go on meanwhile. */
async function signTicks(
  network: TrialNetwork,
  opened: readonly Opened[],
  round: number,
): Promise<string[][]> {
  const perBeat = Math.ceil(opened.length / (tickEverySeconds * beatsPerSecond));
  const seconds = firstSeconds + round * tickEverySeconds;
  const batches: string[][] = [];
  for (let at = 0; at < opened.length; at += perBeat) {
    const batch = opened.slice(at, at + perBeat).map(({ user, key, id }) => {
      const signed = user.tick(key, { sessionId: id, seconds });
      const { tick, ...signatures } = network.simulated.countersign(signed);
      return JSON.stringify({ tick: messageToJson(tickType, tick), ...signatures });
    });
    batches.push(batch);
    await beatWhenDue(network);
  }
  return batches;
}
