import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { LakeError, routerPaths, type SessionState } from "@lake-travis/protocol";
import { errorResponse, type HttpServer, serveHttp } from "@lake-travis/platform";
import { createRouterClient } from "./router-client.ts";

const id = `0x${"1".repeat(64)}` as const;

describe("a client of a Router that runs as several shards", () => {
  const asked: string[] = [];
  let right: HttpServer;
  let front: HttpServer;

  before(async () => {
    const shard = { host: "127.0.0.1", port: 0 };
    right = await serveHttp({
      ...shard,
      fetch: (request) => {
        asked.push(`shard ${new URL(request.url).pathname}`);
        return Response.json({ state: "open" });
      },
    });
    const url = `http://127.0.0.1:${right.port}`;
    front = await serveHttp({
      ...shard,
      fetch: (request) => {
        asked.push(`front ${new URL(request.url).pathname}`);
        const wrong = new LakeError("shard-wrong", "Another shard's.", { data: { url } });
        return errorResponse(wrong);
      },
    });
  });

  after(async () => {
    await Promise.all([right.close(0), front.close(0)]);
  });

  it("follows to the right shard and stays there", async () => {
    const client = createRouterClient(`http://127.0.0.1:${front.port}`);
    const path = `${routerPaths.sessions}/${id}`;
    const session: SessionState = await client.session(id);
    assert.equal(session.state, "open");
    await client.session(id);
    assert.deepEqual(asked, [`front ${path}`, `shard ${path}`, `shard ${path}`]);
    await client.stop();
  });

  it("follows no more than once", async () => {
    const nowhere = await serveHttp({
      host: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        const { origin } = new URL(request.url);
        return errorResponse(new LakeError("shard-wrong", "Again.", { data: { url: origin } }));
      },
    });
    const client = createRouterClient(`http://127.0.0.1:${nowhere.port}`);
    await assert.rejects(client.session(id), { code: "shard-wrong" });
    await client.stop();
    await nowhere.close(0);
  });
});
