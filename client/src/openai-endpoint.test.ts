import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { type ErrorCode, type Hex, LakeError } from "@lake-travis/protocol";
import { systemClock } from "@lake-travis/platform";
import type { LakeClient } from "./lake-client.ts";
import type { GrantedSession, SpendGuard } from "./ledger/spend-guard.ts";
import { SimulatedNetwork, simulatedModel } from "./test-support/simulated-network.ts";
import { wordsOf } from "./test-support/simulated-provider.ts";

const network = new SimulatedNetwork();
let client: LakeClient;
const messages = [{ role: "user", content: "count" }];
const base = { model: simulatedModel, messages };

before(async () => {
  await network.start({}, { weiPerSecond: 2_000n });
  const aliases = { small: simulatedModel };
  client = await network.client({ aliases });
});
after(() => network.stop());

function post(path: string, body: unknown, headers: Record<string, string> = {}, at = client) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const url = `http://lake/v1/${path}`;
  return at.fetch(new Request(url, { method: "POST", body: text, headers }));
}

async function refuses(
  body: unknown,
  expected: { readonly status: number; readonly code: ErrorCode; readonly param?: string },
  path = "chat/completions",
): Promise<void> {
  const response = await post(path, body);
  const { error } = (await response.json()) as { error: Record<string, unknown> };
  assert.deepEqual([response.status, error["code"]], [expected.status, expected.code]);
  if (expected.param !== undefined) assert.equal(error["param"], expected.param);
}

describe("the OpenAI endpoint", () => {
  it("shows with each answer what it costs, what is left, and how busy it is", async () => {
    const { headers } = await post("chat/completions", base);
    assert.match(headers.get("lake-session") ?? "", /^0x[0-9a-f]{64}$/);
    assert.equal(headers.get("lake-provider"), network.providers[0]?.account);
    assert.equal(headers.get("lake-price-wei-per-second"), "1000");
    assert.equal(headers.get("lake-allowance-left-mor"), "0.000000000001");
    assert.equal(headers.get("lake-deposit-left-mor"), "0.000000000000000007");
    assert.equal(headers.get("x-ratelimit-limit-requests"), "256");
    assert.equal(headers.get("x-ratelimit-remaining-requests"), "256");
  });

  it("sends the Provider what the caller wrote, without our own fields", async () => {
    const [provider] = network.providers;
    await post("chat/completions", { ...base, unknown: 1, provider: { sort: "price" } });
    assert.deepEqual(provider?.requests.at(-1), { ...base, unknown: 1 });
    await post("chat/completions", { ...base, model: "small" });
    assert.equal(provider?.requests.at(-1)?.["model"], `${simulatedModel}:latest`);
  });

  it("serves completions and embeddings", async () => {
    const plain = await post("completions", { model: simulatedModel, prompt: "count" });
    const { choices } = (await plain.json()) as { choices: { text: string }[] };
    assert.equal(choices[0]?.text, wordsOf(0, 20));
    const vectors = await post("embeddings", { model: simulatedModel, input: "x" });
    const { data } = (await vectors.json()) as { data: { embedding: number[] }[] };
    assert.deepEqual(data[0]?.embedding, [1, 2, 3]);
  });

  it("lists models with price, speed and Providers", async () => {
    const listed = await client.fetch(new Request("http://lake/v1/models"));
    const { data } = (await listed.json()) as {
      data: { id: string; lake: { offers: object[] } }[];
    };
    assert.equal(data[0]?.id, simulatedModel);
    assert.equal(data[0].lake.offers.length, 2);
    const encoded = encodeURIComponent(simulatedModel);
    const one = await client.fetch(new Request(`http://lake/v1/models/${encoded}`));
    assert.deepEqual(await one.json(), data[0]);
    const none = await client.fetch(new Request("http://lake/v1/models/nobody%2Fnothing"));
    assert.equal(none.status, 404);
  });

  it("turns wishes into the RFC and its routing wish", async () => {
    const [first, second] = network.providers.map(({ account }) => account);
    const provider = {
      max_price: "0.5",
      preferred_min_throughput: 40,
      preferred_max_latency: 1.5,
      order: [second],
      only: [first?.toUpperCase().replace("0X", "0x"), second],
      ignore: [],
      sort: "latency",
    };
    await post("chat/completions", { ...base, provider }, { "lake-max-price": "1" });
    const { rfc, wish } = network.rfcs.at(-1) ?? {};
    assert.equal(rfc?.maxWeiPerSecond, 10n ** 18n / 3600n, "a header goes before the object");
    assert.deepEqual([rfc.minMilliTps, rfc.maxLatencyMs], [40_000, 1_500]);
    assert.deepEqual(wish, { order: [second], only: [first, second], sort: "latency" });
  });

  it("refuses what it cannot read, naming the field", async () => {
    await refuses("{", { status: 400, code: "body-invalid" });
    await refuses([], { status: 400, code: "body-invalid" });
    await refuses({ messages }, { status: 400, code: "body-invalid", param: "model" });
    await refuses({ ...base, model: "A B" }, { status: 400, code: "handle-invalid" });
    await refuses({ ...base, model: "a/b" }, { status: 404, code: "model-unknown" });
    const wrong = [
      { sort: "cheap" },
      { order: ["Together"] },
      { max_price: {} },
      { preferred_min_throughput: -1 },
      { preferred_max_latency: "soon" },
    ];
    for (const provider of wrong) {
      const [param] = Object.keys(provider);
      const expected = { status: 400, code: "body-invalid", param: `provider.${param}` } as const;
      await refuses({ ...base, provider }, expected);
    }
    await refuses({ ...base, provider: 1 }, { status: 400, code: "body-invalid" });
  });
});

