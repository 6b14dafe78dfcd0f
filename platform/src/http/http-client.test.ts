import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Hex, LakeError } from "@lake-travis/protocol";
import { type Certificate, loadOrCreateCertificate } from "../certificate.ts";
import { systemClock } from "../clock.ts";
import { errorResponse, readJson } from "./http-body.ts";
import { createHttpClient } from "./http-client.ts";
import { type HttpServer, serveHttp } from "./serve-http.ts";

const bytesMax = 1_000;

async function answer(request: Request): Promise<Response> {
  try {
    const { pathname } = new URL(request.url);
    if (pathname === "/refuse") throw new LakeError("queue-full", "Later.", { advice: "Wait." });
    if (pathname === "/bug") throw new Error("a secret of ours");
    if (pathname === "/text") return new Response("not json");
    return Response.json({ got: await readJson(request, bytesMax) });
  } catch (error) {
    return errorResponse(error);
  }
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LakeError && error.code === code;
}

describe("createHttpClient", () => {
  const folder = mkdtempSync(join(tmpdir(), "lake-http-"));
  let certificate: Certificate;
  let tls: HttpServer;
  let plain: HttpServer;

  before(async () => {
    certificate = await loadOrCreateCertificate(folder, systemClock);
    const common = { fetch: answer, host: "127.0.0.1", port: 0 };
    tls = await serveHttp({ ...common, tls: certificate });
    plain = await serveHttp(common);
  });

  after(async () => {
    await Promise.all([tls.close(0), plain.close(0)]);
    rmSync(folder, { recursive: true });
  });

  it("speaks to the pinned certificate, again and again", async () => {
    const pinnedFingerprint = certificate.fingerprint;
    // Fresh connections too: a resumed TLS session would show no certificate to check.
    for (let round = 0; round < 3; round += 1) {
      const http = createHttpClient({ unreachable: "provider-unreachable", pinnedFingerprint });
      const url = `https://127.0.0.1:${tls.port}/`;
      const answers = await Promise.all([1, 2, 3].map((a) => http.json("POST", url, { a })));
      assert.deepEqual(answers, [{ got: { a: 1 } }, { got: { a: 2 } }, { got: { a: 3 } }]);
      await http.close();
    }
  });

  it("sends nothing to any other certificate, nor without TLS", async () => {
    const pinnedFingerprint: Hex = `0x${"00".repeat(32)}`;
    const http = createHttpClient({ unreachable: "provider-unreachable", pinnedFingerprint });
    const wrong = http.json("POST", `https://127.0.0.1:${tls.port}/`, {});
    await assert.rejects(wrong, hasCode("provider-unreachable"));
    const bare = http.json("POST", `http://127.0.0.1:${plain.port}/`, {});
    await assert.rejects(bare, hasCode("provider-unreachable"));
    await http.close();
  });

  it("throws the error that the peer sent, with its advice", async () => {
    const http = createHttpClient({ unreachable: "router-unreachable" });
    const base = `http://127.0.0.1:${plain.port}`;
    await assert.rejects(http.json("GET", `${base}/refuse`), (error) => {
      assert.ok(error instanceof LakeError);
      assert.deepEqual(
        [error.code, error.message, error.advice],
        ["queue-full", "Later.", "Wait."],
      );
      return true;
    });
    await assert.rejects(http.json("GET", `${base}/bug`), (error) => {
      return hasCode("internal")(error) && !String(error).includes("secret");
    });
    await assert.rejects(http.json("GET", `${base}/text`), hasCode("router-unreachable"));
    const large = http.json("POST", `${base}/`, { a: "x".repeat(bytesMax) });
    await assert.rejects(large, hasCode("body-too-large"));
    await http.close();
    await assert.rejects(
      createHttpClient({ unreachable: "router-unreachable" }).json("GET", "http://127.0.0.1:1/"),
      hasCode("router-unreachable"),
    );
  });

  it("takes a connection that was made in advance, also while it is being made", async () => {
    const pinnedFingerprint = certificate.fingerprint;
    const url = `https://127.0.0.1:${tls.port}/`;
    for (const ms of [0, 5, 100]) {
      const http = createHttpClient({ unreachable: "provider-unreachable", pinnedFingerprint });
      http.warm(url);
      await new Promise((resolve) => setTimeout(resolve, ms));
      const answer = await http.json("POST", url, { ms }, { timeoutMs: 2_000 });
      assert.deepEqual(answer, { got: { ms } });
      await http.close();
    }
  });

  it("warms nothing for a wrong certificate", async () => {
    const pinnedFingerprint: Hex = `0x${"00".repeat(32)}`;
    const url = `https://127.0.0.1:${tls.port}/`;
    const http = createHttpClient({ unreachable: "provider-unreachable", pinnedFingerprint });
    http.warm(url);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await assert.rejects(http.json("POST", url, {}), hasCode("provider-unreachable"));
    await http.close();
  });
});
