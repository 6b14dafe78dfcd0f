import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { BenchProviderReady } from "./provider-process.ts";

/** What one streamed answer took. */
export interface StreamedRun {
  /** From sending to the first event with text. */
  readonly ttftMs: number;
  readonly ms: number;
  readonly events: number;
  readonly text: string;
}

/** Streams answers from one server over kept-alive connections. */
export function createStreamer(
  server: BenchProviderReady,
  headers: Readonly<Record<string, string>> = {},
): (body: unknown, keepText?: boolean) => Promise<StreamedRun> {
  const isTls = server.cert !== undefined;
  const agent = isTls
    ? new HttpsAgent({ keepAlive: true, ca: server.cert, checkServerIdentity: () => undefined })
    : new HttpAgent({ keepAlive: true });
  const send = isTls ? httpsRequest : httpRequest;
  return (body, keepText = false) =>
    new Promise((resolve, reject) => {
      const begun = performance.now();
      let ttftMs = 0;
      let events = 0;
      const kept: Buffer[] = [];
      const call = send(
        `${server.url}/v1/chat/completions`,
        {
          agent,
          method: "POST",
          headers: {
            "content-type": "application/json",
            authorization: `Bearer ${server.token}`,
            ...headers,
          },
        },
        (answer) => {
          answer.on("data", (bytes: Buffer) => {
            if (answer.statusCode !== 200) reject(new Error(bytes.toString()));
            if (ttftMs === 0 && bytes.includes('"content":"') && !isHead(bytes)) {
              ttftMs = performance.now() - begun;
            }
            events += countEvents(bytes);
            if (keepText) kept.push(bytes);
          });
          answer.on("end", () => {
            const text = keepText ? textOf(Buffer.concat(kept).toString()) : "";
            resolve({ ttftMs, ms: performance.now() - begun, events, text });
          });
        },
      );
      call.on("error", reject);
      call.end(JSON.stringify(body));
    });
}

// The first event only names the role, with empty content.
function isHead(bytes: Buffer): boolean {
  return bytes.includes('"role":"assistant"') && countEvents(bytes) === 1;
}

function countEvents(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf("data: "); at >= 0; at = bytes.indexOf("data: ", at + 6)) count += 1;
  return count;
}

function textOf(stream: string): string {
  return stream
    .split("\n\n")
    .filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)) as { choices: { delta: { content?: string } }[] })
    .map((chunk) => chunk.choices[0]?.delta.content ?? "")
    .join("");
}
