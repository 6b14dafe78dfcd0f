import { once } from "node:events";
import { WebSocket } from "ws";
import { type Hex, routerPaths } from "@lake-travis/protocol";

/** What became of one frame: the Sessions in the order of the RFCs, undefined where refused. */
export type FrameOutcome = readonly (Hex | undefined)[];

interface SentFrame {
  left: number;
  readonly sessions: (Hex | undefined)[];
  readonly done: (outcome: FrameOutcome) => void;
}

/** Ids of one frame are this far from those of the next. */
const idsPerFrame = 100;

/** A WebSocket that sends frames of RFCs and gathers what comes back. */
export class RfcSocketClient {
  readonly #socket: WebSocket;
  readonly #frames = new Map<number, SentFrame>();
  #next = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer) => {
      this.#receive(data.toString("latin1"));
    });
  }

  /** Connects to a Router. */
  static async connect(url: string): Promise<RfcSocketClient> {
    const socket = new WebSocket(url.replace(/^http/, "ws") + routerPaths.rfcs, {
      perMessageDeflate: false,
    });
    await once(socket, "open");
    return new RfcSocketClient(socket);
  }

  /** Sends RFCs (JSON objects as text) in one frame; resolves once each has its outcome. */
  send(rfcs: readonly string[]): Promise<FrameOutcome> {
    const frame = this.#next;
    this.#next += 1;
    const requests = rfcs.map((rfc, at) => `{"id":${frame * idsPerFrame + at},${rfc.slice(1)}`);
    return new Promise((done) => {
      const sessions = rfcs.map(() => undefined);
      this.#frames.set(frame, { left: rfcs.length, sessions, done });
      this.#socket.send(`{"requests":[${requests.join(",")}]}`);
    });
  }

  close(): void {
    this.#socket.terminate();
  }

  #receive(text: string): void {
    // No JSON is parsed here: what the load generator takes is missing at the Router.
    const outcomes = /\{"id":(\d+),"(?:error"|grant":\{"sessionId":"(0x[0-9a-f]{64})")/g;
    for (const [, id, session] of text.matchAll(outcomes)) {
      const number = Math.floor(Number(id) / idsPerFrame);
      const frame = this.#frames.get(number);
      if (frame === undefined) continue;
      frame.left -= 1;
      frame.sessions[Number(id) % idsPerFrame] = session as Hex | undefined;
      if (frame.left > 0) continue;
      this.#frames.delete(number);
      frame.done(frame.sessions);
    }
  }
}
