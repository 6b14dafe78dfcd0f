import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Hex } from "@lake-travis/protocol";
import {
  createLogger,
  generateKey,
  loadOrCreateKey,
  signerFromKey,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import type { ModelToServe } from "./model-shelf.ts";
import { type EndedSession, ProviderNode } from "./provider-node.ts";
import { createPinnedSend } from "./test-support/pinned-send.ts";
import { SimulatedEngine } from "./test-support/simulated-engine.ts";
import {
  randomHex,
  simulatedDeployment,
  SimulatedRouter,
} from "./test-support/simulated-router.ts";
import { SimulatedUser } from "./test-support/simulated-user.ts";

const dataDir = mkdtempSync(join(tmpdir(), "lake-shelf-"));
const deployment = simulatedDeployment();
const account = randomHex(20);
const router = new SimulatedRouter(randomHex(20), signerFromKey(generateKey()), deployment);
const first = "lake/first:latest";
const second = "lake/second:latest";
const engines = new Map<string, SimulatedEngine>();
const ended: EndedSession[] = [];
let node: ProviderNode;

function wanted(handle: string): ModelToServe {
  const engine = new SimulatedEngine({ slots: 2, tokens: 40, tokenMs: 1 });
  engines.set(handle, engine);
  return { handle, manifestDigest: randomHex(), weiPerSecond: 1_000n, minSeconds: 1, engine };
}

before(async () => {
  await router.start();
  const signingKey = signerFromKey(loadOrCreateKey(join(dataDir, "signing.key"))).address;
  const keys = new Map([
    [account, signingKey],
    [router.account, router.signer.address],
  ]);
  node = new ProviderNode({
    deployment,
    dataDir,
    account,
    routerUrl: router.url,
    host: "127.0.0.1",
    port: 0,
    models: [wanted(first)],
    directory: { signingKeyOf: (of) => Promise.resolve(keys.get(of)) },
    clock: systemClock,
    random: systemRandom,
    logger: createLogger({ name: "provider", level: "silent" }),
    onSessionEnded: (session) => ended.push(session),
  });
  await node.start();
});

after(async () => {
  await node.stop();
  await router.stop();
  rmSync(dataDir, { recursive: true });
});

/** The newest Offer of a model at the Router. */
function offerOf(model: string): { readonly hash: Hex; readonly slots: number; price: bigint } {
  const all = [...router.offers].filter(([, { message }]) => message.model === model);
  const [hash, signed] = all.sort((a, b) => b[1].message.sequence - a[1].message.sequence)[0] ?? [];
  assert.ok(hash !== undefined && signed !== undefined, `no Offer for ${model}`);
  return { hash, slots: signed.message.slots, price: signed.message.weiPerSecond };
}

function user(): SimulatedUser {
  return new SimulatedUser(router, createPinnedSend(node.facts.endpoint, dataDir));
}

function modelSnapshot(model: string) {
  return node.snapshot().models.find((each) => each.model === model);
}

test("a model can be added while others serve", async () => {
  const one = user();
  await one.open(offerOf(first).hash);
  await node.addModel(wanted(second));
  assert.equal(offerOf(second).slots, 2);
  const other = user();
  await other.open(offerOf(second).hash);
  const body = { model: second, messages: [{ role: "user", content: "hello" }] };
  assert.equal((await other.ask("/v1/chat/completions", body)).status, 200);
  assert.equal(modelSnapshot(second)?.openSessions, 1);
  assert.equal(node.snapshot().sessions.length, 2);
  await one.close();
  await other.close();
  assert.deepEqual(ended.map(({ model }) => model).sort(), [first, second]);
  assert.ok(ended.every(({ chargedSeconds, weiPerSecond }) => chargedSeconds > 0 && weiPerSecond));
});

test("a new price is a new Offer; the same price is none", async () => {
  await node.setPrice(second, 2_000n);
  const repriced = offerOf(second);
  assert.equal(repriced.price, 2_000n);
  await node.setPrice(second, 2_000n);
  assert.equal(offerOf(second).hash, repriced.hash);
});

test("an engine that comes back is offered at today's price", async () => {
  engines.get(second)?.setTrouble("ill for a test");
  await until(() => offerOf(second).slots === 0);
  assert.equal(modelSnapshot(second)?.trouble, "ill for a test");
  await node.setPrice(second, 3_000n);
  assert.equal(offerOf(second).slots, 0, "a model in trouble is not offered for a price change");
  engines.get(second)?.setTrouble(undefined);
  await until(() => offerOf(second).slots === 2);
  assert.equal(offerOf(second).price, 3_000n);
});

test("a model with an open Session is withdrawn, and unloaded only after it", async () => {
  const one = user();
  await one.open(offerOf(second).hash);
  assert.equal(await node.removeModel(second), false);
  assert.equal(offerOf(second).slots, 0);
  const body = { model: second, messages: [{ role: "user", content: "hello" }] };
  assert.equal((await one.ask("/v1/chat/completions", body)).status, 200, "it goes on");
  await node.offerAgain(second);
  assert.equal(offerOf(second).slots, 2, "the plan may change meanwhile");
  assert.equal(await node.removeModel(second), false);
  await one.close();
  await until(async () => await node.removeModel(second));
  assert.equal(modelSnapshot(second), undefined);
  assert.equal(engines.get(second)?.trouble, "The engine is not running.");
  assert.equal(offerOf(first).slots, 2, "the other one is untouched");
});

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, "it did not happen in time");
    await systemClock.sleep(20);
  }
}
