import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { Hex } from "@lake-travis/protocol";
import {
  createHttpClient,
  createLogger,
  generateKey,
  loadOrCreateCertificate,
  loadOrCreateKey,
  renewCertificate,
  signerFromKey,
  systemClock,
  systemRandom,
} from "@lake-travis/platform";
import { limits } from "./limits.ts";
import { ProviderNode } from "./provider-node.ts";
import { SimulatedEngine } from "./test-support/simulated-engine.ts";
import {
  randomHex,
  simulatedDeployment,
  SimulatedRouter,
} from "./test-support/simulated-router.ts";
import { type Send, SimulatedUser } from "./test-support/simulated-user.ts";

const handle = "lake/travis-tiny:latest";
const tokens = 60;
const chat = { model: handle, messages: [{ role: "user", content: "hello" }] };
const chatPath = "/v1/chat/completions";

interface Scene {
  readonly node: () => ProviderNode;
  readonly router: SimulatedRouter;
  readonly dataDir: string;
  restart(): Promise<void>;
  /** A User that pins a certificate and makes connections of its own. */
  user(fingerprint: Hex): SimulatedUser;
}

async function sceneFor(context: TestContext, prepare = async (_: string) => {}): Promise<Scene> {
  const dataDir = mkdtempSync(join(tmpdir(), "lake-certificate-"));
  await prepare(dataDir);
  const deployment = simulatedDeployment();
  const router = new SimulatedRouter(randomHex(20), signerFromKey(generateKey()), deployment);
  await router.start();
  const account = randomHex(20);
  const manifestDigest = randomHex();
  const signingKey = signerFromKey(loadOrCreateKey(join(dataDir, "signing.key"))).address;
  const keys = new Map([
    [account, signingKey],
    [router.account, router.signer.address],
  ]);
  const terms = { handle, manifestDigest, weiPerSecond: 1_000n, minSeconds: 1 };
  let port = 0;
  let node: ProviderNode;
  const start = async (): Promise<void> => {
    const engine = new SimulatedEngine({ slots: 8, tokenMs: 20, tokens });
    node = new ProviderNode({
      deployment,
      dataDir,
      account,
      routerUrl: router.url,
      host: "127.0.0.1",
      port,
      models: [{ ...terms, engine }],
      directory: { signingKeyOf: (of) => Promise.resolve(keys.get(of)) },
      clock: systemClock,
      random: systemRandom,
      logger: createLogger({ name: "provider", level: "silent" }),
    });
    await node.start();
    port = node.facts.port;
  };
  await start();
  context.after(async () => {
    await node.stop();
    await router.stop();
    rmSync(dataDir, { recursive: true });
  });
  return {
    node: () => node,
    router,
    dataDir,
    restart: async () => {
      await node.stop();
      await start();
    },
    user: (pin) => new SimulatedUser(router, pinnedSend(context, node.facts.endpoint, pin)),
  };
}

/** Sends as a real client does; each call of it makes its own connections. */
function pinnedSend(context: TestContext, endpoint: string, pinnedFingerprint: Hex): Send {
  const http = createHttpClient({ unreachable: "provider-unreachable", pinnedFingerprint });
  context.after(() => http.close());
  return async (path, init) => {
    const body = Buffer.from(init.body as string);
    const headers = init.headers as Record<string, string>;
    const answer = await http.stream(init.method ?? "GET", endpoint + path, body, { headers });
    return new Response(ReadableStream.from(answer.body), { status: answer.status });
  };
}

function newestOffer(router: SimulatedRouter): { hash: Hex; fingerprint: Hex } {
  const [hash, offer] = [...router.offers].at(-1) ?? [];
  assert.ok(hash !== undefined && offer !== undefined);
  return { hash, fingerprint: offer.message.tlsFingerprint };
}

