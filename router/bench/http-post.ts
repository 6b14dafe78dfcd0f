import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { routerPaths } from "@lake-travis/protocol";

/**
 * One kept-alive connection that posts RFCs, with no more HTTP than that needs: a load generator
 * shares the machine with what it measures, and what it takes is missing there.
 */
export class HttpPost {
  readonly #socket: Socket;
  readonly #head: string;
  #waiting: { resolve: (body: string) => void; reject: (error: Error) => void } | undefined;
  #received = "";

  private constructor(socket: Socket, port: number) {
    this.#socket = socket;
    this.#head =
      `POST ${routerPaths.rfcs} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n` +
      "content-type: application/json\r\ncontent-length: ";
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      this.#receive(chunk);
    });
    socket.on("close", () => {
      this.#waiting?.reject(new Error("the Router closed the connection"));
    });
  }

  /** Connects to a Router on this machine. */
  static async connect(port: number): Promise<HttpPost> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new HttpPost(socket, port);
  }

  /** Posts a body of ASCII and resolves with the answer's. */
  send(body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(`${this.#head}${body.length}\r\n\r\n${body}`, "latin1");
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: string): void {
    this.#received += chunk;
    const end = this.#received.indexOf("\r\n\r\n");
    if (end === -1) return;
    const length = Number(/content-length: (\d+)/i.exec(this.#received)?.[1]);
    if (Number.isNaN(length)) throw new Error("an answer without its length");
    if (this.#received.length < end + 4 + length) return;
    const body = this.#received.slice(end + 4, end + 4 + length);
    this.#received = "";
    this.#waiting?.resolve(body);
  }
}
