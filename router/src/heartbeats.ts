import {
  type Address,
  type Clock,
  closeType,
  digestOf,
  type Hex,
  isHex,
  LakeError,
  signedFromJson,
  signedToJson,
  messageFromJson,
  ticketType,
  tickType,
  parties,
  closeReasons,
  type Close,
  type Signed,
  toHex,
} from "@lake-travis/protocol";
import { parseJson } from "@lake-travis/platform";
import { coreLimits } from "./core/core-limits.ts";
import type { ReceivedClose, ReceivedTick } from "./core/events.ts";
import type { Notice } from "./core/state.ts";
import type { DurableMachine } from "./durable-machine.ts";
import type { Edge } from "./edge.ts";
import { routerLimits } from "./limits.ts";

/** A Heartbeat's items; more than one Provider can have Sessions is not a beat. */
const itemsMax = 100_000;

/**
 * Takes the Providers' Heartbeats and watches who has fallen silent. When a beat was last heard is
 * not part of the state: what depends on it enters the machine as an event.
 */
export class Heartbeats {
  readonly #machine: DurableMachine;
  readonly #edge: Edge;
  readonly #clock: Clock;
  /** By Provider: when its last beat came, and the newest `at` that it signed. */
  readonly #heard = new Map<Address, { heardAt: number; at: number }>();
  readonly #signedCloses = new Map<Hex, Signed<Close>>();
  /** When this process began to listen, or went on after a pause. */
  #listeningSince: number;

  constructor(machine: DurableMachine, edge: Edge, clock: Clock) {
    this.#machine = machine;
    this.#edge = edge;
    this.#clock = clock;
    this.#listeningSince = clock.now();
  }

  /**
   * Takes one beat and answers it. Throws `signature-invalid`, `signer-wrong`, `sequence-stale`,
   * `message-invalid`, `body-invalid`.
   */
  async receive(body: Uint8Array, signature: string | null): Promise<Record<string, unknown>> {
    const json = parseJson(body) as Readonly<Record<string, unknown>> | null;
    const { provider, at } = this.#requireBeat(json, body, signature);
    const connected = listOf(json?.["connected"], "connected").map(idFromJson);
    const ticks = listOf(json?.["ticks"], "ticks").map((item) => this.#tickFromJson(item));
    const closes = listOf(json?.["closes"], "closes").map((item) => this.#closeFromJson(item));
    const now = this.#clock.now();
    this.#heard.set(provider, { heardAt: now, at });
    const isSilent = this.#machine.state.providers.get(provider)?.silent === true;
    if (isSilent || connected.length + ticks.length + closes.length > 0) {
      const said = { provider, connected, ticks, closes };
      await this.#machine.require({ type: "beat-received", ...said, at: now });
    }
    return this.#replyTo(provider, now);
  }

  /** Reports every Provider with Sessions or Offers that has been silent for too long. */
  watch(): void {
    const now = this.#clock.now();
    for (const [provider, { silent, sessions, offers }] of this.#machine.state.providers) {
      if (silent || sessions.size + offers.size === 0) continue;
      const heardAt = this.#heard.get(provider)?.heardAt ?? 0;
      if (now - Math.max(heardAt, this.#listeningSince) < coreLimits.providerSilentMs) continue;
      // A journal that fails ends the Router; nobody waits for this event.
      const event = { type: "provider-silent", provider, at: now } as const;
      this.#machine.submit(event).catch(() => undefined);
    }
  }

  /** This process was paused: what it did not hear meanwhile was not silence. */
  resume(): void {
    this.#listeningSince = this.#clock.now();
  }

  /** An Offer is a sign of life too. */
  heardOffer(provider: Address): void {
    const known = this.#heard.get(provider);
    this.#heard.set(provider, { heardAt: this.#clock.now(), at: known?.at ?? 0 });
  }

  #requireBeat(
    json: Readonly<Record<string, unknown>> | null,
    body: Uint8Array,
    signature: string | null,
  ): { readonly provider: Address; readonly at: number } {
    const provider = json?.["provider"];
    const at = json?.["at"];
    if (!isHex(provider, 20) || !Number.isSafeInteger(at)) {
      throw new LakeError("message-invalid", "A Heartbeat needs its Provider and its time.");
    }
    const node = this.#machine.state.nodes.get(provider);
    const signer = isHex(signature, 65) ? this.#edge.signerOfBytes(body, signature) : undefined;
    if (signer === undefined) {
      throw new LakeError("signature-invalid", "This Heartbeat is not signed.");
    }
    if (node?.kind !== "provider" || node.signingKey !== signer) {
      throw new LakeError("signer-wrong", "This Heartbeat is not signed by a registered Provider.");
    }
    if ((at as number) <= (this.#heard.get(provider)?.at ?? 0)) {
      throw new LakeError("sequence-stale", "A newer Heartbeat of this Provider was heard.");
    }
    return { provider, at: at as number };
  }

  #tickFromJson(json: unknown): ReceivedTick {
    const source = (json ?? {}) as Readonly<Record<string, unknown>>;
    const { signature, countersignature } = source;
    if (!isHex(signature, 65) || !isHex(countersignature, 65)) {
      throw new LakeError("message-invalid", "A Tick in a Heartbeat needs both signatures.");
    }
    const tick = messageFromJson(tickType, source["tick"]);
    const digest = digestOf(this.#edge.separator, tickType, tick);
    return {
      tick,
      tickHash: toHex(digest),
      signature,
      countersignature,
      signer: this.#edge.signerOf(digest, signature),
      countersigner: this.#edge.signerOf(digest, countersignature),
    };
  }

  #closeFromJson(json: unknown): ReceivedClose {
    return this.#edge.close(signedFromJson(closeType, json));
  }

  #replyTo(provider: Address, now: number): Record<string, unknown> {
    const { state } = this.#machine;
    const known = state.providers.get(provider);
    const notices = (known?.notices ?? []).filter(({ at }) => at + coreLimits.noticeMs > now);
    const ended = notices.filter(({ successor }) => successor === null);
    const offers = [...(known?.offers ?? [])].map((key) => state.offers.get(key)?.hash);
    return {
      ended: ended.map((notice) => signedToJson(closeType, this.#closeOf(notice))),
      successors: notices.flatMap(({ sessionId, successor }) => {
        if (successor === null) return [];
        const ticket = this.#edge.sign(ticketType, successor);
        return [{ previous: sessionId, ticket: signedToJson(ticketType, ticket) }];
      }),
      notices: [],
      challenges: [],
      offers,
    };
  }

  /** The Router's Close of a Session, signed once however often it is told. */
  #closeOf(notice: Notice): Signed<Close> {
    const known = this.#signedCloses.get(notice.sessionId);
    if (known !== undefined) return known;
    const signed = this.#edge.sign(closeType, {
      sessionId: notice.sessionId,
      tickHash: notice.tickHash,
      party: parties.indexOf(notice.party),
      reason: closeReasons.indexOf(notice.reason),
    });
    this.#signedCloses.set(notice.sessionId, signed);
    if (this.#signedCloses.size > routerLimits.signedClosesMax) {
      this.#signedCloses.delete(this.#signedCloses.keys().next().value ?? notice.sessionId);
    }
    return signed;
  }
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > itemsMax) {
    throw new LakeError("message-invalid", `Heartbeat.${name} must be a list.`);
  }
  return value as readonly unknown[];
}

function idFromJson(value: unknown): Hex {
  if (!isHex(value, 32)) {
    throw new LakeError("message-invalid", "Heartbeat.connected must hold session ids.");
  }
  return value;
}
