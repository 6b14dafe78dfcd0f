/* What strangers can do to the port of a Provider over real sockets, and that nobody else minds. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type ErrorBody, providerPaths } from "@lake-travis/protocol";
import { loadOrCreateCertificate, serveHttp, systemClock } from "@lake-travis/platform";
import { createPinnedSend } from "../test-support/pinned-send.ts";
import { createRig, type ProviderRig, rigModel } from "../test-support/provider-rig.ts";
import { randomHex } from "../test-support/simulated-router.ts";
import { type Send, SimulatedUser } from "../test-support/simulated-user.ts";

interface Fortress {
  readonly rig: ProviderRig;
  readonly port: number;
  readonly send: Send;
  user(): SimulatedUser;
}

type Patience = NonNullable<Parameters<typeof serveHttp>[0]["patience"]>;

const hasty = { headersMs: 300, requestMs: 600, idleMs: 300, checkMs: 50 };
const witnessTokens = 60;
// A token comes every 20 ms; a machine under load may stall, an attack that works stalls longer.
const stallMsMax = 1_500;
const chatPath = "/v1/chat/completions";
const chat = { model: rigModel, messages: [{ role: "user", content: "hello" }] };

async function fortressFor(context: TestContext, patience: Patience = {}): Promise<Fortress> {
  const rig = await createRig({ slots: 8, tokenMs: 20, tokens: witnessTokens });
  const folder = mkdtempSync(join(tmpdir(), "lake-hostile-"));
  const tls = await loadOrCreateCertificate(folder, systemClock);
  const server = await serveHttp({ fetch: rig.fetch, host: "127.0.0.1", port: 0, tls, patience });
  const send = createPinnedSend(`https://127.0.0.1:${server.port}`, folder);
  context.after(async () => {
    await server.close(0);
    await rig.dispose();
    rmSync(folder, { recursive: true });
  });
  return { rig, port: server.port, send, user: () => new SimulatedUser(rig.router, send) };
}

/** Runs an attack while another Session's answer streams, and checks that it noticed nothing. */
async function undisturbed(fortress: Fortress, attack: () => Promise<void>): Promise<void> {
  const witness = fortress.user();
  await witness.open(fortress.rig.offerHash);
  let isOver = false;
  const watching = (async () => {
    do await readWitness(witness);
    while (!isOver);
  })();
  try {
    await attack();
  } finally {
    isOver = true;
    await watching;
  }
  const closed = await witness.close();
  assert.equal(closed.status, 200);
}

async function readWitness(witness: SimulatedUser): Promise<void> {
  const answer = await witness.ask(chatPath, { ...chat, stream: true });
  assert.equal(answer.status, 200);
  assert.ok(answer.body);
  let text = "";
  let before = performance.now();
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    assert.ok(performance.now() - before < stallMsMax, "the stream stalled");
    before = performance.now();
    text += Buffer.from(chunk).toString();
  }
  assert.ok(text.includes(`t${witnessTokens - 1} `) && text.includes("[DONE]"));
}

/** A TLS connection of a stranger; what the Provider says on it is kept. */
async function intrude(port: number): Promise<{ socket: TLSSocket; heard: () => string }> {
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
  let heard = "";
  socket.on("data", (chunk: Buffer) => (heard += chunk.toString("latin1")));
  // Being cut off is what these tests wait for.
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  return { socket, heard: () => heard };
}

/** Writes a byte from time to time until the peer has cut the connection; the time it took. */
async function drip(socket: Socket): Promise<number> {
  const begun = performance.now();
  while (!socket.closed) {
    assert.ok(performance.now() - begun < 5_000, "it was never cut");
    if (socket.writable) socket.write("a");
    await pause(20);
  }
  return performance.now() - begun;
}

async function codeOf(answer: Response | Promise<Response>): Promise<string> {
  const response = await answer;
  return response.ok ? "ok" : ((await response.json()) as ErrorBody).error.code;
}

