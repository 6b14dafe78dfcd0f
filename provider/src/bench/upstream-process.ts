/*
 * A server in OpenAI's language that needs no time: what relays are put in front of. Streams
 * `max_tokens` events, one about every millisecond where it was started with `paced`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const isPaced = process.argv[2] === "paced";
const head = { id: "chatcmpl-0", created: 0, model: "upstream" };

const server = createServer((request, response) => {
  void answer(request, response);
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}`, token: "none", cert: undefined });
});
process.on("message", () => process.send?.({ cpu: process.cpuUsage() }));
process.on("disconnect", () => process.exit(0));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (request.method === "GET") {
    response.end(JSON.stringify({ object: "list", data: [{ id: "upstream" }] }));
    return;
  }
  const body = JSON.parse(Buffer.concat(chunks).toString()) as {
    stream?: boolean;
    max_tokens?: number;
  };
  if (body.stream !== true) {
    response.writeHead(404).end("{}");
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.socket?.setNoDelay(true);
  const object = "chat.completion.chunk";
  const send = (delta: object, finish_reason: string | null): boolean => {
    const choices = [{ index: 0, delta, finish_reason }];
    return response.write(`data: ${JSON.stringify({ ...head, object, choices })}\n\n`);
  };
  for (let made = 0; made < (body.max_tokens ?? 1); made += 1) {
    send({ content: `t${made} ` }, null);
    if (isPaced) await sleep(1);
  }
  send({}, "stop");
  response.end("data: [DONE]\n\n");
}
