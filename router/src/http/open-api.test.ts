/* Holds the OpenAPI document against what a Router in its own process really answers. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Ajv from "ajv";
import {
  closeType,
  delegationType,
  type EpochReport,
  heartbeatSignatureHeader,
  type Hex,
  messageHash,
  domainSeparatorOf,
  offerType,
  revocationType,
  rfcType,
  routerPaths,
  signedFromJson,
  signedToJson,
  signMessage,
  ticketType,
  tickType,
} from "@lake-travis/protocol";
import { systemClock } from "@lake-travis/platform";
import { TrialNetwork } from "../test-support/trial-network.ts";

interface Described {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationSaid>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}
interface OperationSaid {
  readonly responses: Readonly<Record<string, { content: Record<string, { schema: object }> }>>;
}

describe("the OpenAPI document against real answers", () => {
  let network: TrialNetwork;
  let api: Described;
  let ajv: Ajv.Ajv;
  const seen = new Set<string>();

  before(async () => {
    network = await TrialNetwork.start({ users: 1, slots: 2, epochMs: 3_000 });
    const answer = await fetch(`${network.url}/openapi.json`);
    api = (await answer.json()) as Described;
    ajv = new Ajv({ schemaId: "$id" });
    ajv.addSchema(strictly({ ...api, $id: "api" }) as object, "api");
    seen.add("get /openapi.json");
  });

  after(async () => {
    await network.stop();
  });

  /** Asks a path of the document and checks status, type and body against what it says. */
  async function ask(
    method: "get" | "post",
    path: string,
    options: { at?: string; body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<{ status: number; json: Record<string, unknown> }> {
    const { at = path, body, headers = {} } = options;
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await fetch(network.url + at, {
      method: method.toUpperCase(),
      headers,
      ...sent,
    });
    const responses = api.paths[path]?.[method]?.responses ?? {};
    const said = responses[answer.status] ?? responses["default"];
    const type = (answer.headers.get("content-type") ?? "").split(";")[0] ?? "";
    const content = said?.content[type];
    assert.ok(content !== undefined, `${method} ${path} answers ${answer.status} as ${type}`);
    const text = await answer.text();
    const value = (type === "application/json" ? JSON.parse(text) : text) as never;
    const schema = JSON.parse(JSON.stringify(content.schema).replaceAll('"#/', '"api#/')) as object;
    assert.ok(ajv.validate(schema, value), `${method} ${path}: ${ajv.errorsText()} in ${text}`);
    if (answer.status === 200) seen.add(`${method} ${path}`);
    return { status: answer.status, json: value };
  }

  async function runSession(delegationHash: Hex): Promise<number> {
    const user = network.users[0];
    assert.ok(user !== undefined);
    const rfc = user.rfc({ router: network.router, delegationHash, model: network.model });
    const grant = await ask("post", routerPaths.rfcs, { body: signedToJson(rfcType, rfc) });
    assert.equal(grant.status, 200, JSON.stringify(grant.json));
    const sessionId = grant.json["sessionId"] as Hex;
    const ticket = signedFromJson(ticketType, grant.json["ticket"]).message;
    const figures = { sessionId, seconds: 2, requestsAnswered: 1, tokens: 40, activeMs: 800 };
    const tick = user.tick(ticket.sessionKey, figures);
    const { simulated } = network;
    await simulated.beat({ connected: [sessionId], ticks: [simulated.countersign(tick)] });
    const tickHash = messageHash(domainSeparatorOf(network.domain), tickType, tick.message);
    const close = user.close(ticket.sessionKey, sessionId, tickHash);
    await ask("get", `${routerPaths.sessions}/{id}`, {
      at: `${routerPaths.sessions}/${sessionId}`,
    });
    await ask("post", routerPaths.closes, { body: signedToJson(closeType, close) });
    await ask("get", `${routerPaths.sessions}/{id}`, {
      at: `${routerPaths.sessions}/${sessionId}`,
    });
    return ticket.epoch;
  }

  it("says what each route answers, from a Delegation to a proof", async () => {
    const user = network.users[0];
    assert.ok(user !== undefined);
    const delegation = user.delegation({ nonce: 2 });
    const body = { delegation: signedToJson(delegationType, delegation) };
    await ask("post", routerPaths.delegations, { body });
    const { model, digest: manifestDigest } = network;
    const offer = network.simulated.offer({ model, manifestDigest });
    await ask("post", routerPaths.offers, { body: signedToJson(offerType, offer) });
    await ask("get", routerPaths.offers);
    await ask("get", routerPaths.status);
    await ask("get", "/healthz");
    await ask("get", "/metrics");
    const epoch = await runSession(user.hashOf(delegation));
    const { conduct, credits, epochs, records, leaderboard } = routerPaths;
    await until(async () => {
      const { json } = await ask("get", `${epochs}/{epoch}`, { at: `${epochs}/${epoch}` });
      return (json as unknown as EpochReport).state === "final";
    });
    await ask("get", `${epochs}/{epoch}/records`, { at: `${epochs}/${epoch}/records` });
    const { provider } = network;
    await ask("get", `${credits}/{account}`, { at: `${credits}/${provider}` });
    await ask("get", `${conduct}/{account}`, { at: `${conduct}/${provider}` });
    await until(async () => {
      const { json } = await ask("get", records, { at: `${records}?epoch=${epoch}` });
      return (json["records"] as unknown[]).length === 1;
    });
    await ask("get", leaderboard);
    await ask("get", `${leaderboard}/{table}`, { at: `${leaderboard}/models.csv` });
    await ask("get", `${epochs}/{epoch}/report`, { at: `${epochs}/${epoch}/report` });
    const message = { user: user.wallet.address, nonce: 2 };
    const separator = domainSeparatorOf(network.domain);
    const revocation = signMessage(separator, revocationType, message, user.wallet);
    await ask("post", routerPaths.revocations, { body: signedToJson(revocationType, revocation) });
  });

  it("says how a beat is answered", async () => {
    const reply = await network.simulated.beat({});
    const known = ajv.validate({ $ref: "api#/components/schemas/HeartbeatReply" }, reply);
    assert.ok(known, ajv.errorsText());
    seen.add(`post ${routerPaths.heartbeats}`);
  });

  it("says how each route fails", async () => {
    const zero = "0".repeat(64);
    const inPath: Readonly<Record<string, string>> = { hash: `0x${zero}`, id: `0x${zero}` };
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const method of Object.keys(methods) as ("get" | "post")[]) {
        const at = path.replace(/\{([^}]+)\}/, (_, name: string) => inPath[name] ?? "999");
        if (method === "get" && at === path) continue;
        const body = method === "post" ? { body: { message: 1 } } : {};
        const headers = { [heartbeatSignatureHeader]: "0x00" };
        const { status } = await ask(method, path, { at, headers, ...body });
        assert.ok(status >= 400 && status < 500, `${method} ${at}: ${status}`);
      }
    }
  });

  it("was held against every route that can be asked here", () => {
    const all = Object.entries(api.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    // These need a queue, a verdict or a deposit; their failures were checked.
    const rest = [
      `get ${routerPaths.rfcs}/{hash}`,
      `post ${routerPaths.evidence}`,
      `get ${routerPaths.debits}/{number}`,
    ];
    assert.deepEqual(
      all.filter((each) => !seen.has(each)),
      rest,
    );
  });
});

/** The schemas with nothing allowed that they do not name, so that the document is whole. */
function strictly(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strictly);
  if (typeof schema !== "object" || schema === null) return schema;
  const strict = Object.fromEntries(
    Object.entries(schema).map(([name, value]) => [name, strictly(value)]),
  );
  const isClosed = "properties" in schema && "required" in schema;
  return isClosed ? { ...strict, additionalProperties: false } : strict;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const giveUpAt = systemClock.now() + 40_000;
  while (!(await isSo())) {
    assert.ok(systemClock.now() < giveUpAt, "it took too long");
    await systemClock.sleep(200);
  }
}
