import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createSecureContext, type SecureContext } from "node:tls";
import { createAdaptorServer, getRequestListener } from "@hono/node-server";
import { type Hex, LakeError } from "@lake-travis/protocol";
import { guardConnections } from "./guard-connections.ts";
import { pinName } from "./pin-name.ts";
import { serveLimits, type ServePatience } from "./serve-limits.ts";

/** A listening HTTP server. */
export interface HttpServer {
  readonly port: number;
  /**
   * Shows another certificate to new connections; with `tls` only. Connections that stand live on,
   * and who asks for a retired certificate by its {@link pinName} still gets that one.
   */
  present(current: TlsKeys, retired: readonly PinnedKeys[]): void;
  /** Stops accepting, lets answers under way finish up to `graceMs`, then cuts what is left. */
  close(graceMs?: number): Promise<void>;
}

/** A private key and its certificate in PEM. */
interface TlsKeys {
  readonly key: string;
  readonly cert: string;
}

/** The same with the certificate's SHA-256. */
interface PinnedKeys extends TlsKeys {
  readonly fingerprint: Hex;
}

/**
 * Answers a request on its bare socket, for the few paths where making a Request and a Response of
 * it would cost more than the answer; false where the path is none of these.
 */
export type RawHandler = (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;

/** Takes over the socket of a request that asks for another protocol. */
type UpgradeHandler = (incoming: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** What {@link serveHttp} needs. Port 0 takes a free one. With `tls`, HTTP/2 is offered too. */
export interface ServeOptions {
  readonly fetch: (request: Request) => Response | Promise<Response>;
  readonly host: string;
  readonly port: number;
  /** Asked before `fetch`; without `tls` only. */
  readonly raw?: RawHandler;
  /** Without `tls` only; where it is absent such a request is answered as any other. */
  readonly upgrade?: UpgradeHandler;
  readonly tls?: TlsKeys & { readonly retired?: readonly PinnedKeys[] };
  /** Bounds other than {@link serveLimits}. */
  readonly patience?: Partial<ServePatience>;
}

/** Puts a `Request -> Response` function on a socket. Throws `port-taken` or `argument-invalid`. */
export async function serveHttp(options: ServeOptions): Promise<HttpServer> {
  const contexts = new Map<string, SecureContext>();
  const server =
    options.tls === undefined
      ? createPlainServer(options)
      : createTlsServer(options, options.tls, contexts);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    // Node leaves Nagle on under http2: a stream would wait for the reader's delayed ACKs.
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: Error) => {
      reject(listenError(options, cause));
    });
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    present: (current, retired) => {
      if (!("setSecureContext" in server)) throw new LakeError("internal", "This port has no TLS.");
      fillContexts(contexts, retired);
      server.setSecureContext(current);
    },
    close: (graceMs = serveLimits.closeGraceMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, graceMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        if ("closeIdleConnections" in server) server.closeIdleConnections();
      }),
  };
}

function createPlainServer({ fetch, raw, upgrade, patience }: ServeOptions): Server {
  const listen = getRequestListener(fetch);
  const server = createServer(nodePatience(patience), (incoming, outgoing) => {
    // The listener answers its own failures.
    if (raw?.(incoming, outgoing) !== true) void listen(incoming, outgoing);
  });
  if (upgrade !== undefined) server.on("upgrade", upgrade);
  return server;
}

function createTlsServer(
  { fetch, patience }: ServeOptions,
  { retired = [], ...keys }: NonNullable<ServeOptions["tls"]>,
  contexts: Map<string, SecureContext>,
): Http2SecureServer {
  const times = nodePatience(patience);
  fillContexts(contexts, retired);
  const server = createAdaptorServer({
    fetch,
    createServer: createSecureServer,
    serverOptions: {
      ...keys,
      allowHTTP1: true,
      handshakeTimeout: times.headersTimeout,
      settings: { maxConcurrentStreams: serveLimits.streamsPerConnectionMax },
      // Without a name, or with another one, the newest certificate is shown.
      SNICallback: (name, answer) => answer(null, contexts.get(name)),
    },
  }) as Http2SecureServer;
  // Node takes these from the options without TLS, and from the server with it.
  Object.assign(server, times);
  guardConnections(server, { ...serveLimits, ...patience });
  return server;
}

function fillContexts(contexts: Map<string, SecureContext>, keys: readonly PinnedKeys[]): void {
  contexts.clear();
  for (const { key, cert, fingerprint } of keys) {
    contexts.set(pinName(fingerprint), createSecureContext({ key, cert }));
  }
}

function nodePatience(patience: ServeOptions["patience"]): {
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly connectionsCheckingInterval: number;
} {
  const { headersMs, requestMs, checkMs } = { ...serveLimits, ...patience };
  return {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: checkMs,
  };
}

function listenError(options: ServeOptions, cause: Error): LakeError {
  const code = (cause as { code?: string }).code;
  const where = `${options.host}:${options.port}`;
  if (code === "EADDRINUSE") {
    return new LakeError("port-taken", `Port ${options.port} is taken by another program.`, {
      advice: `Stop what listens on ${where}, or name another port.`,
      cause,
      data: { port: options.port },
    });
  }
  return new LakeError("argument-invalid", `Cannot listen on ${where} (${code ?? "unknown"}).`, {
    advice: "Name an address of this machine and a port that you may use.",
    cause,
  });
}
