import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createAdaptorServer, getRequestListener } from "@hono/node-server";
import { LakeError } from "@lake-travis/protocol";

/** A listening HTTP server. */
export interface HttpServer {
  readonly port: number;
  /** Stops accepting, lets answers under way finish up to `graceMs`, then cuts what is left. */
  close(graceMs?: number): Promise<void>;
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
  readonly tls?: { readonly key: string; readonly cert: string };
}

// A head that takes longer than this is a slow-loris attack, not a slow network.
const headersTimeoutMs = 10_000;
const closeGraceMsDefault = 2_000;

/** Puts a `Request -> Response` function on a socket. Throws `port-taken` or `argument-invalid`. */
export async function serveHttp(options: ServeOptions): Promise<HttpServer> {
  const server =
    options.tls === undefined
      ? createPlainServer(options)
      : createAdaptorServer({
          fetch: options.fetch,
          createServer: createSecureServer,
          serverOptions: { ...options.tls, allowHTTP1: true },
        });
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
    close: (graceMs = closeGraceMsDefault) =>
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

function createPlainServer({ fetch, raw, upgrade }: ServeOptions): Server {
  const listen = getRequestListener(fetch);
  const server = createServer({ headersTimeout: headersTimeoutMs }, (incoming, outgoing) => {
    // The listener answers its own failures.
    if (raw?.(incoming, outgoing) !== true) void listen(incoming, outgoing);
  });
  if (upgrade !== undefined) server.on("upgrade", upgrade);
  return server;
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
