import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  acceptType,
  closeReasons,
  type ErrorBody,
  type Hex,
  messageHash,
  providerPaths,
  rfcType,
  type Signed,
  signedFromJson,
  signedToJson,
  signMessage,
  type Ticket,
  ticketType,
  type TickReceipt,
} from "@lake-travis/protocol";
import { generateKey, signerFromKey } from "@lake-travis/platform";
import { SimulatedEngine } from "../test-support/simulated-engine.ts";
import { createRig, type ProviderRig, rigModel } from "../test-support/provider-rig.ts";
import { randomHex } from "../test-support/simulated-router.ts";
import type { SimulatedUser } from "../test-support/simulated-user.ts";

async function rigFor(
  context: TestContext,
  options: Parameters<typeof createRig>[0] = {},
): Promise<ProviderRig> {
  const rig = await createRig(options);
  context.after(() => rig.dispose());
  return rig;
}

async function codeOf(answer: Response | Promise<Response>): Promise<string> {
  const response = await answer;
  if (response.ok) return "ok";
  return ((await response.json()) as ErrorBody).error.code;
}

function simulated(rig: ProviderRig): SimulatedEngine {
  assert.ok(rig.engine instanceof SimulatedEngine);
  return rig.engine;
}

const chat = { model: rigModel, messages: [{ role: "user", content: "hello" }] };
const chatPath = "/v1/chat/completions";

test("the liveness check refuses what does not fit, each with its own code", async (context) => {
  const rig = await rigFor(context);
  const user = rig.user();
  const ask = (rfc: unknown, offerHash: unknown = rig.offerHash): Promise<string> =>
    codeOf(user.post(providerPaths.accepts, { rfc, offerHash }));
  const rfc = (changes = {}): unknown => signedToJson(rfcType, user.rfc(rig.offerHash, changes));
  assert.equal(await ask(rfc()), "ok");
  assert.equal(await ask(rfc(), randomHex()), "sequence-stale");
  assert.equal(await ask(rfc(), "0x12"), "message-invalid");
  assert.equal(await ask(rfc({ deadline: rig.clock.now() - 1 })), "message-expired");
  assert.equal(await ask(rfc({ maxWeiPerSecond: 999n })), "provider-refused");
  assert.equal(await ask(rfc({ minMilliTps: 5_001 })), "provider-refused");
  assert.equal(await ask(rfc({ model: "lake/other" })), "provider-refused");
  assert.equal(await ask(rfc({ manifestDigest: randomHex() })), "provider-refused");
  const unsigned = { ...(rfc() as object), signature: `0x${"00".repeat(65)}` };
  assert.equal(await ask(unsigned), "signature-invalid");
  assert.equal(await ask("nonsense"), "message-invalid");
  assert.equal(
    await codeOf(user.send(providerPaths.accepts, { method: "POST", body: "{" })),
    "body-invalid",
  );
});

test("an Accept is the same when it is asked for twice", async (context) => {
  const rig = await rigFor(context);
  const user = rig.user();
  const body = { rfc: signedToJson(rfcType, user.rfc(rig.offerHash)), offerHash: rig.offerHash };
  const first = await (await user.post(providerPaths.accepts, body)).text();
  assert.equal(await (await user.post(providerPaths.accepts, body)).text(), first);
});

test("slots: none beyond them, and a Session that ended frees its own", async (context) => {
  const rig = await rigFor(context, { slots: 2 });
  const users = [rig.user(), rig.user()] as const;
  const late = rig.user();
  const racing = await late.ticket(rig.offerHash);
  for (const user of users) await user.open(rig.offerHash);
  const body = { rfc: signedToJson(rfcType, late.rfc(rig.offerHash)), offerHash: rig.offerHash };
  assert.equal(await codeOf(late.post(providerPaths.accepts, body)), "slots-full");
  const opening = late.opening(racing);
  assert.equal(await codeOf(late.post(providerPaths.sessions, opening)), "slots-full");
  await users[0].close();
  assert.equal(await codeOf(late.post(providerPaths.sessions, opening)), "ok");
});

