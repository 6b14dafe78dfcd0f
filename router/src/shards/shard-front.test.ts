/* Three shards behind a front, each in its own process, with one Provider and several Users. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  type ChainEvent,
  closeType,
  type CreditProof,
  delegationType,
  type DelegationReceipt,
  domainOf,
  domainSeparatorOf,
  type Hex,
  LakeError,
  messageHash,
  type RequestForCompute,
  rfcType,
  type RouterStatus,
  type SessionRecord,
  type SessionState,
  type Signed,
  signedFromJson,
  signedToJson,
  splitCharge,
  ticketType,
  tickType,
  zeroBytes32,
} from "@lake-travis/protocol";
import {
  createHttpClient,
  createLogger,
  generateKey,
  signerFromKey,
  systemClock,
} from "@lake-travis/platform";
import { shardOf } from "../core/shard-of.ts";
import { SimulatedProvider } from "../test-support/simulated-provider.ts";
import { SimulatedUser } from "../test-support/simulated-user.ts";
import { factsToText, type TrialPlan } from "../test-support/trial-router.ts";
import { ShardFront } from "./shard-front.ts";

const account = (digit: string): Hex => `0x${digit.repeat(40)}`;
const clock = systemClock;
const count = 3;
const manifestDigest: Hex = `0x${"d".repeat(64)}`;
const model = "lake/tiny:latest";
const router = account("a");
const provider = account("c");

/** A User with where its Sessions are. */
interface Member {
  readonly user: SimulatedUser;
  readonly url: string;
  readonly delegationHash: Hex;
}

interface Opened {
  readonly member: Member;
  readonly sessionId: Hex;
  readonly sessionKey: Hex;
}

