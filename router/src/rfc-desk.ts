import {
  acceptType,
  type Clock,
  type Hex,
  LakeError,
  limits,
  messageToJson,
  offerType,
  type RequestForCompute,
  type Signed,
  signedToJson,
  ticketType,
} from "@lake-travis/protocol";
import type { Effect } from "./core/events.ts";
import type { DurableMachine } from "./durable-machine.ts";
import type { Edge } from "./edge.ts";
import type { ProviderCaller } from "./provider-caller.ts";

/** Longer than any deadline: an RFC whose outcome never came is our fault. */
const outcomeMsMax = limits.rfcDeadlineMsMax + 30_000;

interface Waiter {
  readonly resolve: (grant: Record<string, unknown>) => void;
  readonly reject: (error: LakeError) => void;
}

/** Takes RFCs and answers each with its Ticket, or with why there is none. */
export class RfcDesk {
  readonly #machine: DurableMachine;
  readonly #edge: Edge;
  readonly #clock: Clock;
  readonly #caller: ProviderCaller;
  readonly #waiters = new Map<Hex, Waiter>();
  readonly #unlisten: () => void;

  constructor(machine: DurableMachine, edge: Edge, clock: Clock, caller: ProviderCaller) {
    this.#machine = machine;
    this.#edge = edge;
    this.#clock = clock;
    this.#caller = caller;
    this.#unlisten = machine.listen((effect) => {
      this.#onEffect(effect);
    });
  }

  /** How many RFCs are waiting for their outcome here. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** The TicketGrant in its JSON form; throws what the state machine refused it with. */
  async request(rfc: Signed<RequestForCompute>): Promise<Record<string, unknown>> {
    const event = this.#edge.rfc(rfc, this.#clock.now());
    if (this.#waiters.has(event.hash)) {
      throw new LakeError("rfc-pending", "This RFC is being worked on.");
    }
    const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>();
    const cancel = this.#clock.after(outcomeMsMax, () => {
      reject(new LakeError("internal", "An RFC was lost."));
    });
    this.#waiters.set(event.hash, { resolve, reject });
    try {
      // Both at once: the outcome may come before the event that asked for it is on the disk.
      const [grant] = await Promise.all([promise, this.#machine.require(event)]);
      return grant;
    } finally {
      cancel();
      this.#waiters.delete(event.hash);
    }
  }

  /** Refuses whoever waits. */
  stop(): void {
    this.#unlisten();
    for (const { reject } of this.#waiters.values()) {
      reject(new LakeError("shutting-down", "This Router is stopping."));
    }
  }

  #onEffect(effect: Effect): void {
    switch (effect.type) {
      case "provider-asked":
        // Only a journal that cannot be written rejects here, and that ends the Router.
        this.#caller.ask(effect).catch(() => undefined);
        break;
      case "ticket-granted":
        this.#waiters.get(effect.rfcHash)?.resolve(this.#grantToJson(effect));
        break;
      case "rfc-refused": {
        const { code, message, advice } = effect.refusal;
        const error = new LakeError(code, message, advice === undefined ? {} : { advice });
        this.#waiters.get(effect.rfcHash)?.reject(error);
        break;
      }
      default:
    }
  }

  #grantToJson(granted: Extract<Effect, { type: "ticket-granted" }>): Record<string, unknown> {
    const { signature } = this.#edge.sign(ticketType, granted.ticket);
    return {
      sessionId: granted.sessionId,
      ticket: { message: messageToJson(ticketType, granted.ticket), signature },
      offer: signedToJson(offerType, granted.offer),
      accept: signedToJson(acceptType, granted.accept),
      why: granted.why,
    };
  }
}
