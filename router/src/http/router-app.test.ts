import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import {
  delegationType,
  domainOf,
  errorStatus,
  type ErrorBody,
  type Hex,
  type Offer,
  offerType,
  rfcType,
  type Signed,
  signedToJson,
} from "@lake-travis/protocol";
import {
  createLogger,
  generateKey,
  nativeSignatures,
  signerFromKey,
  systemClock,
} from "@lake-travis/platform";
import { DurableMachine } from "../durable-machine.ts";
import { Edge } from "../edge.ts";
import { Heartbeats } from "../heartbeats.ts";
import { Metrics } from "../metrics.ts";
import { Projection } from "../projection/projection.ts";
import { ProviderCaller } from "../provider-caller.ts";
import { RfcDesk } from "../rfc-desk.ts";
import { SimulatedUser } from "../test-support/simulated-user.ts";
import { Gate } from "./gate.ts";
import { RfcDoor } from "./rfc-door.ts";
import { type AppParts, createRouterApp, type RouterApp, routesOf } from "./router-app.ts";

const account = (digit: string): Hex => `0x${digit.repeat(40)}`;
const clock = systemClock;
const logger = createLogger({ name: "test", level: "silent" });
const deployment = {
  chainId: 1,
  rpcUrl: "",
  deployBlock: 0,
  schedule: { genesisMs: 0, lengthMs: 86_400_000 },
  mor: account("1"),
  modelRegistry: account("2"),
  nodeRegistry: account("3"),
  computeContract: account("4"),
};
const posts = ["delegations", "revocations", "offers", "rfcs", "heartbeats", "closes"] as const;

