import {
  type Accept,
  type Address,
  type ChainEvent,
  type ChallengeAnswer,
  type Close,
  closeReasons,
  type Delegation,
  delegationType,
  domainSeparatorOf,
  type Hex,
  messageHash,
  type Offer,
  offerType,
  acceptType,
  parties,
  type Party,
  type CloseReason,
  type RequestForCompute,
  rfcType,
  type RoutingWish,
  routingWishHash,
  type Signed,
  type Ticket,
  type Tick,
  tickType,
  zeroBytes32,
} from "@lake-travis/protocol";
import { decodeEvent, encodeEvent } from "../journal/recover.ts";
import type { Effect, RouterEvent } from "../core/events.ts";
import { epochToJudge } from "../core/judging.ts";
import { coreFormat, createState, type RouterState, type JudgedVerdict } from "../core/state.ts";
import { step } from "../core/step.ts";

const signature: Hex = `0x${"0".repeat(130)}`;
const nobody: Address = `0x${"0".repeat(40)}`;

/** An address that a small number stands for. */
export function addressOf(number: number): Address {
  return `0x${number.toString(16).padStart(40, "0")}`;
}

/** 32 bytes that a small number stands for. */
export function bytes32Of(number: number): Hex {
  return `0x${number.toString(16).padStart(64, "0")}`;
}

/** How a {@link CoreWorld} begins. */
export interface WorldOptions {
  readonly users?: number;
  readonly providers?: number;
  readonly slots?: number;
  readonly budget?: bigint;
  readonly weiPerSecond?: bigint;
  readonly minSeconds?: number;
}

const epochMs = 20_000;
const firstUser = 1_000;
const firstProvider = 2_000;
const sessionKeyShift = 10_000;

/**
 * The state machine with Users and Providers whose signatures are taken for granted, under a clock
 * that is set by hand. Every event goes through the journal's codec, as after a recovery.
 */
export class CoreWorld {
  readonly state: RouterState = createState();
  readonly events: RouterEvent[] = [];
  readonly effects: Effect[] = [];
  readonly router = addressOf(1);
  readonly builder = addressOf(2);
  readonly digest = bytes32Of(77);
  readonly model = "lake/tiny:latest";
  readonly genesisMs = 1_700_000_000_000;
  readonly domain = { chainId: 1, computeContract: addressOf(3) };
  readonly separator = domainSeparatorOf(this.domain);
  now = this.genesisMs;
  #block = 0;
  #nonce = 0;
  readonly #sequences = new Map<Address, number>();