describe("the Responses API", () => {
  const asked = { model: simulatedModel, instructions: "Be brief.", input: "count" };

  it("answers in one piece", async () => {
    const response = await post("responses", { ...asked, max_output_tokens: 3 });
    const json = (await response.json()) as {
      status: string;
      incomplete_details: unknown;
      output: { content: { text: string }[] }[];
      usage: { output_tokens: number };
    };
    assert.equal(json.output[0]?.content[0]?.text, wordsOf(0, 3));
    assert.equal(json.status, "incomplete");
    assert.deepEqual(json.incomplete_details, { reason: "max_output_tokens" });
    assert.equal(json.usage.output_tokens, 3);
    assert.deepEqual(network.providers[0]?.requests.at(-1)?.["messages"], [
      { role: "system", content: "Be brief." },
      { role: "user", content: "count" },
    ]);
  });

  it("streams its events in order, numbered", async () => {
    const text = await (await post("responses", { ...asked, stream: true })).text();
    const events = text
      .split("\n")
      .filter((line) => line.startsWith("data: "))
      .map((line) => JSON.parse(line.slice(6)) as { type: string; sequence_number: number });
    assert.deepEqual(
      events.map(({ sequence_number }) => sequence_number),
      events.map((_, index) => index),
    );
    const types = events.map(({ type }) => type.replace("response.", ""));
    const deltas = types.filter((type) => type === "output_text.delta").length;
    assert.equal(deltas, 20);
    assert.deepEqual(
      [...new Set(types)],
      [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
      ],
    );
  });

  it("refuses what needs a memory, and items that it cannot carry", async () => {
    const expect = (param: string) => ({ status: 400, code: "body-invalid", param }) as const;
    const remembered = { ...asked, previous_response_id: "r" };
    await refuses(remembered, expect("previous_response_id"), "responses");
    await refuses({ ...asked, input: [] }, expect("input"), "responses");
    await refuses({ ...asked, input: [{ type: "file" }] }, expect("input"), "responses");
    await refuses({ ...asked, tools: [{ type: "web_search" }] }, expect("tools"), "responses");
  });
});

describe("bearer keys and limits", () => {
  const bearer = "lk-secret";
  const sha256: Hex = `0x${createHash("sha256").update(bearer).digest("hex")}`;
  const authorization = { authorization: `Bearer ${bearer}` };

  it("lets in who has a key, and nobody else", async () => {
    const locked = await network.client({ keys: [{ name: "laptop", sha256 }] });
    assert.equal((await post("chat/completions", base, authorization, locked)).status, 200);
    const wrong = await post("chat/completions", base, { authorization: "Bearer no" }, locked);
    assert.equal(wrong.status, 401);
    const { error } = (await wrong.json()) as { error: { type: string; code: string } };
    assert.deepEqual([error.type, error.code], ["authentication_error", "endpoint-key-wrong"]);
    const models = await locked.fetch(new Request("http://lake/v1/models"));
    assert.equal(models.status, 401);
  });

  it("asks the guard before anything is signed, for each request and each Session", async () => {
    const guard = guardOf({ allowed: 1_000 });
    const guarded = await network.client({ guard });
    const response = await post("chat/completions", base, {}, guarded);
    assert.deepEqual(guard.admitted, [`${simulatedModel}:latest`]);
    assert.equal(guard.granted[0]?.sessionId, response.headers.get("lake-session"));
    assert.deepEqual(guard.served, [response.headers.get("lake-session")]);
    assert.equal(guard.finished, 1);
    assert.equal(response.headers.get("lake-limit-today-mor"), "0.000000000000001");
    assert.match(response.headers.get("lake-warning") ?? "", /limit/);
  });

  it("signs nothing where the limit is reached before", async () => {
    const guard = guardOf({ allowed: 1_000, refuse: true });
    const guarded = await network.client({ guard });
    const before = network.providers[0]?.sessions.length;
    const response = await post("chat/completions", base, {}, guarded);
    assert.equal(response.status, 402);
    assert.equal(network.providers[0]?.sessions.length, before);
  });

  it("closes the Session when the limit is reached in the middle of an answer", async () => {
    const [provider] = network.providers;
    assert.ok(provider !== undefined);
    provider.script.wordMs = 200;
    const guarded = await network.client({ guard: guardOf({ allowed: 2 }) });
    const response = await post("chat/completions", { ...base, stream: true }, {}, guarded);
    const text = await response.text();
    provider.script.wordMs = 0;
    assert.match(text, /"code":"spend-limit-reached"/);
    assert.ok(!text.includes("[DONE]"));
    assert.ok(provider.sessions.at(-1)?.seconds.every((seconds) => seconds <= 2));
  });
});