interface Tampering {
  readonly ticket?: Partial<Ticket>;
  readonly resign?: boolean;
  readonly open?: object;
  readonly tick?: object;
}

const tamperings: readonly (readonly [string, Tampering])[] = [
  ["ok", {}],
  ["audience-wrong", { ticket: { provider: randomHex(20) } }],
  ["signer-wrong", { ticket: { router: randomHex(20) } }],
  ["signer-wrong", { resign: true }],
  ["message-expired", { ticket: { epoch: 7 } }],
  ["ticket-lapsed", { ticket: { connectBy: 1 } }],
  ["provider-refused", { ticket: { acceptHash: randomHex() } }],
  ["provider-refused", { ticket: { rfcHash: randomHex() } }],
  ["provider-refused", { ticket: { manifestDigest: randomHex() } }],
  ["provider-refused", { ticket: { payees: [] } }],
  ["signer-wrong", { ticket: { sessionKey: randomHex(20) } }],
  ["audience-wrong", { open: { sessionId: randomHex() } }],
  ["message-expired", { open: { openedAt: 1 } }],
  ["audience-wrong", { tick: { sessionId: randomHex() } }],
  ["tick-beyond-ticket", { tick: { seconds: 601 } }],
  ["tick-beyond-ticket", { tick: { seconds: 0 } }],
];

test("an opening that was tampered with is refused, and nothing changes", async (context) => {
  const rig = await rigFor(context);
  for (const [expected, tampering] of tamperings) {
    const user = rig.user();
    let ticket = await user.ticket(rig.offerHash, tampering.ticket);
    if (tampering.resign === true) {
      const stranger = signerFromKey(generateKey());
      ticket = signMessage(rig.router.separator, ticketType, ticket.message, stranger);
    }
    const before = rig.book.sessions.size;
    const body = user.opening(ticket, tampering);
    const code = await codeOf(user.post(providerPaths.sessions, body));
    assert.equal(code, expected, JSON.stringify(Object.keys(tampering)));
    assert.equal(rig.book.sessions.size, before + (expected === "ok" ? 1 : 0));
    if (expected !== "ok") continue;
    const sessionId = messageHash(rig.router.separator, ticketType, ticket.message);
    Object.assign(user, { sessionId });
    await user.close();
  }
});

test("an opening repeated is answered the same, from another place refused", async (context) => {
  const rig = await rigFor(context);
  const user = rig.user();
  const ticket = await user.ticket(rig.offerHash);
  const opening = user.opening(ticket);
  const first = await (await user.post(providerPaths.sessions, opening)).text();
  assert.equal(await (await user.post(providerPaths.sessions, opening)).text(), first);
  assert.equal(
    await codeOf(user.post(providerPaths.sessions, user.opening(ticket))),
    "session-busy",
  );
});

test("an Accept serves for one Session only", async (context) => {
  const rig = await rigFor(context);
  const user = rig.user();
  const rfc = user.rfc(rig.offerHash);
  const body = { rfc: signedToJson(rfcType, rfc), offerHash: rig.offerHash };
  const accept = signedFromJson(
    acceptType,
    await (await user.post(providerPaths.accepts, body)).json(),
  );
  const grant = { rfc: rfc.message, accept: accept as never, offerHash: rig.offerHash };
  const first = rig.router.ticketFor(grant);
  const second = rig.router.ticketFor({ ...grant, changes: { maxSeconds: 60 } });
  assert.equal(await codeOf(user.post(providerPaths.sessions, user.opening(first))), "ok");
  assert.equal(
    await codeOf(user.post(providerPaths.sessions, user.opening(second))),
    "message-replayed",
  );
});