describe("the Router's HTTP side", () => {
  let folder: string;
  let machine: DurableMachine;
  let app: RouterApp;
  let projection: Projection;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "app-test-"));
    const router = account("a");
    machine = await DurableMachine.open({ folder, router, deployment, logger, now: clock.now() });
    projection = await Projection.open("sqlite::memory:");
    app = createRouterApp(partsWith(1_000_000));
  });

  const partsWith = (requestsPerSecondMax: number): AppParts => {
    const edge = new Edge(domainOf(deployment), nativeSignatures, signerFromKey(generateKey()));
    const caller = new ProviderCaller(machine, edge, clock, logger);
    const metrics = new Metrics();
    const gate = new Gate({ clock, logger, metrics, requestsPerSecondMax });
    return {
      ...{ machine, edge, metrics, clock },
      door: new RfcDoor(gate, new RfcDesk(machine, edge, clock, caller), metrics),
      heartbeats: new Heartbeats(machine, edge, clock),
      archive: { read: () => Promise.resolve(undefined) },
      publicRecord: projection,
      isProjectionUp: () => true,
    };
  };

  after(async () => {
    await projection.close();
    await machine.close();
    await rm(folder, { recursive: true, force: true });
  });

  const send = (path: string, body: string): Promise<Response> =>
    app(new Request(`http://router${path}`, { method: "POST", body }));

  async function codeOf(response: Response): Promise<string> {
    const { error } = (await response.json()) as ErrorBody;
    assert.equal(response.status, errorStatus[error.code]);
    return error.code;
  }

  it("answers every broken body with a 4xx and its code, and stays up", async () => {
    const user = new SimulatedUser(domainOf(deployment), clock);
    const good = {
      delegations: { delegation: signedToJson(delegationType, user.delegation()) },
      rfcs: signedToJson(
        rfcType,
        user.rfc({ router: account("a"), delegationHash: `0x${"1".repeat(64)}`, model: "a/b" }),
      ),
    };
    const texts = Object.values(good).map((json) => JSON.stringify(json));
    const broken = fc.oneof(
      fc.string({ maxLength: 400 }),
      fc.json({ maxDepth: 4 }),
      fc.tuple(fc.constantFrom(...texts), fc.nat({ max: 1_400 })).map(([text, at]) => {
        return text.slice(0, at % text.length);
      }),
      fc
        .tuple(fc.constantFrom(...texts), fc.nat({ max: 1_400 }), fc.string({ maxLength: 3 }))
        .map(([text, at, put]) => {
          const where = at % text.length;
          return text.slice(0, where) + put + text.slice(where + put.length);
        }),
    );
    const before = process.memoryUsage().rss;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...posts), broken, async (post, body) => {
        const response = await send(`/v1/${post}`, body);
        if (response.status === 200) return;
        await codeOf(response);
        assert.ok(response.status >= 400 && response.status < 500, `${response.status}: ${body}`);
      }),
      { numRuns: Number(process.env["LAKE_FUZZ_RUNS"] ?? 2_000) },
    );
    assert.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024, "memory stayed flat");
  });

  it("refuses what is too large before it reads it all", async () => {
    const body = new ReadableStream({
      pull: (controller) => {
        controller.enqueue(new Uint8Array(64 * 1024));
      },
    });
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    const response = await app(new Request("http://router/v1/rfcs", init));
    assert.equal(await codeOf(response), "body-too-large");
  });

  it("refuses signatures of others, of other chains, and none at all", async () => {
    const elsewhere = new SimulatedUser({ ...domainOf(deployment), chainId: 2 }, clock);
    const foreign = { delegation: signedToJson(delegationType, elsewhere.delegation()) };
    const text = JSON.stringify(foreign);
    assert.equal(await codeOf(await send("/v1/delegations", text)), "signer-wrong");
    const zeros = { ...foreign.delegation, signature: `0x${"0".repeat(130)}` };
    const unsigned = JSON.stringify({ delegation: zeros });
    assert.equal(await codeOf(await send("/v1/delegations", unsigned)), "signature-invalid");
    const beat = JSON.stringify({ provider: account("c"), at: 1 });
    assert.equal(await codeOf(await send("/v1/heartbeats", beat)), "signature-invalid");
    const offer = offerOf(account("c"));
    const known = await send("/v1/offers", JSON.stringify(signedToJson(offerType, offer)));
    assert.equal(await codeOf(known), "signature-invalid");
  });

  it("answers its queries, and says what is missing", async () => {
    const get = (path: string): Promise<Response> => app(new Request(`http://router${path}`));
    assert.equal((await get("/v1/status")).status, 200);
    assert.equal((await get("/healthz")).status, 503);
    assert.match(await (await get("/metrics")).text(), /lake_router_sessions 0/);
    const zero = "0".repeat(64);
    const missing = {
      [`/v1/sessions/0x${zero}`]: "session-unknown",
      [`/v1/rfcs/0x${zero}`]: "content-missing",
      "/v1/sessions/1": "message-invalid",
      "/v1/epochs/9": "content-missing",
      "/v1/epochs/9/records": "content-missing",
      "/v1/epochs/-1": "message-invalid",
      [`/v1/credits/${account("1")}`]: "content-missing",
      "/v1/debits/0": "signature-invalid",
      "/v1/nothing": "route-not-found",
    };
    for (const [path, code] of Object.entries(missing)) {
      assert.equal(await codeOf(await get(path)), code, path);
    }
  });

  it("describes every path that it answers, and no other", async () => {
    const response = await app(new Request("http://router/openapi.json"));
    const api = (await response.json()) as { paths: Record<string, Record<string, unknown>> };
    const described = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    const answered = routesOf(partsWith(1)).map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual(described.sort(), answered.sort());
  });

  it("lets no address and no key ask more than its share", async () => {
    const strict = createRouterApp(partsWith(1));
    const from = (remoteAddress: string) => ({ incoming: { socket: { remoteAddress } } });
    const ask = (origin: string): Promise<Response> =>
      strict(new Request("http://router/v1/status"), from(origin));
    for (let index = 0; index < 10; index += 1) assert.equal((await ask("a")).status, 200);
    const refused = await ask("a");
    assert.equal(refused.headers.get("retry-after"), "1");
    assert.equal(await codeOf(refused), "rate-limited");
    assert.equal((await ask("b")).status, 200);
  });

  it("counts what one key signs, from however many addresses it comes", async () => {
    const strict = createRouterApp(partsWith(1));
    const [one, other] = [newUser(), newUser()];
    let asked = 0;
    const delegate = (user: SimulatedUser): Promise<Response> => {
      asked += 1;
      const delegation = signedToJson(delegationType, user.delegation({ nonce: asked }));
      const body = JSON.stringify({ delegation });
      const origin = { incoming: { socket: { remoteAddress: `10.0.0.${asked}` } } };
      return strict(new Request("http://router/v1/delegations", { method: "POST", body }), origin);
    };
    for (let index = 0; index < 10; index += 1) assert.equal((await delegate(one)).status, 200);
    const refused = await delegate(one);
    assert.equal(refused.headers.get("retry-after"), "1");
    assert.equal(await codeOf(refused), "rate-limited");
    assert.equal((await delegate(other)).status, 200);
    const wallet = account("f");
    const rfc = one.rfc({
      router: account("a"),
      delegationHash: `0x${"1".repeat(64)}`,
      model: "a/b",
    });
    const door = partsWith(1).door;
    for (let index = 0; index < 10; index += 1) door.gate.admitKey(one.sessionKey.address);
    door.gate.admitKey(wallet);
    await assert.rejects(door.request(signedToJson(rfcType, rfc)), { code: "rate-limited" });
  });
});

function newUser(): SimulatedUser {
  return new SimulatedUser(domainOf(deployment), clock);
}

function offerOf(provider: Hex): Signed<Offer> {
  const zero: Hex = `0x${"0".repeat(64)}`;
  const message = {
    provider,
    model: "a/b:latest",
    manifestDigest: zero,
    weiPerSecond: 1n,
    minSeconds: 0,
    slots: 1,
    milliTps: 1,
    engineClass: "x",
    hardwareClass: "x",
    endpoint: "https://127.0.0.1:1",
    tlsFingerprint: zero,
    validUntil: clock.now() + 1_000,
    sequence: 1,
  };
  return { message, signature: `0x${"0".repeat(130)}` };
}
