import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Hex, SessionState } from "@lake-travis/protocol";
import { type HttpServer, serveHttp } from "@lake-travis/platform";
import { LedgerStore } from "./ledger-store.ts";
import { settleLedger } from "./settle-ledger.ts";
import { grantedSession } from "./test-support/granted-session.ts";

const day = "2026-01-31";

function stateOf(sessionId: Hex, some: Partial<SessionState>): SessionState {
  return {
    sessionId,
    epoch: 3,
    state: "ended",
    seconds: 9,
    chargedSeconds: 4,
    charge: "40",
    endedBy: "user",
    endReason: "finished",
    successor: null,
    ...some,
  };
}

describe("settleLedger", () => {
  const folder = mkdtempSync(join(tmpdir(), "lake-settle-"));
  const states = new Map<string, SessionState>();
  let records: string | undefined;
  let server: HttpServer;
  let url = "";
  let store: LedgerStore;

  before(async () => {
    store = new LedgerStore(join(folder, "ledger.sqlite"));
    const fetch = (request: Request): Response => {
      const { pathname } = new URL(request.url);
      const known = states.get(pathname.split("/").at(-1) ?? "");
      if (known !== undefined) return Response.json(known);
      if (pathname.endsWith("/epochs/3/records") && records !== undefined) {
        return new Response(records);
      }
      const code = pathname.includes("/sessions/") ? "session-unknown" : "content-missing";
      return Response.json({ error: { code, message: "Not known." } }, { status: 404 });
    };
    server = await serveHttp({ fetch, host: "127.0.0.1", port: 0 });
    url = `http://127.0.0.1:${server.port}/`;
  });
  after(async () => {
    await server.close(0);
    store.close();
    rmSync(folder, { recursive: true });
  });

  function open(signed: number): Hex {
    const session = grantedSession();
    store.addSession(session, day);
    store.sign(session.sessionId, signed);
    return session.sessionId;
  }

  const secondsOf = (id: Hex): number | null | undefined =>
    store.sessionsBetween(day, day).find(({ sessionId }) => sessionId === id)?.chargedSeconds;

  it("takes the Router's charge once the Session has ended", async () => {
    const running = open(5);
    const ended = open(9);
    states.set(running, stateOf(running, { state: "open", charge: null, chargedSeconds: null }));
    states.set(ended, stateOf(ended, {}));
    assert.deepEqual(await settleLedger(store, url), { open: 1, disputed: [] });
    assert.deepEqual([secondsOf(running), secondsOf(ended)], [null, 4]);
    states.set(running, stateOf(running, { chargedSeconds: 5 }));
    assert.deepEqual(await settleLedger(store, url), { open: 0, disputed: [] });
    assert.equal(secondsOf(running), 5);
  });

  it("finds what continued a Session that a killed client never heard of", async () => {
    const first = open(9);
    const next = grantedSession().sessionId;
    states.set(first, stateOf(first, { successor: next }));
    states.set(next, stateOf(next, { epoch: 4, chargedSeconds: 2 }));
    assert.deepEqual(await settleLedger(store, url), { open: 0, disputed: [] });
    assert.equal(secondsOf(next), 2);
  });

  it("looks into the public Records for one that the Router forgot", async () => {
    const old = open(9);
    assert.deepEqual(await settleLedger(store, url), { open: 1, disputed: [] });
    const other = grantedSession().sessionId;
    records = [
      `{"seconds":1,"sessionId":"${other}"}`,
      `{"seconds":7,"sessionId":"${old}"}`,
      `{"allowance":"1","deposit":"2","kind":"funding","sessionId":"${old}"}`,
      "",
    ].join("\n");
    const unused = open(0);
    assert.deepEqual(await settleLedger(store, url), { open: 0, disputed: [] });
    assert.deepEqual([secondsOf(old), secondsOf(unused)], [7, 0]);
  });

  it("asks again until the verdict is known, and takes what it gave back", async () => {
    const session = open(9);
    states.set(session, stateOf(session, { isFinal: false }));
    assert.equal((await settleLedger(store, url)).open, 1);
    assert.equal(secondsOf(session), 4);
    states.set(session, stateOf(session, { isFinal: false, charge: null }));
    assert.equal((await settleLedger(store, url)).open, 1);
    states.set(session, stateOf(session, { isFinal: true, charge: "0", chargedSeconds: 0 }));
    assert.equal((await settleLedger(store, url)).open, 0);
    assert.equal(secondsOf(session), 0);
  });

  it("names a charge beyond what was signed", async () => {
    const session = open(3);
    states.set(session, stateOf(session, { chargedSeconds: 4 }));
    assert.deepEqual(await settleLedger(store, url), { open: 0, disputed: [session] });
  });
});