test("Ticks: cumulative, within the Ticket, with no invented figures", async (context) => {
  const rig = await rigFor(context);
  const user = rig.user();
  await user.open(rig.offerHash, 10);
  assert.equal(await codeOf(user.sendTick({ seconds: 12 })), "ok");
  assert.equal(await codeOf(user.sendTick({ seconds: 12 })), "ok");
  assert.equal(await codeOf(user.sendTick({ seconds: 11 })), "tick-stale");
  assert.equal(await codeOf(user.sendTick({ seconds: 601 })), "tick-beyond-ticket");
  assert.equal(await codeOf(user.sendTick({ seconds: 13, tokens: 1 })), "message-invalid");
  assert.equal(await codeOf(user.sendTick({ seconds: 13, ttftMs: 5_001 })), "message-invalid");
  assert.equal(await codeOf(user.sendTick({ seconds: 13, requestsFailed: 1 })), "message-invalid");
  const other = rig.user();
  await other.open(rig.offerHash);
  const foreign = user.tick({ sessionId: other.sessionId, seconds: 61 });
  const path = `${providerPaths.sessions}/${other.sessionId}/ticks`;
  assert.equal(await codeOf(user.post(path, foreign)), "signer-wrong");
  assert.equal(await codeOf(user.post(path, user.tick({ seconds: 14 }))), "audience-wrong");
  const unknown = randomHex();
  const nowhere = `${providerPaths.sessions}/${unknown}/ticks`;
  assert.equal(
    await codeOf(user.post(nowhere, user.tick({ sessionId: unknown }))),
    "session-unknown",
  );
  assert.equal(await codeOf(user.ask(chatPath, chat)), "ok");
  const receipt = (await (await user.sendTick({ seconds: 14 })).json()) as TickReceipt;
  assert.equal(receipt.counted.tokens, 16);
  assert.equal(await codeOf(user.sendTick({ seconds: 14, tokens: 17, requestsAnswered: 1 })), "ok");
});

test("no bearer token: refused before a byte of the body is read", async (context) => {
  const rig = await rigFor(context);
  let pulled = 0;
  const body = (): ReadableStream<Uint8Array> =>
    new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled += 1;
          controller.enqueue(new Uint8Array(1_024));
        },
      },
      { highWaterMark: 0 },
    );
  const send = (headers: Record<string, string>): Promise<Response> =>
    rig.send(chatPath, { method: "POST", headers, body: body(), duplex: "half" });
  const missing = await send({});
  assert.equal(missing.status, 401);
  assert.equal(await codeOf(missing), "session-proof-missing");
  const invalid = await send({ authorization: `Bearer ${"A".repeat(43)}` });
  assert.equal(invalid.status, 401);
  assert.equal(await codeOf(invalid), "session-proof-invalid");
  assert.equal(pulled, 0);
});

const badRequests: readonly (readonly [number, unknown])[] = [
  [400, "{"],
  [400, "[]"],
  [400, JSON.stringify({ model: rigModel })],
  [400, JSON.stringify({ ...chat, messages: [] })],
  [400, JSON.stringify({ ...chat, messages: [{ role: "robot", content: "x" }] })],
  [400, JSON.stringify({ ...chat, messages: [{ role: "user", content: 7 }] })],
  [400, JSON.stringify({ ...chat, temperature: "hot" })],
  [400, JSON.stringify({ ...chat, max_tokens: 0 })],
  [400, JSON.stringify({ ...chat, n: 9 })],
  [400, JSON.stringify({ ...chat, stop: [""] })],
  [400, JSON.stringify({ ...chat, response_format: { type: "xml" } })],
  [404, JSON.stringify({ ...chat, model: "lake/other" })],
  [400, JSON.stringify({ ...chat, messages: [{ role: "user", content: "x".repeat(40_000) }] })],
  [413, "x".repeat(8 * 1024 * 1024 + 1)],
];