  constructor(options: WorldOptions = {}) {
    const { users = 1, providers = 1, slots = 4, budget = 10n ** 18n } = options;
    this.submit({
      type: "router-founded",
      format: coreFormat,
      router: this.router,
      ...this.domain,
      schedule: { genesisMs: this.genesisMs, lengthMs: epochMs },
      secret: bytes32Of(5),
    });
    this.mine(...this.#facts(users, providers));
    this.beginEpoch(budget);
    for (let index = 0; index < users; index += 1) this.delegate(index);
    for (let index = 0; index < providers; index += 1) {
      const { weiPerSecond = 1_000n, minSeconds = 0 } = options;
      this.offer(index, { slots, weiPerSecond, minSeconds });
    }
  }

  user(index: number): Address {
    return addressOf(firstUser + index);
  }

  provider(index: number): Address {
    return addressOf(firstProvider + index);
  }

  /** Applies an event as a recovery would read it. */
  submit(event: RouterEvent): readonly Effect[] {
    const { effects, changed } = step(this.state, decodeEvent(encodeEvent(event)));
    if (changed) this.events.push(event);
    this.effects.push(...effects);
    return effects;
  }

  /** A block with facts, now. */
  mine(...events: readonly ChainEvent[]): void {
    this.#block += 1;
    const block = { number: this.#block, hash: bytes32Of(this.#block), timestampMs: this.now };
    this.submit({ type: "blocks-followed", blocks: [{ ...block, events }] });
  }

  /** Opens the epoch of the newest block. */
  beginEpoch(budget: bigint): void {
    const { epoch } = this.state;
    const secret = bytes32Of(900 + epoch);
    this.submit({ type: "epoch-began", epoch, budget, secret, at: this.now });
  }

  /** Lets time pass in steps of the Router's timer, with a block and an epoch where one is due. */
  pass(ms: number, budget = 10n ** 18n): void {
    const end = this.now + ms;
    while (this.now < end) {
      this.now = Math.min(end, this.now + 1_000);
      this.mine();
      if (this.state.epoch > this.state.openEpoch) this.beginEpoch(budget);
      this.submit({ type: "time-passed", at: this.now });
    }
  }

  delegate(index: number, changes: Partial<Delegation> = {}): readonly Effect[] {
    const delegation: Delegation = {
      user: this.user(index),
      sessionKey: addressOf(firstUser + index + sessionKeyShift),
      epochLimit: 10n ** 24n,
      debitCeiling: 10n ** 24n,
      pseudonymCommitment: zeroBytes32,
      expiresAt: this.now + 10 ** 9,
      nonce: 1,
      ...changes,
    };
    const hash = messageHash(this.separator, delegationType, delegation);
    const at = this.now;
    const given = { delegation, hash, signature, pseudonymKey: null };
    return this.submit({ type: "delegation-received", ...given, at });
  }

  offer(index: number, figures: Partial<Offer> = {}): readonly Effect[] {
    const provider = this.provider(index);
    const sequence = (this.#sequences.get(provider) ?? 0) + 1;
    this.#sequences.set(provider, sequence);
    const message: Offer = {
      provider,
      model: this.model,
      manifestDigest: this.digest,
      weiPerSecond: 1_000n,
      minSeconds: 0,
      slots: 4,
      milliTps: 50_000,
      engineClass: "simulated",
      hardwareClass: "cpu",
      endpoint: `https://127.0.0.1:${1_000 + index}`,
      tlsFingerprint: bytes32Of(index),
      validUntil: this.now + 3_600_000,
      sequence,
      ...figures,
    };
    const hash = messageHash(this.separator, offerType, message);
    const offer = { message, signature };
    return this.submit({ type: "offer-received", offer, hash, signer: provider, at: this.now });
  }

  rfc(
    index: number,
    wish: Partial<RequestForCompute> = {},
    routing: RoutingWish | null = null,
  ): Extract<RouterEvent, { type: "rfc-received" }> {
    this.#nonce += 1;
    const message: RequestForCompute = {
      router: this.router,
      delegationHash: this.state.users.get(this.user(index))?.delegationHash ?? zeroBytes32,
      sessionKey: addressOf(50_000 + this.#nonce),
      model: this.model,
      manifestDigest: zeroBytes32,
      maxWeiPerSecond: 10n ** 18n,
      minMilliTps: 0,
      maxLatencyMs: 0,
      maxSeconds: 600,
      nonce: bytes32Of(this.#nonce),
      deadline: this.now + 30_000,
      wishHash: routingWishHash(routing ?? undefined),
      ...wish,
    };
    const rfc: Signed<RequestForCompute> = { message, signature };
    const signer = addressOf(firstUser + index + sessionKeyShift);
    const hash = messageHash(this.separator, rfcType, message);
    return { type: "rfc-received", rfc, wish: routing, hash, signer, at: this.now };
  }

  /** Answers every question that was asked of a Provider among these effects; returns Tickets. */
  accept(effects: readonly Effect[]): Extract<Effect, { type: "ticket-granted" }>[] {
    return effects.flatMap((effect) => {
      if (effect.type !== "provider-asked") return [];
      const { rfcHash, offerHash, provider } = effect;
      const message: Accept = { rfcHash, offerHash, expiresAt: this.now + 5_000 };
      const hash = messageHash(this.separator, acceptType, message);
      const done = this.submit({
        type: "accept-received",
        accept: { message, signature },
        hash,
        signer: provider,
        at: this.now,
      });
      return done.filter((granted) => granted.type === "ticket-granted");
    });
  }

  /** An RFC up to its Ticket; throws where none comes. */
  open(
    index: number,
    wish: Partial<RequestForCompute> = {},
    routing: RoutingWish | null = null,
  ): OpenedSession {
    const [granted] = this.accept(this.submit(this.rfc(index, wish, routing)));
    if (granted === undefined) throw new Error("no Ticket came of it");
    return { id: granted.sessionId, ticket: granted.ticket };
  }

  /** What a Provider reports of one Session. */
  beat(
    session: OpenedSession,
    said: {
      readonly connected?: boolean;
      readonly tick?: Partial<Tick>;
      readonly close?: { readonly party: Party; readonly reason: CloseReason };
      readonly answers?: readonly ChallengeAnswer[];
    },
  ): readonly Effect[] {
    const { provider, sessionKey } = session.ticket;
    const tick: Tick = { ...emptyTick, sessionId: session.id, ...said.tick };
    const tickHash = messageHash(this.separator, tickType, tick);
    const received = { tick, tickHash, signature, countersignature: signature };
    const signed = { ...received, signer: sessionKey, countersigner: provider };
    return this.submit({
      type: "beat-received",
      provider,
      connected: said.connected === true ? [session.id] : [],
      ticks: said.tick === undefined ? [] : [signed],
      closes: said.close === undefined ? [] : [this.close(session, said.close, tickHash)],
      ...(said.answers === undefined ? {} : { challengeAnswers: said.answers }),
      at: this.now,
    });
  }

  /** A Close by one of the parties. */
  close(
    session: OpenedSession,
    how: { readonly party: Party; readonly reason: CloseReason },
    tickHash: Hex,
  ): { readonly close: Close; readonly signer: Address } {
    const close: Close = {
      sessionId: session.id,
      tickHash,
      party: parties.indexOf(how.party),
      reason: closeReasons.indexOf(how.reason),
    };
    const { provider, sessionKey } = session.ticket;
    return { close, signer: how.party === "user" ? sessionKey : provider };
  }

  /** A whole good Session of so many seconds, closed by its User. */
  serve(index: number, seconds: number, routing: RoutingWish | null = null): OpenedSession {
    const session = this.open(index, {}, routing);
    this.beat(session, { connected: true, tick: { seconds: 1, requestsAnswered: 1 } });
    this.now += seconds * 1_000;
    const tick = { seconds, requestsAnswered: 1, tokens: seconds * 50, activeMs: seconds * 1_000 };
    this.beat(session, { tick, close: { party: "user", reason: "finished" } });
    return session;
  }

  /** Judges the epoch that is due, with these verdicts on Sessions that did not pass. */
  judge(against: readonly JudgedVerdict[] = []): readonly Effect[] {
    const epoch = epochToJudge(this.state);
    if (epoch === undefined) throw new Error("no epoch is due");
    const records = this.state.ledgers.get(epoch)?.records ?? [];
    const judged = records.flatMap((ended) => {
      const verdict = against.find(({ sessionId }) => sessionId === ended.record.sessionId);
      return verdict === undefined ? [] : [{ ...verdict, ended }];
    });
    const judgedAgain = against.filter(({ sessionId }) => this.state.held.has(sessionId));
    const parties = records.flatMap(({ record, money }) => [record.provider, money.user]);
    const sessionsOf = [...new Set(parties)].map(
      (account) => [account, parties.filter((each) => each === account).length] as const,
    );
    const baselineHash = bytes32Of(epoch);
    const half = judged.length >> 1;
    const said = { type: "epoch-judged", epoch, baselineHash } as const;
    const none = { sessionsOf: [], judgedAgain: [] };
    const first = { ...said, ...none, from: 0, judged: judged.slice(0, half), isLast: false };
    this.submit(first);
    // As after a crash between the two.
    if (half > 0) this.submit(first);
    const rest = { from: half, judged: judged.slice(half), isLast: true };
    return this.submit({ ...said, ...rest, sessionsOf, judgedAgain });
  }

  /** What an ended Session cost in seconds; undefined while it has not ended. */
  costOf(session: OpenedSession): number | undefined {
    return this.state.ended.get(session.id)?.chargedSeconds;
  }

  #facts(users: number, providers: number): ChainEvent[] {
    const wei = 10n ** 18n;
    const held = Array.from({ length: users }, (_, index): ChainEvent => {
      return { type: "mor-transferred", from: nobody, to: this.user(index), wei };
    });
    const nodes = Array.from({ length: providers }, (_, index): ChainEvent => {
      const account = this.provider(index);
      const kind = "provider";
      return { type: "node-registered", account, kind, signingKey: account, stake: 1n };
    });
    const { builder, digest: manifestDigest } = this;
    const name = "lake/tiny";
    const baseDigest = zeroBytes32;
    return [
      ...held,
      ...nodes,
      { type: "model-published", name, manifestDigest, kind: "model", builder, baseDigest },
      { type: "tag-moved", name, tag: "latest", manifestDigest },
      { type: "builder-price-changed", name, weiPerSecond: 100n, fromEpoch: 0 },
    ];
  }
}

/** A Session that the Router granted. */
export interface OpenedSession {
  readonly id: Hex;
  readonly ticket: Ticket;
}

const emptyTick = {
  seconds: 0,
  requestsAnswered: 0,
  requestsFailed: 0,
  tokens: 0,
  ttftMs: 0,
  activeMs: 0,
};
