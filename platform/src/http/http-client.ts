import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { Agent, buildConnector, request } from "undici";
import { type ErrorCode, errorFromBody, type Hex, LakeError, toHex } from "@lake-travis/protocol";
import { pinName } from "./pin-name.ts";

/** How one call behaves. */
export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** An answer whose body is still on its way. */
export interface StreamedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** Calls one kind of peer over kept-alive connections. */
export interface HttpClient {
  /** Sends and reads JSON; a peer's failure is thrown as the `LakeError` that it sent. */
  json(method: string, url: string, body?: unknown, options?: CallOptions): Promise<unknown>;
  /** Sends bytes or JSON and hands the answer over as it comes, whatever its status. */
  stream(
    method: string,
    url: string,
    body: unknown,
    options?: CallOptions,
  ): Promise<StreamedAnswer>;
  /** Connects to a peer in advance; the next call that needs a connection takes it. */
  warm(url: string): void;
  close(): Promise<void>;
}

const timeoutMsDefault = 10_000;
/** An answer in JSON, the largest being a page of Records. */
const answerBytesMax = 16 * 1024 * 1024;

/**
 * Makes a client. With `pinnedFingerprint` it speaks TLS only, to a certificate with exactly that
 * SHA-256, and sends nothing before it has seen it: no authority vouches, the signed Offer does.
 */
export function createHttpClient(options: {
  readonly unreachable: ErrorCode;
  readonly pinnedFingerprint?: Hex;
}): HttpClient {
  const { pinnedFingerprint, unreachable } = options;
  const connections = createConnections(
    pinnedFingerprint === undefined ? buildConnector({}) : pinnedConnector(pinnedFingerprint),
  );
  const agent = new Agent({
    connect: connections.connect,
    keepAliveTimeout: 30_000,
    bodyTimeout: 0,
    headersTimeout: 0,
  });
  const stream: HttpClient["stream"] = async (method, url, body, call = {}) => {
    const bytes = body instanceof Uint8Array ? body : undefined;
    const text = body === undefined || bytes !== undefined ? undefined : JSON.stringify(body);
    const signals = [call.signal].filter((signal) => signal !== undefined);
    if (call.timeoutMs !== undefined) signals.push(AbortSignal.timeout(call.timeoutMs));
    try {
      const answer = await request(url, {
        method: method as "GET",
        dispatcher: agent,
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...call.headers,
        },
        body: bytes ?? text ?? null,
        signal: signals.length === 0 ? null : AbortSignal.any(signals),
      });
      return { status: answer.statusCode, headers: answer.headers, body: answer.body };
    } catch (cause) {
      if (call.signal?.aborted === true) throw cause;
      throw unreachableError(unreachable, url, cause);
    }
  };
  return {
    stream,
    async json(method, url, body, call = {}) {
      const timed = { timeoutMs: timeoutMsDefault, ...call };
      const answer = await stream(method, url, body, timed);
      const json = await readAnswer(answer, url, unreachable);
      if (answer.status >= 400) throw errorFromBody(json, answer.status, unreachable);
      return json;
    },
    warm: connections.warm,
    close: async () => {
      connections.close();
      await agent.destroy();
    },
  };
}

/** A connection that nobody took by then is of no use: the peer will have closed it. */
const warmMsMax = 4_000;

interface Warm {
  socket: Socket | undefined;
  /** A call that came while the connection was being made. */
  taker: buildConnector.Callback | undefined;
}

/** A connector with a store of connections that were made in advance. */
function createConnections(connect: buildConnector.connector): {
  readonly connect: buildConnector.connector;
  readonly warm: (url: string) => void;
  readonly close: () => void;
} {
  const ready = new Map<string, Warm>();
  const drop = (origin: string, warm: Warm): void => {
    if (ready.get(origin) === warm) ready.delete(origin);
    warm.socket?.destroy();
  };
  return {
    connect: (options, callback) => {
      const origin = `${options.protocol}//${options.host ?? ""}`;
      const warm = ready.get(origin);
      ready.delete(origin);
      if (warm === undefined || warm.socket?.destroyed === true) connect(options, callback);
      else if (warm.socket === undefined) warm.taker = callback;
      else {
        const { socket } = warm;
        socket.removeAllListeners("error").removeAllListeners("close");
        // Warning: undici waits for ever for a connector that answers before it returns.
        queueMicrotask(() => callback(null, socket));
      }
    },
    warm: (url) => {
      const { host, hostname, port, protocol } = new URL(url);
      const origin = `${protocol}//${host}`;
      if (ready.has(origin)) return;
      const warm: Warm = { socket: undefined, taker: undefined };
      ready.set(origin, warm);
      connect({ hostname, host, port, protocol }, (...made) => {
        const [, socket] = made;
        if (warm.taker !== undefined) warm.taker(...made);
        // Who cannot be reached in advance is told so by the call itself.
        else if (socket === null || ready.get(origin) !== warm) drop(origin, warm);
        else {
          warm.socket = socket;
          socket.once("error", () => drop(origin, warm)).once("close", () => drop(origin, warm));
          setTimeout(() => {
            if (ready.get(origin) === warm) drop(origin, warm);
          }, warmMsMax).unref();
        }
      });
    },
    close: () => {
      for (const [origin, warm] of ready) drop(origin, warm);
    },
  };
}

async function readAnswer(
  answer: StreamedAnswer,
  url: string,
  unreachable: ErrorCode,
): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  try {
    for await (const chunk of answer.body) {
      total += chunk.length;
      if (total > answerBytesMax) throw new Error("the answer is too large");
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString("utf8")) as unknown;
  } catch (cause) {
    if (answer.status >= 400) return null;
    throw unreachableError(unreachable, url, cause);
  }
}

function unreachableError(code: ErrorCode, url: string, cause: unknown): LakeError {
  const reason = (cause as { code?: string }).code ?? (cause as Error).message;
  return new LakeError(code, `${new URL(url).origin} does not answer (${reason}).`, {
    advice: "Check that it runs and that the address is right.",
    cause,
  });
}

function pinnedConnector(fingerprint: Hex): buildConnector.connector {
  // A resumed TLS session shows no certificate, so every connection shakes hands anew.
  const connect = buildConnector({
    rejectUnauthorized: false,
    allowH2: false,
    maxCachedSessions: 0,
  });
  return (options, callback) => {
    if (options.protocol !== "https:") {
      callback(new Error("a pinned peer is reached over https only"), null);
      return;
    }
    connect({ ...options, servername: pinName(fingerprint) }, (error, socket) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      if (fingerprintOf(socket as TLSSocket) === fingerprint) {
        callback(null, socket);
        return;
      }
      socket.destroy();
      callback(new Error("the certificate is not the one in the Offer"), null);
    });
  };
}

function fingerprintOf(socket: TLSSocket): Hex | undefined {
  const { raw } = socket.getPeerCertificate() as { raw?: Uint8Array };
  return raw === undefined ? undefined : toHex(createHash("sha256").update(raw).digest());
}