test("a renewal under a running stream drops nobody; newcomers pin the new one", async (t) => {
  const scene = await sceneFor(t);
  const { router } = scene;
  const old = newestOffer(router);
  const user = scene.user(old.fingerprint);
  await user.open(old.hash);
  const late = scene.user(old.fingerprint);
  const lateTicket = await late.ticket(old.hash);
  const stream = await user.ask(chatPath, { ...chat, stream: true });
  await scene.node().renewCertificate();
  const fresh = newestOffer(router);
  assert.notEqual(fresh.fingerprint, old.fingerprint);
  assert.equal(scene.node().facts.tlsFingerprint, fresh.fingerprint);
  assert.equal(scene.node().snapshot().tlsFingerprint, fresh.fingerprint);
  const text = await stream.text();
  assert.ok(text.includes(`t${tokens - 1} `) && text.includes("[DONE]"), "the stream went on");
  const elsewhere = scene.user(old.fingerprint);
  Object.assign(elsewhere, { key: user.key, token: user.token, sessionId: user.sessionId });
  assert.equal((await elsewhere.ask(chatPath, chat)).status, 200, "a further connection");
  const opened = await late.post("/lake/v1/sessions", late.opening(lateTicket));
  assert.equal(opened.status, 200, "a Ticket from before the renewal");
  const newcomer = scene.user(fresh.fingerprint);
  await newcomer.open(fresh.hash);
  assert.equal((await newcomer.ask(chatPath, chat)).status, 200);
  await assert.rejects(
    scene.user(randomHex()).ask(chatPath, chat),
    /certificate|unreachable|answer/,
  );
});

test("who pins a retired certificate is known again after a restart", async (t) => {
  const scene = await sceneFor(t);
  const old = newestOffer(scene.router);
  await scene.node().renewCertificate();
  const fresh = newestOffer(scene.router);
  await scene.restart();
  assert.equal(scene.node().facts.tlsFingerprint, fresh.fingerprint);
  // Without a token it is a 401: the connection itself was made.
  assert.equal((await scene.user(old.fingerprint).ask(chatPath, chat)).status, 401);
  assert.equal((await scene.user(fresh.fingerprint).ask(chatPath, chat)).status, 401);
});

test("an old certificate is renewed by itself", async (t) => {
  let first: Hex | undefined;
  const scene = await sceneFor(t, async (folder) => {
    const past = { ...systemClock, now: () => Date.now() - limits.certificateMs };
    first = (await loadOrCreateCertificate(folder, past)).fingerprint;
  });
  const deadline = Date.now() + 5_000;
  while (scene.node().facts.tlsFingerprint === first) {
    assert.ok(Date.now() < deadline, "it was not renewed");
    await systemClock.sleep(20);
  }
});

test("too many renewals are refused, and what stands goes on", async (t) => {
  const scene = await sceneFor(t);
  for (let count = 0; count < limits.retiredCertificatesMax; count += 1) {
    await scene.node().renewCertificate();
  }
  await assert.rejects(scene.node().renewCertificate(), /Too many older certificates/);
  const { fingerprint } = newestOffer(scene.router);
  assert.equal((await scene.user(fingerprint).ask(chatPath, chat)).status, 401);
});

test("a renewal that a crash cut short is finished by the next load", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lake-certificate-"));
  try {
    const old = await loadOrCreateCertificate(folder, systemClock);
    const fresh = await renewCertificate(folder, systemClock);
    // As after a kill between the key and its certificate.
    writeFileSync(join(folder, "tls-next.pem"), fresh.key + fresh.cert);
    writeFileSync(join(folder, "tls-cert.pem"), old.cert);
    assert.equal(
      (await loadOrCreateCertificate(folder, systemClock)).fingerprint,
      fresh.fingerprint,
    );
    const [retired = ""] = readdirSync(join(folder, "tls-retired"));
    assert.ok(readFileSync(join(folder, "tls-retired", retired), "utf8").endsWith(old.cert));
    // And one that had only begun is as if it had never been.
    renameSync(join(folder, "tls-retired", retired), join(folder, "tls-retired", `${retired}.new`));
    assert.equal(
      (await loadOrCreateCertificate(folder, systemClock)).fingerprint,
      fresh.fingerprint,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