test("what is no request gets OpenAI's error object and counts as nothing", async (context) => {
  const rig = await rigFor(context);
  const user = rig.user();
  await user.open(rig.offerHash);
  for (const [status, body] of badRequests) {
    const answer = await user.send(chatPath, {
      method: "POST",
      headers: { authorization: `Bearer ${user.token}` },
      body: body as string,
    });
    const json = (await answer.json()) as { error: { message: string; type: string } };
    assert.equal(answer.status, status, json.error.message);
    assert.equal(typeof json.error.type, "string");
  }
  const receipt = (await (await user.sendTick({ seconds: 61 })).json()) as TickReceipt;
  assert.equal(receipt.counted.requestsFailed, 0);
  assert.equal(receipt.counted.requestsAnswered, 0);
  assert.equal(await codeOf(user.ask(chatPath, chat)), "ok");
});

test("a client that leaves stops the generation within a token", async (context) => {
  const rig = await rigFor(context, { tokenMs: 5, tokens: 1_000 });
  const user = rig.user();
  await user.open(rig.offerHash);
  const answer = await user.ask(chatPath, { ...chat, stream: true });
  const reader = answer.body?.getReader();
  for (let chunk = 0; chunk < 4; chunk += 1) await reader?.read();
  await reader?.cancel();
  const engine = simulated(rig);
  const made = engine.tokensMade;
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.ok(engine.tokensMade <= made + 1, `${engine.tokensMade - made} tokens after the client`);
  assert.equal([...rig.book.sessions.values()][0]?.tally.running, 0);
});

test("a slow reader keeps the engine from running ahead", async (context) => {
  const rig = await rigFor(context, { tokens: 10_000 });
  const user = rig.user();
  await user.open(rig.offerHash);
  const answer = await user.ask(chatPath, { ...chat, stream: true });
  const reader = answer.body?.getReader();
  await reader?.read();
  await new Promise((resolve) => setTimeout(resolve, 20));
  // Two pieces of 16 KiB, one being read and one waiting.
  assert.ok(simulated(rig).tokensMade < 250);
  await reader?.cancel();
});

test("missing Ticks end the Session: the stream says so, the Router is told", async (context) => {
  const rig = await rigFor(context, { tokenMs: 5, tokens: 1_000 });
  const user = rig.user();
  await user.open(rig.offerHash, 2);
  const answer = await user.ask(chatPath, { ...chat, stream: true });
  rig.clock.advance(4_900);
  await rig.keeper.sweep();
  assert.equal(rig.keeper.report().report.closes.length, 0, "within the grace it goes on");
  rig.clock.advance(200);
  await rig.keeper.sweep();
  assert.match(await answer.text(), /"code":"session-ended"/);
  const [close] = rig.keeper.report().report.closes;
  assert.equal(closeReasons[close?.message.reason ?? 0], "ticks-missing");
  assert.equal(await codeOf(user.ask(chatPath, chat)), "session-ended");
});

test("an engine that fails in the middle is an error in the stream and counts", async (context) => {
  const rig = await rigFor(context, { failAfter: 3 });
  const user = rig.user();
  await user.open(rig.offerHash);
  const streamed = await (await user.ask(chatPath, { ...chat, stream: true })).text();
  assert.match(streamed, /"content":"t2 "/);
  assert.match(streamed, /"code":"engine-failed"/);
  assert.doesNotMatch(streamed, /simulated engine/, "its words do not leak");
  assert.doesNotMatch(streamed, /DONE/);
  assert.equal(await codeOf(user.ask(chatPath, chat)), "engine-failed");
  const receipt = (await (await user.sendTick({ seconds: 61 })).json()) as TickReceipt;
  assert.equal(receipt.counted.requestsFailed, 2);
});

function successorOf(
  rig: ProviderRig,
  user: SimulatedUser,
): { previous: Hex; ticket: Signed<Ticket> } {
  const session = rig.book.sessions.get(user.sessionId);
  assert.ok(session !== undefined);
  const { message } = session.ticket;
  const ticket: Ticket = {
    ...message,
    epoch: message.epoch + 1,
    minSeconds: 0,
    openedAt: rig.clock.now(),
  };
  return {
    previous: user.sessionId,
    ticket: signMessage(rig.router.separator, ticketType, ticket, rig.router.signer),
  };
}