test("a handshake that never ends and a head that drips in are cut", async (context) => {
  const fortress = await fortressFor(context, hasty);
  await undisturbed(fortress, async () => {
    const silent = connect(fortress.port, "127.0.0.1").on("error", () => undefined);
    const { socket, heard } = await intrude(fortress.port);
    socket.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\nX-Slow: `);
    await drip(socket);
    assert.match(heard(), /^HTTP\/1.1 408 /);
    if (!silent.closed) await new Promise((resolve) => silent.once("close", resolve));
  });
});

test("a body that drips in is cut, under HTTP/1.1 and under HTTP/2", async (context) => {
  const fortress = await fortressFor(context, hasty);
  await undisturbed(fortress, async () => {
    const user = fortress.user();
    await user.open(fortress.rig.offerHash);
    const { socket } = await intrude(fortress.port);
    const head = `POST ${chatPath} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${user.token}\r\n`;
    socket.write(`${head}Content-Length: 100000\r\n\r\n{`);
    assert.ok((await drip(socket)) >= hasty.requestMs / 2);
    const session = connectHttp2(`https://127.0.0.1:${fortress.port}`, {
      rejectUnauthorized: false,
    });
    session.on("error", () => undefined);
    const headers = { ":method": "POST", ":path": chatPath };
    const stream = session.request({ ...headers, authorization: `Bearer ${user.token}` });
    stream.on("error", () => undefined).resume();
    const begun = performance.now();
    while (!stream.closed) {
      assert.ok(performance.now() - begun < 5_000, "it was never cut");
      stream.write("a");
      await pause(20);
    }
    // The connection itself lies idle from now on, and goes as well.
    if (!session.destroyed) await new Promise((resolve) => session.once("close", resolve));
    assert.equal(await codeOf(user.ask(chatPath, chat)), "ok", "the Session itself goes on");
  });
});

test("1,200 idle connections disturb no stream, and newcomers get in", async (context) => {
  const fortress = await fortressFor(context);
  const idle: Socket[] = [];
  await undisturbed(fortress, async () => {
    for (let batch = 0; batch < 20; batch += 1) {
      for (let index = 0; index < 50; index += 1) {
        idle.push(connect(fortress.port, "127.0.0.1").on("error", () => undefined));
      }
      for (let index = 0; index < 10; index += 1) idle.push((await intrude(fortress.port)).socket);
    }
    assert.equal(idle.filter(({ closed }) => !closed).length, 1_200);
    const user = fortress.user();
    await user.open(fortress.rig.offerHash);
    assert.equal(await codeOf(user.ask(chatPath, chat)), "ok");
  });
  for (const socket of idle) socket.destroy();
});

test("beyond the most connections, those that never asked go first", async (context) => {
  const fortress = await fortressFor(context, { connectionsMax: 20 });
  const idle: Socket[] = [];
  await undisturbed(fortress, async () => {
    for (let index = 0; index < 60; index += 1) {
      idle.push(connect(fortress.port, "127.0.0.1").on("error", () => undefined));
    }
    await pause(200);
    const user = fortress.user();
    await user.open(fortress.rig.offerHash);
    assert.equal(await codeOf(user.ask(chatPath, chat)), "ok");
    await pause(50);
    assert.ok(idle.filter(({ closed }) => !closed).length <= 20);
    assert.equal(idle.at(0)?.closed, true);
  });
  for (const socket of idle) socket.destroy();
});

const bodyBytes = 100 * 1024 * 1024;

/** Sends 100 MB as fast as they are taken; what came back, and how much was taken. */
async function flood(port: number, head: string): Promise<{ heard: string; sent: number }> {
  const { socket, heard } = await intrude(port);
  socket.write(`POST ${chatPath} HTTP/1.1\r\nHost: a\r\n${head}\r\n`);
  const isChunked = head.includes("chunked");
  const piece = Buffer.alloc(65_536, 97);
  let sent = 0;
  while (!socket.closed && sent < bodyBytes) {
    sent += piece.length;
    const isTaken = socket.write(isChunked ? `10000\r\n${piece.toString()}\r\n` : piece);
    // A peer that has stopped reading never drains.
    if (isTaken) continue;
    await Promise.race([once(socket, "drain"), once(socket, "close"), pause(1_000)]);
    socket.removeAllListeners("drain").removeAllListeners("close");
    if (socket.writableNeedDrain) break;
  }
  await pause(50);
  socket.destroy();
  return { heard: heard(), sent };
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve) => socket.once(event, () => resolve()));
}