interface WatchedGuard extends SpendGuard {
  readonly admitted: string[];
  readonly granted: GrantedSession[];
  readonly served: Hex[];
  finished: number;
}

/** A guard that lets `allowed` seconds of each Session be signed. */
function guardOf(options: { readonly allowed: number; readonly refuse?: boolean }): WatchedGuard {
  return {
    admitted: [],
    granted: [],
    served: [],
    finished: 0,
    admit({ model }) {
      this.admitted.push(model);
      return {
        signal: new AbortController().signal,
        servedBy: (sessionId) => this.served.push(sessionId),
        finish: () => (this.finished += 1),
      };
    },
    openSession(granted) {
      if (options.refuse === true) {
        return Promise.reject(new LakeError("spend-limit-reached", "Enough for today."));
      }
      this.granted.push(granted);
      return Promise.resolve({
        allow: (seconds) => Math.min(seconds, options.allowed),
        close: () => undefined,
      });
    },
    today: () => ({ day: "2026-01-01", spent: 900n, limit: 1_000n }),
  };
}

describe("what can go wrong", () => {
  async function failsWith(at: LakeClient, expected: RegExp, status: number): Promise<void> {
    const response = await post("chat/completions", base, {}, at);
    const { error } = (await response.json()) as { error: { message: string } };
    assert.equal(response.status, status);
    assert.match(error.message, expected);
  }

  it("says so when no Provider is there, and when to ask again", async () => {
    const alone = new SimulatedNetwork();
    await alone.start();
    const at = await alone.client();
    await failsWith(at, /^No Provider offers this model now\. Try again in a moment\.$/, 503);
    const response = await post("chat/completions", base, {}, at);
    assert.equal(response.headers.get("retry-after"), "2");
    await alone.stop();
  });

  it("says so when the Router is down, at the start and later", async () => {
    const alone = new SimulatedNetwork();
    await alone.start({});
    const at = await alone.client();
    await alone.stopRouter();
    await failsWith(at, /does not answer \(.*\)\. Check that it runs/, 503);
    await assert.rejects(alone.client({ routerUrl: "http://127.0.0.1:1" }), /does not answer/);
    await alone.stop();
  });

  it("serves open Sessions while the Router is down", async () => {
    const alone = new SimulatedNetwork();
    await alone.start({});
    const at = await alone.client();
    await (await post("chat/completions", base, {}, at)).text();
    await alone.stopRouter();
    assert.equal((await post("chat/completions", base, {}, at)).status, 200);
    await alone.stop();
  });

  it("says so when the clock is wrong, and that there is no MOR", async () => {
    const alone = new SimulatedNetwork();
    await alone.start({});
    const hour = 3_600_000;
    const clock = { ...systemClock, now: () => Date.now() + hour };
    const at = await alone.client({ clock });
    await failsWith(at, /^This machine's clock is 36\d\d s ahead of the Router's\. Set the/, 503);
    alone.refuseWith = "mor-missing";
    await failsWith(await alone.client(), /Refused/, 402);
    await alone.stop();
  });

  it("says so when the Router belongs to another chain", async () => {
    const deployment = { ...network.deployment, chainId: 1 };
    await assert.rejects(network.client({ deployment }), /belongs to another network\./);
  });

  it("asks elsewhere where a Provider is gone before it is reached", async () => {
    const alone = new SimulatedNetwork();
    const [first] = await alone.start({ refuseWith: 503 }, {});
    const at = await alone.client();
    assert.equal((await post("chat/completions", base, {}, at)).status, 200);
    assert.deepEqual(alone.rfcs.at(-1)?.wish, { ignore: [first?.account] });
    await alone.stop();
  });
});
