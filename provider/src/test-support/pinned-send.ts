import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Send } from "./simulated-user.ts";

/** Sends over TLS to a Provider whose certificate lies in `dataDir`, and to no other. */
export function createPinnedSend(endpoint: string, dataDir: string): Send {
  const agent = new Agent({
    keepAlive: true,
    ca: readFileSync(join(dataDir, "tls-cert.pem")),
    checkServerIdentity: () => undefined,
  });
  return (path, init) =>
    new Promise((resolve, reject) => {
      const call = request(
        endpoint + path,
        {
          agent,
          method: init.method ?? "GET",
          headers: init.headers as Record<string, string>,
          ...(init.signal ? { signal: init.signal } : {}),
        },
        (answer) => {
          const body = Readable.toWeb(answer) as unknown as ReadableStream<Uint8Array>;
          resolve(new Response(body, { status: answer.statusCode ?? 0 }));
        },
      );
      call.on("error", reject);
      call.end(init.body);
    });
}