test("a body of 100 MB is refused by its head, or at 8 MB where it has no length", async (t) => {
  const fortress = await fortressFor(t);
  await undisturbed(fortress, async () => {
    const user = fortress.user();
    await user.open(fortress.rig.offerHash);
    const token = `Authorization: Bearer ${user.token}\r\n`;
    const length = `Content-Length: ${bodyBytes}\r\n`;
    const stranger = await flood(fortress.port, length);
    assert.match(stranger.heard, /^HTTP\/1.1 401 /);
    const known = await flood(fortress.port, token + length);
    assert.match(known.heard, /^HTTP\/1.1 413 /);
    assert.match(known.heard, /body-too-large/);
    const endless = await flood(fortress.port, `${token}Transfer-Encoding: chunked\r\n`);
    assert.match(endless.heard, /^HTTP\/1.1 413 /);
    t.diagnostic(JSON.stringify([stranger.sent, known.sent, endless.sent]));
    for (const { sent } of [stranger, known, endless]) assert.ok(sent < bodyBytes / 2);
    assert.equal(await codeOf(user.ask(chatPath, chat)), "ok");
  });
});

test("a prompt that is too long, no JSON and wrong types are told so", async (context) => {
  const fortress = await fortressFor(context);
  await undisturbed(fortress, async () => {
    const user = fortress.user();
    await user.open(fortress.rig.offerHash);
    const check = async (body: unknown, status: number, code: string): Promise<void> => {
      const answer = await user.ask(chatPath, body);
      assert.deepEqual([answer.status, await codeOf(answer)], [status, code]);
    };
    const long = [{ role: "user", content: "word ".repeat(10_000) }];
    await check({ ...chat, messages: long }, 400, "context_length_exceeded");
    await check({ ...chat, messages: long, stream: true }, 400, "context_length_exceeded");
    await check("no object", 400, "model-input-invalid");
    await check({ ...chat, messages: 7 }, 400, "model-input-invalid");
    const headers = { authorization: `Bearer ${user.token}`, "content-type": "application/json" };
    const torn = await fortress.send(chatPath, { method: "POST", headers, body: '{"model":' });
    assert.deepEqual([torn.status, await codeOf(torn)], [400, "body-invalid"]);
  });
});

test("a Ticket for another Provider, a lapsed one, and one opened from two places", async (t) => {
  const fortress = await fortressFor(t);
  const { rig } = fortress;
  await undisturbed(fortress, async () => {
    const user = fortress.user();
    const open = async (changes: object): Promise<string> => {
      const ticket = await user.ticket(rig.offerHash, changes);
      return await codeOf(user.post(providerPaths.sessions, user.opening(ticket)));
    };
    assert.equal(await open({ provider: randomHex(20) }), "audience-wrong");
    assert.equal(await open({ connectBy: rig.clock.now() - 1 }), "ticket-lapsed");
    const ticket = await user.ticket(rig.offerHash);
    const body = user.opening(ticket);
    const opened = await user.post(providerPaths.sessions, body);
    assert.equal(opened.status, 200);
    user.token = ((await opened.json()) as { token: string }).token;
    // The same User who heard no answer repeats its own words; anywhere else has another nonce.
    assert.equal(await codeOf(user.post(providerPaths.sessions, body)), "ok");
    const elsewhere = fortress.user();
    Object.assign(elsewhere, { key: user.key });
    const second = elsewhere.post(providerPaths.sessions, elsewhere.opening(ticket));
    assert.equal(await codeOf(second), "session-busy");
    // Whoever has the token is the User: several connections share the Session's slots.
    const both = await Promise.all([user.ask(chatPath, chat), user.ask(chatPath, chat)]);
    assert.deepEqual(await Promise.all(both.map(codeOf)), ["ok", "ok"]);
    const forged = fortress.user();
    forged.token = `${user.token.slice(0, -1)}${user.token.endsWith("A") ? "B" : "A"}`;
    assert.equal((await forged.ask(chatPath, chat)).status, 401);
  });
});
