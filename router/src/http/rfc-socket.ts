/*
 * RFCs over WebSocket, for clients that send many: frames with several RFCs in, frames with several
 * outcomes out, which saves what an HTTP request costs beside the RFC. Each RFC counts and is
 * checked as one that came by POST.
 *
 * Back-pressure: nothing more is read from a client while it has too many RFCs under way or does
 * not read its answers, so that what one connection holds in memory is bounded.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { LakeError, limits, routerPaths } from "@lake-travis/protocol";
import { parseJson } from "@lake-travis/platform";
import { routerLimits } from "../limits.ts";
import type { RfcDoor } from "./rfc-door.ts";

/** One client's connection. */
interface Connection {
  readonly socket: WebSocket;
  readonly address: string;
  /** Answers of this turn of the event loop, as JSON. */
  answers: string[];
  underWay: number;
  isAlive: boolean;
}

/** Takes upgrades at `routerPaths.rfcs`; refuses all others. */
export class RfcSockets {
  readonly #door: RfcDoor;
  readonly #server: WebSocketServer;
  readonly #connections = new Set<Connection>();
  readonly #pinging: NodeJS.Timeout;

  constructor(door: RfcDoor) {
    this.#door = door;
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: limits.rfcFrameBytesMax,
      perMessageDeflate: false,
      clientTracking: false,
    });
    this.#pinging = setInterval(() => {
      this.#ping();
    }, routerLimits.socketPingMs).unref();
  }

  /** Connections that are open. */
  get size(): number {
    return this.#connections.size;
  }

  /** Makes a WebSocket of a request's socket, or refuses it. */
  readonly upgrade = (incoming: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on("error", () => {
      socket.destroy();
    });
    const address = incoming.socket.remoteAddress ?? "none";
    const refusal = this.#refusalOf(incoming, address);
    if (refusal !== undefined) {
      const body = JSON.stringify(this.#door.gate.refuse(refusal).toBody());
      const length = Buffer.byteLength(body);
      const type = "content-type: application/json";
      const headers = `connection: close\r\n${type}\r\ncontent-length: ${length}`;
      socket.end(`HTTP/1.1 ${refusal.status} Refused\r\n${headers}\r\n\r\n${body}`);
      return;
    }
    this.#server.handleUpgrade(incoming, socket, head, (opened) => {
      this.#open(opened, address);
    });
  };

  /** Closes every connection; what is under way gets no answer there any more. */
  close(): void {
    clearInterval(this.#pinging);
    for (const { socket } of this.#connections) socket.close(1001, "the Router is stopping");
    this.#server.close();
  }

  #refusalOf(incoming: IncomingMessage, address: string): LakeError | undefined {
    if (incoming.url !== routerPaths.rfcs) {
      return new LakeError("route-not-found", "There is no WebSocket here.");
    }
    const own = [...this.#connections].filter((other) => other.address === address).length;
    const { socketsMax, socketsPerAddressMax } = routerLimits;
    if (own < socketsPerAddressMax && this.#connections.size < socketsMax) return undefined;
    return new LakeError("rate-limited", "Too many WebSockets are open.");
  }

  #open(socket: WebSocket, address: string): void {
    const connection: Connection = { socket, address, answers: [], underWay: 0, isAlive: true };
    this.#connections.add(connection);
    socket.on("message", (data, isBinary) => {
      this.#receive(connection, data, isBinary);
    });
    socket.on("pong", () => {
      connection.isAlive = true;
    });
    // A frame that is too large or malformed; `ws` closes the connection with the reason.
    socket.on("error", () => undefined);
    socket.once("close", () => this.#connections.delete(connection));
  }

  #receive(connection: Connection, data: RawData, isBinary: boolean): void {
    connection.isAlive = true;
    let requests: readonly unknown[];
    try {
      requests = requestsOf(data, isBinary);
    } catch (error) {
      // Whoever sends what is no frame will not get better by more of it.
      connection.socket.send(JSON.stringify(this.#door.gate.refuse(error).toBody()));
      connection.socket.close(1008, "not a frame of RFCs");
      return;
    }
    connection.underWay += requests.length;
    for (const request of requests) void this.#answer(connection, request);
    this.#throttle(connection);
  }

  async #answer(connection: Connection, request: unknown): Promise<void> {
    const id = idOf(request);
    let answer: string;
    try {
      if (id === null) throw new LakeError("message-invalid", "Each RFC in a frame needs an id.");
      const grant = await this.#door.gate.pass(connection.address, () => {
        return this.#door.request(request);
      });
      answer = `{"id":${id},"grant":${grant}}`;
    } catch (error) {
      answer = JSON.stringify({ id, ...this.#door.gate.refuse(error).toBody() });
    }
    connection.underWay -= 1;
    connection.answers.push(answer);
    if (connection.answers.length > 1) return;
    setImmediate(() => {
      this.#flush(connection);
    });
  }

  #flush(connection: Connection): void {
    const { socket, answers } = connection;
    connection.answers = [];
    if (socket.readyState !== socket.OPEN) return;
    socket.send(`{"answers":[${answers.join(",")}]}`, () => {
      this.#throttle(connection);
    });
    this.#throttle(connection);
  }

  #throttle({ socket, underWay }: Connection): void {
    const isBehind =
      underWay >= routerLimits.socketRfcsMax ||
      socket.bufferedAmount > routerLimits.socketUnreadBytesMax;
    if (isBehind && !socket.isPaused) socket.pause();
    if (!isBehind && socket.isPaused) socket.resume();
  }

  #ping(): void {
    for (const connection of this.#connections) {
      // A connection that is not read from cannot be heard either.
      if (!connection.isAlive && !connection.socket.isPaused) connection.socket.terminate();
      connection.isAlive = false;
      connection.socket.ping();
    }
  }
}

function requestsOf(data: RawData, isBinary: boolean): readonly unknown[] {
  if (isBinary || !Buffer.isBuffer(data)) {
    throw new LakeError("message-invalid", "A frame of RFCs is text.");
  }
  const frame = parseJson(data) as { readonly requests?: unknown } | null;
  const requests = frame?.requests;
  const max = limits.rfcsPerFrameMax;
  if (!Array.isArray(requests) || requests.length === 0 || requests.length > max) {
    throw new LakeError("message-invalid", `'requests' must be a list of 1 to ${max} RFCs.`);
  }
  return requests;
}

function idOf(request: unknown): number | null {
  const id = (request as { readonly id?: unknown } | null)?.id;
  return Number.isSafeInteger(id) && (id as number) >= 0 ? (id as number) : null;
}
