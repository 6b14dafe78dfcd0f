import { Agent, request } from "node:http";

/** Where an OpenAI-compatible server is, with what it wants to see of its client. */
export interface ChatServer {
  /** Ends in `/v1`. */
  readonly url: string;
  readonly token: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What one streamed answer took. */
export interface StreamedChat {
  /** From sending to the first event with text. */
  readonly ttftMs: number;
  readonly ms: number;
  readonly text: string;
}

/** Streams chats from one server over kept-alive connections, as cheaply as Node can. */
export function createChatStreamer(server: ChatServer): (body: object) => Promise<StreamedChat> {
  const agent = new Agent({ keepAlive: true });
  const headers = {
    "content-type": "application/json",
    authorization: `Bearer ${server.token}`,
    ...server.headers,
  };
  const url = `${server.url}/chat/completions`;
  const ask = (body: object): Promise<StreamedChat> =>
    new Promise((resolve, reject) => {
      const begun = performance.now();
      let ttftMs = 0;
      const kept: Buffer[] = [];
      const call = request(url, { agent, method: "POST", headers }, (answer) => {
        answer.on("data", (bytes: Buffer) => {
          if (ttftMs === 0 && hasText(bytes)) ttftMs = performance.now() - begun;
          kept.push(bytes);
        });
        answer.on("error", reject);
        answer.on("end", () => {
          const ms = performance.now() - begun;
          const events = Buffer.concat(kept).toString();
          try {
            if (answer.statusCode !== 200) throw new Error(events.slice(0, 300));
            resolve({ ttftMs, ms, text: textOf(events) });
          } catch (error) {
            reject(new Error(`${url}: ${String(error)}`));
          }
        });
      });
      call.on("error", (error: Error & { readonly code?: string }) => {
        // A kept connection that its server closes at this moment has brought the request nowhere.
        if (call.reusedSocket && error.code === "ECONNRESET") resolve(ask(body));
        else reject(error);
      });
      call.end(JSON.stringify({ ...body, stream: true }));
    });
  return ask;
}

// The first event only names the role, with empty content.
function hasText(bytes: Buffer): boolean {
  const at = bytes.indexOf('"content":"');
  if (at < 0) return false;
  if (bytes[at + 11] !== 34) return true;
  return bytes.indexOf('"content":"', at + 11) >= 0;
}

function textOf(events: string): string {
  return events
    .split("\n\n")
    .filter((event) => event.startsWith("data: {"))
    .map((event) => JSON.parse(event.slice(6)) as Chunk)
    .map((chunk) => {
      if (chunk.choices === undefined) throw new Error(JSON.stringify(chunk));
      return chunk.choices[0]?.delta.content ?? "";
    })
    .join("");
}

interface Chunk {
  /** Absent where the stream tells of a failure. */
  readonly choices?: readonly { readonly delta: { readonly content?: string } }[];
}
