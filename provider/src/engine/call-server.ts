import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { LakeError } from "@lake-travis/protocol";

/** An engine's server, called over kept-alive connections. */
export interface ServerCaller {
  /** Sends JSON, if any, and hands the answer over as it comes. Throws `engine-failed`. */
  send(call: ServerCall): Promise<ServerAnswer>;
  close(): void;
}

/** One call of an engine's server. */
export interface ServerCall {
  readonly method: string;
  readonly url: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** An answer whose body is still on its way. */
export interface ServerAnswer {
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * So little is read ahead that a reader who takes his time leaves the rest in the socket, and finds
 * it there in one piece: reading each token by itself would cost most of the work of passing it on.
 */
const readAheadBytes = 256;

/** Makes a caller; node:http stops the socket itself, which undici does chunk by chunk. */
export function createServerCaller(): ServerCaller {
  const options = { keepAlive: true, noDelay: true, highWaterMark: readAheadBytes };
  const plain = new HttpAgent(options);
  const secure = new HttpsAgent(options);
  const attempt = (call: ServerCall): Promise<ServerAnswer> =>
    new Promise((resolve, reject) => {
      const isSecure = call.url.startsWith("https:");
      const text = call.body === undefined ? "" : JSON.stringify(call.body);
      const request = (isSecure ? requestHttps : requestHttp)(call.url, {
        method: call.method,
        agent: isSecure ? secure : plain,
        signal: call.signal,
        headers: {
          ...call.headers,
          ...(text === ""
            ? {}
            : { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
        },
      });
      request.once("response", (answer: IncomingMessage) => {
        resolve({ status: answer.statusCode ?? 0, body: answer });
      });
      request.once("error", (cause: NodeJS.ErrnoException) => {
        // A kept connection that the server has just closed: nothing was heard, so ask again.
        if (request.reusedSocket && cause.code === "ECONNRESET")
          attempt(call).then(resolve, reject);
        else
          reject(new LakeError("engine-failed", "The engine's server does not answer.", { cause }));
      });
      request.end(text);
    });
  return {
    send: attempt,
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}