test("at an epoch's end a line goes on: same token, running answer untouched", async (context) => {
  const rig = await rigFor(context, { tokenMs: 2, tokens: 100, slots: 1 });
  const user = rig.user();
  await user.open(rig.offerHash);
  const running = await user.ask(chatPath, { ...chat, stream: true });
  rig.clock.advance(3_600_000);
  const successor = successorOf(rig, user);
  const ended = [rig.router.closeOf(user.sessionId, "epoch-ended")];
  await rig.keeper.applyReply({ ended, successors: [successor] });
  const old = user.token;
  const receipt = (await (await user.sendTick({ seconds: 61 })).json()) as TickReceipt;
  assert.deepEqual(receipt.successor, signedToJson(ticketType, successor.ticket));
  assert.equal(closeReasons[receipt.ended?.message.reason ?? 0], "epoch-ended");
  const opening = user.opening(successor.ticket);
  const opened = (await (await user.post(providerPaths.sessions, opening)).json()) as {
    token: string;
    sessionId: Hex;
  };
  assert.equal(opened.token, old);
  user.sessionId = opened.sessionId;
  assert.match(await running.text(), /\[DONE\]/);
  const next = (await (await user.sendTick({ seconds: 3 })).json()) as TickReceipt;
  assert.equal(next.counted.requestsAnswered, 1, "counted where it ended");
  assert.equal(rig.book.lines.size, 1);
  const { report, confirm } = rig.keeper.report();
  assert.ok(report.connected.includes(opened.sessionId));
  await confirm();
});

test("the successor alone ends the older Session, and its first Tick goes on", async (context) => {
  const rig = await rigFor(context, { slots: 1 });
  const user = rig.user();
  await user.open(rig.offerHash);
  rig.clock.advance(3_600_000);
  const successor = successorOf(rig, user);
  await rig.keeper.applyReply({ ended: [], successors: [successor] });
  // The Router repeats itself until it has been heard.
  await rig.keeper.applyReply({ ended: [], successors: [successor] });
  const late = (await (await user.sendTick({ seconds: 62 })).json()) as TickReceipt;
  assert.notEqual(late.successor, null);
  const sessionId = messageHash(rig.router.separator, ticketType, successor.ticket.message);
  const path = `${providerPaths.sessions}/${sessionId}/ticks`;
  assert.equal(await codeOf(rig.user().post(path, rig.user().tick({ sessionId }))), "signer-wrong");
  assert.equal(await codeOf(user.post(path, user.tick({ sessionId, seconds: 3 }))), "ok");
  assert.equal(await codeOf(user.ask(chatPath, chat)), "ok");
  const { report } = rig.keeper.report();
  assert.deepEqual(report.closes, [], "the Router knows of the epoch's end");
  assert.equal(report.connected.at(-1), sessionId);
});

test("a successor that nobody opens is let go after its time", async (context) => {
  const rig = await rigFor(context, { slots: 1 });
  const user = rig.user();
  await user.open(rig.offerHash);
  rig.clock.advance(3_600_000);
  const ended = [rig.router.closeOf(user.sessionId, "epoch-ended")];
  await rig.keeper.applyReply({ ended, successors: [successorOf(rig, user)] });
  assert.equal(await codeOf(user.ask(chatPath, chat)), "ok");
  rig.clock.advance(10_001);
  await rig.keeper.sweep();
  assert.equal(rig.book.lines.size, 0);
  assert.equal(await codeOf(user.ask(chatPath, chat)), "session-ended");
});

