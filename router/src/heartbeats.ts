import {
  type Address,
  type ChallengeAnswer,
  type Clock,
  closeType,
  digestOf,
  type Fields,
  type Hex,
  isHex,
  LakeError,
  signedFromJson,
  signedToJson,
  messageFromJson,
  type MessageType,
  ticketType,
  tickType,
  parties,
  closeReasons,
  type Signed,
  type Ticket,
  toHex,
  type ValuesOf,
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
  /** Signatures of what Providers are told again and again, by Session. */
  readonly #signed = new Map<string, Promise<Hex>>();
  /** When this process began to listen, or went on after a pause. */
  #listeningSince: number;

  constructor(machine: DurableMachine, edge: Edge, clock: Clock) {
    this.#machine = machine;
    this.#edge = edge;
    this.#clock = clock;
    this.#listeningSince = clock.now();
  }

  /**
   * Takes one beat and answers it; `admit` is told whose it is and may throw. Throws
   * `signature-invalid`, `signer-wrong`, `sequence-stale`, `message-invalid`, `body-invalid`.
   */
  async receive(
    body: Uint8Array,
    signature: string | null,
    admit: (provider: Address) => void,
  ): Promise<Record<string, unknown>> {
    const json = parseJson(body) as Readonly<Record<string, unknown>> | null;
    const { provider, at } = this.#requireBeat(json, body, signature);
    admit(provider);
    const connected = listOf(json?.["connected"], "connected").map(idFromJson);
    const closes = listOf(json?.["closes"], "closes").map((item) => this.#closeFromJson(item));
    this.#heard.set(provider, { heardAt: this.#clock.now(), at });
    const ticks = await Promise.all(
      listOf(json?.["ticks"], "ticks")
        // Those of other shards' Sessions need no signatures recovered here.
        .filter((item) => this.#isConcerned(item))
        .map((item) => this.#tickFromJson(item)),
    );
    // Absent where a Provider has nothing to say.
    const challengeAnswers = listOf(json?.["challengeAnswers"] ?? [], "challengeAnswers").map(
      challengeAnswerFromJson,
    );
    const now = this.#clock.now();
    const isSilent = this.#machine.state.providers.get(provider)?.silent === true;
    const reports = connected.length + ticks.length + closes.length + challengeAnswers.length;
    if (isSilent || reports > 0) {
      const said = { provider, connected, ticks, closes, challengeAnswers };
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

  #isConcerned(item: unknown): boolean {
    const { shard, sessions } = this.#machine.state;
    const { tick } = (item ?? {}) as { readonly tick?: { readonly sessionId?: unknown } | null };
    return shard.count === 1 || sessions.has(tick?.sessionId as Hex);
  }

  async #tickFromJson(json: unknown): Promise<ReceivedTick> {
    const source = (json ?? {}) as Readonly<Record<string, unknown>>;
    const { signature, countersignature } = source;
    if (!isHex(signature, 65) || !isHex(countersignature, 65)) {
      throw new LakeError("message-invalid", "A Tick in a Heartbeat needs both signatures.");
    }
    const tick = messageFromJson(tickType, source["tick"]);
    const digest = digestOf(this.#edge.separator, tickType, tick);
    const [signer, countersigner] = await Promise.all([
      this.#edge.findSigner(digest, signature),
      this.#edge.findSigner(digest, countersignature),
    ]);
    return { tick, tickHash: toHex(digest), signature, countersignature, signer, countersigner };
  }

  #closeFromJson(json: unknown): ReceivedClose {
    return this.#edge.close(signedFromJson(closeType, json));
  }

  async #replyTo(provider: Address, now: number): Promise<Record<string, unknown>> {
    const { state } = this.#machine;
    const known = state.providers.get(provider);
    const isNew = ({ at }: { readonly at: number }): boolean => at + coreLimits.noticeMs > now;
    const notices = (known?.notices ?? []).filter(isNew);
    const ended = notices.filter(({ successor }) => successor === null);
    const continued = notices.filter(({ successor }) => successor !== null);
    return {
      ended: await Promise.all(ended.map((notice) => this.#closeOf(notice))),
      successors: await Promise.all(continued.map((notice) => this.#successorOf(notice))),
      notices: (known?.warnings ?? []).filter(isNew).map(({ sessionId, endsAt, reason }) => {
        return { sessionId, endsAt, reason };
      }),
      challenges: (known?.questions ?? []).filter(({ answerBy }) => answerBy > now),
      offers: [...(known?.offers ?? [])].map((key) => state.offers.get(key)?.hash),
    };
  }

  /** The Router's Close of a Session, signed once however often it is told. */
  async #closeOf({ sessionId, tickHash, party, reason }: Notice): Promise<unknown> {
    const message = {
      sessionId,
      tickHash,
      party: parties.indexOf(party),
      reason: closeReasons.indexOf(reason),
    };
    return signedToJson(closeType, await this.#signOnce(sessionId, closeType, message));
  }

  async #successorOf({ sessionId, successor }: Notice): Promise<unknown> {
    // Only Notices with a successor come here.
    const message = successor as Ticket;
    const ticket = await this.#signOnce(`${sessionId} continued`, ticketType, message);
    return { previous: sessionId, ticket: signedToJson(ticketType, ticket) };
  }

  /** Many Sessions may end at once: their signatures are made together, and only once each. */
  async #signOnce<F extends Fields>(
    name: string,
    type: MessageType<F>,
    message: ValuesOf<F>,
  ): Promise<Signed<ValuesOf<F>>> {
    let signature = this.#signed.get(name);
    if (signature === undefined) {
      signature = this.#edge.signDigest(digestOf(this.#edge.separator, type, message));
      this.#signed.set(name, signature);
      if (this.#signed.size > routerLimits.signedNoticesMax) {
        this.#signed.delete(this.#signed.keys().next().value ?? name);
      }
    }
    return { message, signature: await signature };
  }
}

function challengeAnswerFromJson(value: unknown): ChallengeAnswer {
  const { sessionId, nonce, digest } = (value ?? {}) as Partial<Record<string, unknown>>;
  if (isHex(sessionId, 32) && isHex(nonce, 32) && isHex(digest, 32)) {
    return { sessionId, nonce, digest };
  }
  throw new LakeError(
    "message-invalid",
    "Heartbeat.challengeAnswers must hold sessionId, nonce and digest.",
  );
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
