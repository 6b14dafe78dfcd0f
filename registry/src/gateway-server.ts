import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { LakeError } from "@lake-travis/protocol";
import type { BlockStore } from "./block-store.ts";
import { answerGateway, type GatewayAnswer } from "./gateway.ts";
import { limits } from "./limits.ts";
import { UploadLimit } from "./upload-limit.ts";

/** Where the gateway listens and how much it may send. */
export interface GatewayServerOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Bytes a second over all connections; unlimited if undefined. */
  readonly uploadBytesPerSecond?: number | undefined;
}

/** The trustless gateway behind a socket. */
export class GatewayServer {
  readonly #server: Server;
  readonly #store: BlockStore;
  readonly #options: GatewayServerOptions;
  readonly #sockets = new Set<Socket>();
  readonly #upload: UploadLimit;
  /** Buffers that no request uses now; at most gatewayReadsMax of them were ever made. */
  readonly #spare: Buffer[] = [];
  #reads = 0;
  #sentBytes = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(store: BlockStore, options: GatewayServerOptions) {
    this.#store = store;
    this.#options = options;
    this.#upload = new UploadLimit(options.uploadBytesPerSecond);
    this.#server = createServer(
      { headersTimeout: limits.gatewayHeadersMs, maxHeaderSize: limits.headerBytesMax },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.maxConnections = limits.gatewayConnectionsMax;
    this.#server.on("connection", (socket: Socket) => {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** Starts to listen; throws `port-taken`. */
  async start(): Promise<void> {
    const { host, port } = this.#options;
    this.#server.listen(port, host);
    try {
      await once(this.#server, "listening");
    } catch (cause) {
      throw new LakeError("port-taken", `The gateway cannot listen on ${host}:${port}.`, {
        cause,
        advice: "Choose another port, or 0 for any free one.",
      });
    }
  }

  /** The port that it listens on. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Bytes of blocks that were handed to connections, for metrics. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Stops to listen and cuts what is being sent: pullers ask somebody else. */
  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#upload.stop();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = await answerGateway(this.#store, {
        method: request.method ?? "GET",
        target: request.url ?? "/",
        headers: request.headers,
      });
      await this.#send(answer, response);
    } catch {
      // Headers are out or the disk failed: all that can be said is to cut the connection, and
      // a puller asks another holder.
      response.destroy();
    }
  }

  async #send(answer: GatewayAnswer, response: ServerResponse): Promise<void> {
    const { status, headers, body } = answer;
    if (body === undefined || body instanceof Uint8Array) {
      response.writeHead(status, headers).end(body);
    } else if ("read" in body) {
      await this.#withBuffer(async (buffer) => {
        const bytes = await body.read(buffer);
        if (bytes === undefined) {
          // Found in the index, gone from the disk: the same as never held.
          response.writeHead(404, { "Content-Length": 0 }).end();
          return;
        }
        response.writeHead(status, headers);
        await this.#upload.take(bytes.length);
        this.#sentBytes += bytes.length;
        await written(response, bytes);
      });
    } else {
      response.writeHead(status, headers);
      for await (const chunk of body) {
        await this.#upload.take(chunk.length);
        if (response.destroyed) return;
        this.#sentBytes += chunk.length;
        if (!response.write(chunk)) await once(response, "drain");
      }
      response.end();
    }
  }

  async #withBuffer(work: (buffer: Buffer) => Promise<void>): Promise<void> {
    if (this.#reads >= limits.gatewayReadsMax) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#reads += 1;
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(limits.leafBytes);
    try {
      await work(buffer);
    } finally {
      this.#spare.push(buffer);
      this.#reads -= 1;
      this.#waiting.shift()?.();
    }
  }
}

/** Resolves when the bytes were handed to the system, so that their buffer may be used again. */
async function written(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => {
    response.once("close", resolve);
    response.end(bytes);
  });
}
