import {
  acceptType,
  type Address,
  type Clock,
  type Fields,
  fromHex,
  type Hex,
  LakeError,
  limits,
  messageToJson,
  type MessageType,
  offerType,
  rfcType,
  type RoutingWish,
  routingWishFromJson,
  routingWishHash,
  type Signed,
  signedFromJson,
  signedToJson,
  ticketType,
  type ValuesOf,
} from "@lake-travis/protocol";
import type { Effect } from "./core/events.ts";
import type { DurableMachine } from "./durable-machine.ts";
import type { Edge } from "./edge.ts";
import type { ProviderCaller } from "./provider-caller.ts";
import type { ShardPlace } from "./shards/shard-place.ts";

/** Longer than any deadline: an RFC whose outcome never came is our fault. */
const outcomeMsMax = limits.rfcDeadlineMsMax + 30_000;

type TicketGranted = Extract<Effect, { type: "ticket-granted" }>;

interface Waiter {
  readonly resolve: (granted: TicketGranted) => void;
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
  /** The JSON of Offers, which many grants repeat. */
  readonly #offerTexts = new WeakMap<TicketGranted["offer"], string>();

  readonly #place: ShardPlace | undefined;

  /** `place`: where this Router is one of several shards. */
  constructor(
    machine: DurableMachine,
    edge: Edge,
    clock: Clock,
    caller: ProviderCaller,
    place?: ShardPlace,
  ) {
    this.#place = place;
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

  /**
   * Takes the body of `POST /v1/rfcs` and answers with the text of its TicketGrant; throws what it
   * is refused with. `admit` is told who signed and may throw.
   */
  async request(json: unknown, admit: (signer: Address) => void): Promise<string> {
    const rfc = signedFromJson(rfcType, json);
    const wish = wishOf(json, rfc.message.wishHash);
    const { hash, signer } = await this.#edge.identify(rfcType, rfc);
    admit(signer);
    if (this.#place !== undefined) {
      const user = this.#machine.state.delegations.get(rfc.message.delegationHash);
      if (user !== undefined) await this.#place.requireOwn(user);
    }
    if (this.#waiters.has(hash)) {
      throw new LakeError("rfc-pending", "This RFC is being worked on.");
    }
    const { promise, resolve, reject } = Promise.withResolvers<TicketGranted>();
    const cancel = this.#clock.after(outcomeMsMax, () => {
      reject(new LakeError("internal", "An RFC was lost."));
    });
    this.#waiters.set(hash, { resolve, reject });
    try {
      const at = this.#clock.now();
      const event = { type: "rfc-received", rfc, wish, hash, signer, at } as const;
      this.#machine.enter(event);
      return await this.#grantText(await promise);
    } finally {
      cancel();
      this.#waiters.delete(hash);
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
        this.#caller.ask(effect);
        break;
      case "ticket-granted":
        this.#waiters.get(effect.rfcHash)?.resolve(effect);
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

  async #grantText({ sessionId, ticket, offer, accept, why }: TicketGranted): Promise<string> {
    // The Session's id is the Ticket's digest.
    const signature = await this.#edge.signDigest(fromHex(sessionId));
    const message = JSON.stringify(messageToJson(ticketType, ticket));
    let offerText = this.#offerTexts.get(offer);
    if (offerText === undefined) {
      offerText = textOf(offerType, offer);
      this.#offerTexts.set(offer, offerText);
    }
    return (
      `{"sessionId":"${sessionId}","ticket":{"message":${message},"signature":"${signature}"},` +
      `"offer":${offerText},"accept":${textOf(acceptType, accept)},"why":${JSON.stringify(why)}}`
    );
  }
}

function textOf<F extends Fields>(type: MessageType<F>, signed: Signed<ValuesOf<F>>): string {
  return JSON.stringify(signedToJson(type, signed));
}

/** The wish beside an RFC; throws `message-invalid` unless it is the one that the RFC signs. */
function wishOf(json: unknown, wishHash: Hex): RoutingWish | null {
  const source = (json as { readonly wish?: unknown } | null)?.wish;
  const wish = source === undefined ? undefined : routingWishFromJson(source);
  if (routingWishHash(wish) === wishHash) return wish ?? null;
  throw new LakeError("message-invalid", "The RFC's wishHash is not that of the wish beside it.");
}
