import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  type ChallengeAnswer,
  closeReasons,
  type Hex,
  providerPaths,
  type TickReceipt,
} from "@lake-travis/protocol";
import {
  createLogger,
  generateKey,
  loadOrCreateKey,
  signerFromKey,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import type { ChildEngine } from "./engine/child-engine.ts";
import { createEngineChild } from "./engine/create-engine-child.ts";
import { ProviderNode } from "./provider-node.ts";
import { createPinnedSend } from "./test-support/pinned-send.ts";
import {
  randomHex,
  simulatedDeployment,
  SimulatedRouter,
} from "./test-support/simulated-router.ts";
import { type Send, SimulatedUser } from "./test-support/simulated-user.ts";

const modelPath = fileURLToPath(
  new URL("../../assets/models/lake-travis-tiny-q8_0.gguf", import.meta.url),
);
const handle = "lake/travis-tiny:latest";
const dataDir = mkdtempSync(join(tmpdir(), "lake-provider-"));
const deployment = simulatedDeployment();
const account = randomHex(20);
const router = new SimulatedRouter(randomHex(20), signerFromKey(generateKey()), deployment);
let node: ProviderNode;
let engine: ChildEngine;
let send: Send;
let offerHash: Hex;

function createNode(): ProviderNode {
  engine = createEngineChild({ modelPath, slots: 2, gpu: false }, systemClock);
  const signingKey = signerFromKey(loadOrCreateKey(join(dataDir, "signing.key"))).address;
  const keys = new Map([
    [account, signingKey],
    [router.account, router.signer.address],
  ]);
  return new ProviderNode({
    deployment,
    dataDir,
    account,
    routerUrl: router.url,
    host: "127.0.0.1",
    port: 0,
    models: [
      {
        handle,
        manifestDigest: randomHex(),
        weiPerSecond: 1_000n,
        minSeconds: 1,
        engine,
      },
    ],
    directory: { signingKeyOf: (of) => Promise.resolve(keys.get(of)) },
    clock: systemClock,
    random: systemRandom,
    logger: createLogger({ name: "provider", level: "silent" }),
  });
}

async function startNode(): Promise<void> {
  node = createNode();
  await node.start();
  const { endpoint, offers } = node.facts;
  offerHash = offers[0]?.offerHash ?? "0x";
  send = createPinnedSend(endpoint, dataDir);
}

before(async () => {
  await router.start();
  await startNode();
});

after(async () => {
  await node.stop();
  await router.stop();
  rmSync(dataDir, { recursive: true });
});

const question = {
  model: "lake/travis-tiny",
  messages: [{ role: "user", content: "What is Lake Travis?" }],
  max_tokens: 40,
  temperature: 0,
};

test("a Session from Offer to Close over pinned TLS, with a real model", async () => {
  const user = new SimulatedUser(router, send);
  const opened = await user.open(offerHash);
  assert.match(opened.token, /^[\w-]{43}$/);
  const answer = await user.ask("/v1/chat/completions", question);
  assert.equal(answer.status, 200);
  const json = (await answer.json()) as {
    choices: { message: { content: string }; finish_reason: string }[];
    usage: { completion_tokens: number };
  };
  assert.match(json.choices[0]?.message.content ?? "", /decentralised AI inference network/);
  const stream = await user.ask("/v1/chat/completions", { ...question, stream: true });
  const lines = (await stream.text()).split("\n\n").filter((line) => line !== "");
  assert.equal(lines.at(-1), "data: [DONE]");
  const text = lines
    .slice(0, -1)
    .map((line) => JSON.parse(line.slice(6)) as { choices: { delta: { content?: string } }[] })
    .map((chunk) => chunk.choices[0]?.delta.content ?? "")
    .join("");
  assert.equal(text, json.choices[0]?.message.content);
  const ticked = await user.sendTick({ seconds: 70 });
  const receipt = (await ticked.json()) as TickReceipt;
  assert.equal(receipt.counted.requestsAnswered, 2);
  assert.equal(receipt.counted.tokens, 2 * json.usage.completion_tokens);
  const closed = (await (await user.close()).json()) as TickReceipt;
  assert.equal(closed.ended?.message.reason, closeReasons.indexOf("finished"));
  assert.equal((await user.ask("/v1/chat/completions", question)).status, 410);
  await systemClock.sleep(200);
  const seen = router.beats.flatMap((beat) => beat.closes.map(({ message }) => message.sessionId));
  assert.ok(seen.includes(user.sessionId), "the Close reached the Router at once");
});

test("Sessions and Ticks survive a restart, and the token stays valid", async () => {
  const user = new SimulatedUser(router, send);
  await user.open(offerHash, 20);
  await user.sendTick({ seconds: 33 });
  // No orderly stop: what a kill leaves is the journal alone.
  const killed = node;
  router.beats.length = 0;
  await startNode();
  const again = new SimulatedUser(router, send);
  Object.assign(again, { token: user.token, sessionId: user.sessionId, key: user.key });
  const answer = await again.ask("/v1/chat/completions", question);
  assert.equal(answer.status, 200);
  await systemClock.sleep(1_200);
  const seconds = router.beats
    .flatMap((beat) => beat.ticks)
    .filter(({ tick }) => tick.sessionId === user.sessionId)
    .map(({ tick }) => tick.seconds);
  assert.ok(seconds.includes(33), "the newest Tick is reported again");
  const stale = await again.post(
    `${providerPaths.sessions}/${user.sessionId}/ticks`,
    again.tick({ seconds: 32 }),
  );
  assert.equal(stale.status, 409);
  await killed.stop();
});

test("an engine that is killed: Session failed and uncharged, Offer gone, then back", async () => {
  const user = new SimulatedUser(router, send);
  await user.open(offerHash);
  const stream = await user.ask("/v1/chat/completions", {
    ...question,
    max_tokens: 400,
    stream: true,
  });
  const killedAt = Date.now();
  process.kill(engine.pid ?? 0, "SIGKILL");
  assert.match(await stream.text(), /"code":"(engine-failed|session-ended)"/);
  await until(() => [...router.offers.values()].at(-1)?.message.slots === 0);
  assert.ok(Date.now() - killedAt < 1_000, "withdrawn within a second");
  await until(() =>
    router.beats.some((beat) =>
      beat.closes.some(
        ({ message }) =>
          message.sessionId === user.sessionId && closeReasons[message.reason] === "engine-failed",
      ),
    ),
  );
  await until(() => [...router.offers.values()].at(-1)?.message.slots === 2);
  const again = new SimulatedUser(router, send);
  await again.open([...router.offers.keys()].at(-1) ?? "0x");
  assert.equal((await again.ask("/v1/chat/completions", question)).status, 200);
  await again.close();
});

test("a challenge is answered by the engine's process, a notice reaches the User", async () => {
  const user = new SimulatedUser(router, send);
  await user.open([...router.offers.keys()].at(-1) ?? "0x");
  const nonce = randomHex();
  const { sessionId } = user;
  const stranger = randomHex();
  router.beats.length = 0;
  router.challenges = [
    { sessionId, nonce, answerBy: Date.now() + 5_000 },
    { sessionId: stranger, nonce: randomHex(), answerBy: Date.now() + 5_000 },
  ];
  router.notices = [{ sessionId, endsAt: Date.now() + 9_000, reason: "credit-spent" }];
  const answers = (): readonly ChallengeAnswer[] =>
    router.beats.flatMap((beat) => beat.challengeAnswers);
  await until(() => answers().length > 0);
  const weights = readFileSync(modelPath);
  const offset = Number(BigInt(nonce.slice(0, 14))) % (weights.length - 4_096);
  const piece = weights.subarray(offset, offset + 4_096);
  const hash = createHash("sha256")
    .update(Buffer.from(nonce.slice(2), "hex"))
    .update(piece);
  assert.deepEqual(answers(), [{ sessionId, nonce, digest: `0x${hash.digest("hex")}` }]);
  const receipt = (await (await user.sendTick({ seconds: 61 })).json()) as TickReceipt;
  assert.equal(receipt.notice?.reason, "credit-spent");
  await user.close();
  await systemClock.sleep(1_100);
  assert.equal(answers().length, 1, "heard once, told once");
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 8_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, "it did not happen in time");
    await systemClock.sleep(10);
  }
}
