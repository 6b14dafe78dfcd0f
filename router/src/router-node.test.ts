import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  type CreditProof,
  closeType,
  creditLeaf,
  delegationType,
  domainOf,
  domainSeparatorOf,
  type EpochReport,
  type Hex,
  keccak256,
  LakeError,
  messageHash,
  recordRootOf,
  rfcType,
  type RouterStatus,
  type SessionRecord,
  type SessionState,
  signedFromJson,
  signedToJson,
  ticketType,
  tickType,
  toHex,
  fromHex,
  requireSigner,
} from "@lake-travis/protocol";
import {
  createHttpClient,
  createLogger,
  generateKey,
  nativeSignatures,
  signerFromKey,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import { IpfsNode } from "@lake-travis/registry";
import { RouterNode } from "./router-node.ts";
import { SimulatedChain } from "./test-support/simulated-chain.ts";
import { SimulatedProvider } from "./test-support/simulated-provider.ts";
import { SimulatedUser } from "./test-support/simulated-user.ts";

const account = (digit: string): Hex => `0x${digit.repeat(40)}`;
const router = account("a");
const builder = account("b");
const digest: Hex = `0x${"d".repeat(64)}`;
const model = "lake/tiny:latest";
const budget = 10n ** 21n;

describe("a Router on real sockets with a simulated chain", () => {
  const clock = systemClock;
  const schedule = { genesisMs: clock.now() - 1_000, lengthMs: 4_000 };
  const deployment = {
    chainId: 31_337,
    rpcUrl: "http://127.0.0.1:1",
    deployBlock: 0,
    schedule,
    mor: account("1"),
    modelRegistry: account("2"),
    nodeRegistry: account("3"),
    computeContract: account("4"),
  };
  const domain = domainOf(deployment);
  const separator = domainSeparatorOf(domain);
  const chain = new SimulatedChain({ clock, schedule, budget, separator });
  const user = new SimulatedUser(domain, clock);
  const providerSigner = signerFromKey(generateKey());
  const routerKey = generateKey();
  const http = createHttpClient({ unreachable: "router-unreachable" });
  let folder: string;
  let ipfs: IpfsNode;
  let node: RouterNode;
  let provider: SimulatedProvider;
  let url: string;
  let beating: NodeJS.Timeout | undefined;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "router-test-"));
    ipfs = new IpfsNode({ dataDir: folder });
    await ipfs.start();
    node = new RouterNode({
      databaseUrl: `sqlite:${folder}/projection.db`,
      ...{ deployment, dataDir: folder, account: router, signingKey: routerKey, ipfs, clock },
      host: "127.0.0.1",
      port: 0,
      chain,
      random: systemRandom,
      logger: createLogger({ name: "router", level: "silent" }),
    });
    chain.add(
      { type: "mor-transferred", from: account("0"), to: user.wallet.address, wei: 10n ** 20n },
      { type: "mor-transferred", from: account("0"), to: account("9"), wei: 10n ** 20n },
      {
        type: "node-registered",
        account: account("c"),
        kind: "provider",
        signingKey: providerSigner.address,
        stake: 1n,
      },
      {
        type: "model-published",
        name: "lake/tiny",
        manifestDigest: digest,
        kind: "model",
        builder,
        baseDigest: `0x${"0".repeat(64)}`,
      },
      { type: "tag-moved", name: "lake/tiny", tag: "latest", manifestDigest: digest },
      { type: "builder-price-changed", name: "lake/tiny", weiPerSecond: 100n, fromEpoch: 0 },
    );
    await node.start();
    url = node.facts.url;
    const signer = providerSigner;
    const routerUrl = url;
    provider = new SimulatedProvider({
      ...{ folder, account: account("c"), signer, domain, clock, routerUrl },
    });
    await provider.start();
    await until(async () => ((await get("/v1/status")) as RouterStatus).epoch >= 0);
    await provider.publish({ model, manifestDigest: digest });
    beating = setInterval(() => void provider.beat({}).catch(() => undefined), 1_000);
  });

  after(async () => {
    clearInterval(beating);
    await node.stop();
    await provider.stop();
    await ipfs.stop();
    await http.close();
    await rm(folder, { recursive: true, force: true });
  });

  const get = (path: string): Promise<unknown> => http.json("GET", url + path);
  const post = (path: string, body: unknown): Promise<unknown> =>
    http.json("POST", url + path, body);

  let delegations = 0;
  async function delegate(): Promise<Hex> {
    delegations += 1;
    const delegation = user.delegation({ nonce: delegations });
    await post("/v1/delegations", { delegation: signedToJson(delegationType, delegation) });
    return user.hashOf(delegation);
  }

  it("grants, meters, closes, records, settles and proves", async () => {
    const delegationHash = await delegate();
    const rfc = user.rfc({ router, delegationHash, model });
    const grant = (await post("/v1/rfcs", signedToJson(rfcType, rfc))) as Record<string, unknown>;
    const ticket = signedFromJson(ticketType, grant["ticket"]);
    const { address: expected } = signerFromKey(routerKey);
    requireSigner(separator, ticketType, ticket, { signatures: nativeSignatures, expected });
    const sessionId = messageHash(separator, ticketType, ticket.message);
    assert.equal(grant["sessionId"], sessionId);
    assert.equal(ticket.message.payees.length, 2);

    const key = ticket.message.sessionKey;
    const figures = { sessionId, seconds: 3, requestsAnswered: 1, tokens: 40, activeMs: 800 };
    const tick = user.tick(key, figures);
    await provider.beat({ connected: [sessionId], ticks: [provider.countersign(tick)] });
    await clock.sleep(300);
    const tickHash = messageHash(separator, tickType, tick.message);
    await post("/v1/closes", signedToJson(closeType, user.close(key, sessionId, tickHash)));
    const session = (await get(`/v1/sessions/${sessionId}`)) as SessionState;
    assert.equal(session.state, "ended");
    assert.equal(session.chargedSeconds, 1);
    assert.equal(session.charge, "1100");

    const { epoch } = ticket.message;
    await until(async () => ((await get(`/v1/epochs/${epoch}`)) as EpochReport).state === "final");
    const report = (await get(`/v1/epochs/${epoch}`)) as EpochReport;
    assert.equal(report.records, 1);
    const answer = await fetch(`${url}/v1/epochs/${epoch}/records`);
    const lines = (await answer.text()).trim().split("\n");
    const records = lines
      .map((line) => JSON.parse(line) as SessionRecord & { readonly kind?: string })
      .filter(({ kind }) => kind === undefined);
    assert.equal(recordRootOf(records), report.recordRoot);
    const filed = await fetch(`${ipfs.gatewayUrl}/ipfs/${report.recordCid ?? ""}?format=raw`);
    assert.equal(await filed.text(), `${lines.join("\n")}\n`);

    await until(async () => {
      const page = (await get(`/v1/records?epoch=${epoch}`)) as { records: SessionRecord[] };
      return page.records.length === records.length;
    });

    // Charge 1100: net of the 1% fee 1089, of which the Provider's share is 1000 in 1100.
    const proof = (await get(`/v1/credits/${account("c")}`)) as CreditProof;
    assert.equal(proof.cumulative, "990");
    assert.equal(rootOf(creditLeaf(account("c"), 990n), proof.proof), report.creditRoot);
    // The Builder's share, and 10% of the charge as emission.
    const builderProof = (await get(`/v1/credits/${builder}`)) as CreditProof;
    assert.equal(builderProof.cumulative, "209");
  });

  it("carries a Session across an epoch's end", async () => {
    const delegationHash = await delegate();
    const rfc = user.rfc({ router, delegationHash, model });
    const grant = (await post("/v1/rfcs", signedToJson(rfcType, rfc))) as Record<string, unknown>;
    const { message: ticket } = signedFromJson(ticketType, grant["ticket"]);
    const sessionId = grant["sessionId"] as Hex;
    const key = ticket.sessionKey;
    const tick = (id: Hex, seconds: number): ReturnType<SimulatedProvider["countersign"]> =>
      provider.countersign(user.tick(key, { sessionId: id, seconds }));
    let reply = await provider.beat({ connected: [sessionId], ticks: [tick(sessionId, 6)] });
    await until(async () => {
      reply = await provider.beat({});
      return reply.successors.some(({ previous }) => previous === sessionId);
    });
    const found = reply.successors.find(({ previous }) => previous === sessionId);
    const successor = signedFromJson(ticketType, found?.ticket);
    assert.equal(successor.message.epoch, ticket.epoch + 1);
    assert.equal(successor.message.sessionKey, key);
    assert.equal(successor.message.minSeconds, 0);
    const next = messageHash(separator, ticketType, successor.message);
    await provider.beat({ ticks: [tick(next, 2)], closes: [] });
    const { tickHash } = { tickHash: messageHash(separator, tickType, tick(next, 2).tick) };
    await provider.beat({ closes: [{ sessionId: next, tickHash }] });
    const ended = (await get(`/v1/sessions/${next}`)) as SessionState;
    assert.equal(ended.state, "ended");
    await until(async () => {
      return ((await get(`/v1/sessions/${sessionId}`)) as SessionState).charge !== null;
    });
    const first = (await get(`/v1/sessions/${sessionId}`)) as SessionState;
    assert.equal(first.endReason, "epoch-ended");
    assert.equal(first.successor, next);
    const charged = first.chargedSeconds ?? 0;
    assert.ok(charged >= 1 && charged <= 5, `${charged} s charged`);
  });

  it("names each refusal", async () => {
    const delegationHash = await delegate();
    const ask = async (rfc: ReturnType<SimulatedUser["rfc"]>): Promise<string> => {
      try {
        await post("/v1/rfcs", signedToJson(rfcType, rfc));
        return "granted";
      } catch (error) {
        return error instanceof LakeError ? error.code : "internal";
      }
    };
    const base = { router, delegationHash, model };
    const stranger = new SimulatedUser(domain, clock);
    const replayed = user.rfc(base);
    assert.equal(await ask(replayed), "granted");
    assert.equal(await ask(replayed), "message-replayed");
    assert.equal(await ask(user.rfc({ ...base, model: "lake/none:latest" })), "model-unknown");
    assert.equal(await ask(user.rfc({ ...base, maxWeiPerSecond: 1n })), "price-cap-too-low");
    assert.equal(await ask(user.rfc({ ...base, minMilliTps: 10 ** 9 })), "speed-not-offered");
    assert.equal(await ask(user.rfc({ ...base, router: account("e") })), "audience-wrong");
    assert.equal(await ask(user.rfc({ ...base, deadline: 1 })), "message-expired");
    assert.equal(await ask(user.rfc({ ...base, deadline: 2 ** 50 })), "deadline-too-far");
    assert.equal(await ask(user.rfc({ ...base, delegationHash: digest })), "delegation-unknown");
    assert.equal(await ask(stranger.rfc(base)), "signer-wrong");
    const other = stranger.delegation();
    await post("/v1/delegations", { delegation: signedToJson(delegationType, other) });
    const poor = { ...base, delegationHash: stranger.hashOf(other) };
    assert.equal(await ask(stranger.rfc(poor)), "mor-missing");
    provider.onAccept = () => Promise.reject(new LakeError("shutting-down", "No."));
    assert.equal(await ask(user.rfc(base)), "provider-refused");
    provider.onAccept = () => clock.sleep(3_000);
    assert.equal(await ask(user.rfc(base)), "provider-none");
  });

  async function until(condition: () => Promise<boolean>): Promise<void> {
    const giveUpAt = clock.now() + 20_000;
    while (!(await condition())) {
      assert.ok(clock.now() < giveUpAt, "it did not happen in time");
      await clock.sleep(100);
    }
  }
});

function rootOf(leaf: Uint8Array, proof: readonly Hex[]): Hex {
  const root = proof.reduce((node, text) => {
    const other = fromHex(text);
    const ordered = Buffer.compare(node, other) < 0 ? [node, other] : [other, node];
    return keccak256(Buffer.concat(ordered));
  }, leaf);
  return toHex(root);
}