describe("three shards behind a front", () => {
  const deployment = {
    chainId: 31_337,
    rpcUrl: "http://127.0.0.1:1",
    deployBlock: 0,
    // All Sessions fit into the first epoch: one that crossed its end might be held for review.
    schedule: { genesisMs: clock.now() - 1_000, lengthMs: 20_000 },
    mor: account("1"),
    modelRegistry: account("2"),
    nodeRegistry: account("3"),
    computeContract: account("4"),
  };
  const domain = domainOf(deployment);
  const separator = domainSeparatorOf(domain);
  const users = Array.from({ length: 9 }, () => new SimulatedUser(domain, clock));
  const providerSigner = signerFromKey(generateKey());
  const http = createHttpClient({ unreachable: "router-unreachable" });
  const members: Member[] = [];
  const opened: Opened[] = [];
  let folder: string;
  let front: ShardFront;
  let simulated: SimulatedProvider;
  let beating: NodeJS.Timeout | undefined;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "shards-test-"));
    front = newFront();
    await front.start();
    simulated = new SimulatedProvider({
      ...{ folder, account: provider, signer: providerSigner, domain, clock },
      routerUrl: front.url,
    });
    await simulated.start();
    await until(async () => ((await get("/v1/status")) as RouterStatus).epoch >= 0);
    await simulated.publish({ model, manifestDigest, slots: 100, weiPerSecond: 1_000n });
    beating = setInterval(() => void simulated.beat({}).catch(() => undefined), 500);
  });

  after(async () => {
    clearInterval(beating);
    await front.stop();
    await simulated.stop();
    await http.close();
    await rm(folder, { recursive: true, force: true });
  });

  function newFront(): ShardFront {
    const [secret, signingKey] = [generateKey(), generateKey()];
    const mapFile = join(folder, "shards.json");
    const path = new URL("../test-support/trial-router.ts", import.meta.url);
    return new ShardFront({
      ...{ count, mapFile, secret, clock, host: "127.0.0.1", port: 0 },
      logger: createLogger({ name: "front", level: "silent" }),
      launch: (index, port) => {
        const own = join(folder, `shard-${index}`);
        const plan: TrialPlan = {
          ...{ folder: own, deployment, account: router, signingKey, port },
          budget: (10n ** 24n).toString(),
          // The chain outlives a shard: one that comes back knows its facts from its journal.
          facts: factsToText(port === 0 ? facts() : []),
          shard: { index, count, secret, mapFile },
        };
        const planPath = join(folder, `plan-${index}.json`);
        writeFileSync(planPath, JSON.stringify(plan));
        return fork(path, [planPath], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
      },
    });
  }

  const get = (path: string, url = front.url): Promise<unknown> => http.json("GET", url + path);
  const post = (path: string, body: unknown, url = front.url): Promise<unknown> =>
    http.json("POST", url + path, body);

  function rfcOf({ user, delegationHash }: Member): Signed<RequestForCompute> {
    return user.rfc({ router, delegationHash, model });
  }

  async function open(member: Member): Promise<Opened> {
    const rfc = signedToJson(rfcType, rfcOf(member));
    const grant = (await post("/v1/rfcs", rfc, member.url)) as Record<string, unknown>;
    const { sessionKey } = signedFromJson(ticketType, grant["ticket"]).message;
    const session = { member, sessionId: grant["sessionId"] as Hex, sessionKey };
    opened.push(session);
    return session;
  }

  async function tickAndClose({ member, sessionId, sessionKey }: Opened): Promise<void> {
    const figures = { sessionId, seconds: 2, requestsAnswered: 1, tokens: 40, activeMs: 800 };
    const tick = member.user.tick(sessionKey, figures);
    await simulated.beat({ connected: [sessionId], ticks: [simulated.countersign(tick)] });
    const tickHash = messageHash(separator, tickType, tick.message);
    const close = member.user.close(sessionKey, sessionId, tickHash);
    await post("/v1/closes", signedToJson(closeType, close), member.url);
  }

  /** All that were opened, and those that went on for them after an epoch's end. */
  async function allSessions(): Promise<SessionState[]> {
    const all: SessionState[] = [];
    for (const { member, sessionId } of opened) {
      for (let id: Hex | null = sessionId; id !== null; id = all.at(-1)?.successor ?? null) {
        all.push((await get(`/v1/sessions/${id}`, member.url)) as SessionState);
      }
    }
    return all;
  }

  it("tells each User where its shard is", async () => {
    for (const user of users) {
      const delegation = user.delegation();
      const body = { delegation: signedToJson(delegationType, delegation) };
      const receipt = (await post("/v1/delegations", body)) as DelegationReceipt;
      const shard = shardOf(user.wallet.address, count);
      assert.equal(receipt.routerUrl, front.supervisor.urls[shard]);
      const { delegationHash } = receipt;
      members.push({ user, url: receipt.routerUrl ?? "", delegationHash });
    }
    assert.ok(new Set(members.map(({ url }) => url)).size > 1, "Users of more than one shard");
  });

  it("points an RFC and a Delegation that came to another shard to the right one", async () => {
    const member = members.find(({ url }) => url !== front.supervisor.urls[0]) as Member;
    const isPointing = (error: unknown): boolean =>
      error instanceof LakeError &&
      error.code === "shard-wrong" &&
      error.data?.["url"] === member.url;
    await assert.rejects(post("/v1/rfcs", signedToJson(rfcType, rfcOf(member))), isPointing);
    const wrong = front.supervisor.urls.find((url, index) => index > 0 && url !== member.url);
    const delegation = signedToJson(delegationType, member.user.delegation({ nonce: 2 }));
    await assert.rejects(post("/v1/delegations", { delegation }, wrong), isPointing);
  });

  it("waits for slots that another shard's Sessions take", async () => {
    let refusals = 2;
    simulated.onAccept = () => {
      refusals -= 1;
      if (refusals < 0) return Promise.resolve();
      return Promise.reject(new LakeError("slots-full", "Every slot is taken."));
    };
    const session = await open(members[0] as Member);
    assert.ok(refusals < 0);
    await tickAndClose(session);
  });

  it("goes on after one shard is killed, with the Sessions that it had", async () => {
    for (const member of members.slice(1)) await open(member);
    const victim = members.at(-1) as Member;
    const index = front.supervisor.urls.indexOf(victim.url);
    const last = opened.at(-1) as Opened;
    process.kill(front.supervisor.pids[index] ?? 0, "SIGKILL");
    await until(async () => {
      const path = `/v1/sessions/${last.sessionId}`;
      const session = await get(path, victim.url).catch(() => undefined);
      return (session as SessionState | undefined)?.state === "granted";
    });
    for (const session of opened.slice(1)) await tickAndClose(session);
  });

  it("settles once for all, to the wei", async () => {
    const sum = await until(async () => {
      const page = (await get("/v1/records?max=100")) as { readonly records: SessionRecord[] };
      return page.records.length === (await allSessions()).length ? page.records : undefined;
    });
    const credits = new Map<string, bigint>();
    let charged = 0n;
    for (const record of sum) {
      assert.equal(record.fundedBy, "allowance");
      const payees = record.payees.map((payee) => {
        return { ...payee, weiPerSecond: BigInt(payee.weiPerSecond) };
      });
      const price = payees.reduce((total, { weiPerSecond }) => total + weiPerSecond, 0n);
      const fromAllowance = price * BigInt(record.seconds);
      charged += fromAllowance;
      const funding = { fromAllowance, fromDeposit: 0n };
      for (const { account: who, wei } of splitCharge({ funding, payees, router }).credits) {
        credits.set(who, (credits.get(who) ?? 0n) + wei);
      }
    }
    const told = (await allSessions()).map(({ charge }) => BigInt(charge ?? "-1"));
    assert.equal(
      told.reduce((total, wei) => total + wei, 0n),
      charged,
    );
    assert.ok(charged > 0n);
    for (const [who, wei] of credits) {
      const proof = await until(async () => {
        const said = await get(`/v1/credits/${who}`).catch(() => undefined);
        const known = said as CreditProof | undefined;
        return known !== undefined && BigInt(known.cumulative) >= wei ? known : undefined;
      });
      assert.equal(BigInt(proof.cumulative), wei);
    }
  });

  function facts(): ChainEvent[] {
    const name = "lake/tiny";
    return [
      ...users.map(({ wallet }): ChainEvent => {
        const to = wallet.address;
        return { type: "mor-transferred", from: account("0"), to, wei: 10n ** 18n };
      }),
      {
        ...{ type: "node-registered", account: provider, kind: "provider", stake: 1n },
        signingKey: providerSigner.address,
      },
      {
        ...{ type: "model-published", name, manifestDigest, kind: "model" },
        ...{ builder: account("b"), baseDigest: zeroBytes32 },
      },
      { type: "tag-moved", name, tag: "latest", manifestDigest },
      { type: "builder-price-changed", name, weiPerSecond: 100n, fromEpoch: 0 },
    ];
  }
});

/** Asks again until there is something that is neither undefined nor false. */
async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  const giveUpAt = clock.now() + 60_000;
  for (;;) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    assert.ok(clock.now() < giveUpAt, "it took too long");
    await clock.sleep(200);
  }
}
