import type { IncomingMessage, ServerResponse } from "node:http";
import { limits, routerPaths } from "@lake-travis/protocol";
import { parseJson, type RawHandler, readIncoming, sendJson } from "@lake-travis/platform";
import type { Metrics } from "../metrics.ts";
import type { RfcDesk } from "../rfc-desk.ts";
import type { Gate } from "./gate.ts";

/** Where RFCs come in, however they come. */
export class RfcDoor {
  readonly gate: Gate;
  readonly #desk: RfcDesk;
  readonly #metrics: Metrics;

  constructor(gate: Gate, desk: RfcDesk, metrics: Metrics) {
    this.gate = gate;
    this.#desk = desk;
    this.#metrics = metrics;
  }

  /** The text of the TicketGrant for an RFC's JSON; throws what it is refused with. */
  async request(json: unknown): Promise<string> {
    const begunAt = performance.now();
    const text = await this.#desk.request(json, this.gate.admitKey);
    this.#metrics.observeRfc(performance.now() - begunAt);
    return text;
  }

  /** `POST /v1/rfcs` on the bare socket: a Request and a Response would cost as much as the RFC. */
  readonly raw: RawHandler = (incoming, outgoing) => {
    if (incoming.method !== "POST" || incoming.url !== routerPaths.rfcs) return false;
    void this.#answer(incoming, outgoing);
    return true;
  };

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    try {
      const address = incoming.socket.remoteAddress ?? "none";
      const text = await this.gate.pass(address, async () => {
        return this.request(parseJson(await readIncoming(incoming, limits.controlBodyBytesMax)));
      });
      sendJson(outgoing, text);
    } catch (error) {
      const told = this.gate.refuse(error);
      sendJson(outgoing, JSON.stringify(told.toBody()), told.status);
    }
  }
}
