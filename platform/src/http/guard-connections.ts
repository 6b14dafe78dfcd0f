/*
 * What strangers may hold of a server that faces the open network.
 *
 * Node cuts slow heads and bodies of HTTP/1.1 by itself. Under HTTP/2 it does not, and nothing
 * bounds how many connections lie idle: both are done here. A connection that has never carried a
 * request is the first to go, so that thousands of silent ones keep out nobody who has something
 * to ask.
 */
import type { EventEmitter } from "node:events";
import { IncomingMessage } from "node:http";
import {
  constants,
  type Http2SecureServer,
  type Http2ServerRequest,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { serveLimits, type ServePatience } from "./serve-limits.ts";

interface Watched {
  openStreams: number;
  quietSince: number;
}

/** Long enough that a peer reads its refusal first, short enough to hear few megabytes. */
const drainCheckMs = 10;

/** Bounds the connections of a server that speaks TLS; see the file's head. */
export function guardConnections(server: Http2SecureServer, patience: ServePatience): void {
  keepOutCrowds(server, patience.connectionsMax);
  server.on("request", (incoming: IncomingMessage | Http2ServerRequest, outgoing: EventEmitter) => {
    if (incoming instanceof IncomingMessage) stopDraining(incoming, outgoing);
  });
  const sessions = new Map<ServerHttp2Session, Watched>();
  server.on("session", (session) => {
    const watched: Watched = { openStreams: 0, quietSince: Date.now() };
    sessions.set(session, watched);
    session.on("close", () => sessions.delete(session));
    session.on("stream", (stream) => {
      watched.openStreams += 1;
      stream.once("close", () => {
        watched.openStreams -= 1;
        watched.quietSince = Date.now();
      });
      cutSlowBody(stream, patience.requestMs);
    });
  });
  const timer = setInterval(() => {
    const longAgo = Date.now() - patience.idleMs;
    for (const [session, { openStreams, quietSince }] of sessions) {
      if (openStreams === 0 && quietSince < longAgo) session.destroy();
    }
  }, patience.checkMs);
  timer.unref();
  server.on("close", () => clearInterval(timer));
}

// What is left of a refused body is read for a moment, so that the refusal is not lost in a reset
// connection; without this, Node and the adapter would read on for half a second.
function stopDraining(incoming: IncomingMessage, outgoing: EventEmitter): void {
  outgoing.once("finish", () => {
    if (incoming.complete) return;
    const { socket } = incoming;
    const bytesMax = socket.bytesRead + serveLimits.drainBytesMax;
    const timer = setInterval(() => {
      if (socket.bytesRead > bytesMax) socket.destroySoon();
      if (incoming.complete || socket.destroyed) clearInterval(timer);
    }, drainCheckMs);
    timer.unref();
  });
}

function cutSlowBody(stream: ServerHttp2Stream, requestMs: number): void {
  if (stream.endAfterHeaders) return;
  const timer = setTimeout(() => {
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_CANCEL);
  }, requestMs);
  timer.unref();
  for (const event of ["end", "close"]) stream.once(event, () => clearTimeout(timer));
}

function keepOutCrowds(server: Http2SecureServer, connectionsMax: number): void {
  let connections = 0;
  // In the order in which they came. The raw socket and the one under TLS share their peer.
  const strangers = new Map<string, Socket>();
  server.on("connection", (socket: Socket) => {
    const peer = peerOf(socket);
    connections += 1;
    socket.on("close", () => {
      connections -= 1;
      strangers.delete(peer);
    });
    if (connections > connectionsMax) {
      const [longest = socket] = strangers.values();
      longest.destroy();
    }
    if (!socket.destroyed) strangers.set(peer, socket);
  });
  server.on("request", ({ socket }: Pick<IncomingMessage, "socket">) => {
    strangers.delete(peerOf(socket));
  });
}

function peerOf({ remoteAddress = "", remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
