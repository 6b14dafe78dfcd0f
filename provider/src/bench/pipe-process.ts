/* Plain node:http that pipes ready-made events to its client: the limit that a relay is held to. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const tokens = Number(process.argv[2]);

async function* events(): AsyncGenerator<string> {
  for (let made = 0; made < tokens; made += 1) {
    const delta = { content: `t${made} ` };
    const choices = [{ index: 0, delta, finish_reason: null }];
    const head = { id: "chatcmpl-0", created: 0, model: "lake/travis-tiny:latest" };
    yield `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices })}\n\n`;
  }
  yield "data: [DONE]\n\n";
}

const server = createServer((request, response) => {
  request.resume();
  response.writeHead(200, { "content-type": "text/event-stream" });
  void pipeline(Readable.from(events()), response);
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}`, token: "none", cert: undefined });
});
process.on("message", () => process.send?.({ cpu: process.cpuUsage() }));
process.on("disconnect", () => process.exit(0));
