import { connect, type Socket } from "node:net";
import { LakeError } from "@lake-travis/protocol";
import { limits } from "./limits.ts";

// A GET-only HTTP/1.1 client that writes a body straight into the caller's buffer. node:http
// allocates a new buffer for each 64 KiB and hands them through a stream, which takes more
// processor time than checking the block. Only what a gateway answers to a raw block is
// understood: a status, headers, and a body of a known length; anything else ends the connection.

/** Receive buffer of one connection: large enough that system calls do not dominate. */
const receiveBytes = 256 * 1024;
const headersEnd = Buffer.from("\r\n\r\n");

/** What came back: the status, and how many bytes of the body are in the target. */
export interface HttpAnswer {
  readonly status: number;
  readonly length: number;
}

interface Exchange {
  readonly target: Uint8Array;
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
  headers: Buffer;
  status: number;
  length: number;
  filled: number;
}

/** One kept-alive connection that carries one request at a time. */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #host: string;
  #exchange: Exchange | undefined;
  #failure: Error | undefined;

  /** Opens a connection to `url`, of which only host and port are read. */
  constructor(url: URL) {
    this.#host = url.host;
    const buffer = Buffer.allocUnsafeSlow(receiveBytes);
    this.#socket = connect({
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? 80 : Number(url.port),
      noDelay: true,
      onread: {
        buffer,
        callback: (count: number): boolean => {
          this.#receive(buffer.subarray(0, count));
          return true;
        },
      },
    });
    this.#socket.setTimeout(Math.max(limits.stallMs, limits.connectMs));
    this.#socket.on("timeout", () => {
      if (this.#exchange !== undefined) this.#fail(unreachable("stalled"));
    });
    this.#socket.on("error", (cause) => this.#fail(unreachable("cannot be reached", cause)));
    this.#socket.on("close", () => this.#fail(unreachable("closed the connection")));
  }

  /** Whether another request may be sent on it. */
  get usable(): boolean {
    return this.#failure === undefined && this.#exchange === undefined;
  }

  /** Sends a GET request and writes the body into `target`. */
  async get(path: string, target: Uint8Array, signal: AbortSignal): Promise<HttpAnswer> {
    signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    const abort = (): void => this.#fail(signal.reason as Error);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await new Promise<HttpAnswer>((resolve, reject) => {
        const headers = Buffer.alloc(0);
        this.#exchange = { target, resolve, reject, headers, status: 0, length: 0, filled: 0 };
        this.#socket.write(
          `GET ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n` +
            "Accept: application/vnd.ipld.raw\r\n\r\n",
        );
      });
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Closes the connection. */
  close(): void {
    this.#fail(unreachable("was closed here"));
  }

  #receive(bytes: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      this.#fail(malformed("sends bytes that nobody asked for"));
      return;
    }
    let body = bytes;
    if (exchange.status === 0) {
      exchange.headers = Buffer.concat([exchange.headers, bytes]);
      const end = exchange.headers.indexOf(headersEnd);
      if (end < 0 && exchange.headers.length <= limits.headerBytesMax) return;
      if (end < 0 || end > limits.headerBytesMax) {
        this.#fail(malformed("sends endless headers"));
        return;
      }
      body = exchange.headers.subarray(end + headersEnd.length);
      const failure = readHead(exchange, exchange.headers.toString("latin1", 0, end));
      if (failure !== undefined) {
        this.#fail(failure);
        return;
      }
    }
    if (exchange.filled + body.length > exchange.length) {
      this.#fail(malformed("sends more bytes than it announced"));
      return;
    }
    exchange.target.set(body, exchange.filled);
    exchange.filled += body.length;
    if (exchange.filled < exchange.length) return;
    this.#exchange = undefined;
    exchange.resolve({ status: exchange.status, length: exchange.length });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#socket.destroy();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.reject(error);
  }
}

function readHead(exchange: Exchange, head: string): LakeError | undefined {
  const [statusLine = "", ...lines] = head.split("\r\n");
  const status = /^HTTP\/1\.1 ([2-5]\d\d)(?: |$)/.exec(statusLine)?.[1];
  const length = lines
    .map((line) => /^content-length:[ \t]*(\d{1,10})[ \t]*$/i.exec(line)?.[1])
    .find((found) => found !== undefined);
  if (status === undefined) return malformed("does not speak HTTP/1.1");
  if (length === undefined) return malformed("announces no length");
  exchange.status = Number(status);
  exchange.length = Number(length);
  if (exchange.length > exchange.target.length) return malformed("announces too many bytes");
  return undefined;
}

function malformed(what: string): LakeError {
  return new LakeError("block-invalid", `The holder ${what}.`);
}

function unreachable(what: string, cause?: unknown): LakeError {
  return new LakeError("holder-none", `The holder ${what}.`, { cause });
}