test("a Close or a successor by a stranger moves nothing", async (context) => {
  const rig = await rigFor(context);
  const user = rig.user();
  await user.open(rig.offerHash);
  const close = rig.router.closeOf(user.sessionId, "revoked");
  const successor = successorOf(rig, user);
  const flipped = (signature: Hex): Hex =>
    `${signature.slice(0, 20)}${signature[20] === "0" ? "1" : "0"}${signature.slice(21)}` as Hex;
  await rig.keeper.applyReply({
    ended: [{ ...close, signature: flipped(close.signature) }],
    successors: [
      {
        ...successor,
        ticket: { ...successor.ticket, signature: flipped(successor.ticket.signature) },
      },
    ],
  });
  assert.equal(rig.book.sessions.get(user.sessionId)?.close, undefined);
  assert.equal(rig.book.sessions.get(user.sessionId)?.successor, undefined);
  await rig.keeper.applyReply({ ended: [close], successors: [] });
  assert.equal(await codeOf(user.ask(chatPath, chat)), "session-ended");
});

test("other paths: models, completions, embeddings, classify", async (context) => {
  const rig = await rigFor(context);
  const user = rig.user();
  await user.open(rig.offerHash);
  const headers = { authorization: `Bearer ${user.token}` };
  const models = (await (await rig.send("/v1/models", { headers })).json()) as {
    data: { id: string }[];
  };
  assert.equal(models.data[0]?.id, rigModel);
  const plain = await user.ask("/v1/completions", { model: rigModel, prompt: "a", max_tokens: 2 });
  assert.match(await plain.text(), /"text":"t0 t1 ".*"finish_reason":"length"/);
  const embed = async (format: string): Promise<unknown> => {
    const body = { model: rigModel, input: ["abc"], encoding_format: format };
    const answer = await user.ask("/v1/embeddings", body);
    return ((await answer.json()) as { data: { embedding: unknown }[] }).data[0]?.embedding;
  };
  assert.deepEqual(await embed("float"), [3, 1, 0]);
  const floats = Buffer.from((await embed("base64")) as string, "base64");
  assert.deepEqual([...new Float32Array(floats.buffer, floats.byteOffset, 3)], [3, 1, 0]);
  const classify = await user.ask("/v1/classify", { model: rigModel, input: [[1, 2]] });
  assert.equal(classify.status, 400);
  assert.equal((await rig.send("/v1/nothing", { headers })).status, 404);
});

interface StreamedChoices {
  readonly choices: { index: number; delta: { content?: string } }[];
  readonly usage?: { completion_tokens: number } | null;
}

test("n answers to one request, streamed or whole, with all tokens counted", async (context) => {
  const rig = await rigFor(context, { slots: 2, tokens: 3, tokenMs: 1 });
  const user = rig.user();
  await user.open(rig.offerHash);
  const whole = (await (await user.ask(chatPath, { ...chat, n: 3 })).json()) as {
    choices: { index: number; message: { content: string } }[];
    usage: { completion_tokens: number };
  };
  assert.deepEqual(
    whole.choices.map(({ index, message }) => [index, message.content]),
    [0, 1, 2].map((index) => [index, "t0 t1 t2 "]),
  );
  assert.equal(whole.usage.completion_tokens, 9);
  const options = { n: 2, stream: true, stream_options: { include_usage: true } };
  const text = await (await user.ask(chatPath, { ...chat, ...options })).text();
  const chunks = text
    .split("\n\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)) as StreamedChoices);
  const said = (index: number): string =>
    chunks
      .flatMap(({ choices }) => choices)
      .filter((choice) => choice.index === index)
      .map(({ delta }) => delta.content ?? "")
      .join("");
  assert.deepEqual([said(0), said(1)], ["t0 t1 t2 ", "t0 t1 t2 "]);
  assert.equal(chunks.at(-1)?.usage?.completion_tokens, 6);
  assert.match(text, /\[DONE\]/);
  const receipt = (await (await user.sendTick({ seconds: 61 })).json()) as TickReceipt;
  assert.equal(receipt.counted.requestsAnswered, 5);
  const failing = await rigFor(context, { failAfter: 1, slots: 2 });
  const other = failing.user();
  await other.open(failing.offerHash);
  assert.equal(await codeOf(other.ask(chatPath, { ...chat, n: 2 })), "engine-failed");
  assert.equal([...failing.book.sessions.values()][0]?.tally.running, 0);
});
