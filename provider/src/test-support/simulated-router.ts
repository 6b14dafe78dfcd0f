/*
 * A Router that grants what it is asked for: enough for a Provider to be run against, with real
 * signatures, and nothing of the real one's state.
 */
import {
  acceptType,
  type Address,
  type Challenge,
  type ChallengeAnswer,
  type Close,
  closeReasons,
  closeType,
  type CountersignedTick,
  domainOf,
  domainSeparatorOf,
  type Deployment,
  type EndNotice,
  epochAt,
  type Hex,
  keccak256Hex,
  messageHash,
  type Offer,
  offerType,
  parties,
  payeeKinds,
  type RequestForCompute,
  rfcType,
  routerPaths,
  type Signed,
  signedFromJson,
  signedToJson,
  signMessage,
  type Signer,
  type Ticket,
  ticketType,
  toHex,
  zeroBytes32,
} from "@lake-travis/protocol";
import { type HttpServer, serveHttp, systemRandom } from "@lake-travis/platform";

/** What a Heartbeat brought, already parsed as JSON. */
export interface SeenBeat {
  readonly at: number;
  readonly connected: readonly Hex[];
  readonly ticks: readonly CountersignedTick[];
  readonly closes: readonly { readonly message: Close; readonly signature: Hex }[];
  readonly challengeAnswers: readonly ChallengeAnswer[];
}

/** A Router for tests; see the file's head. */
export class SimulatedRouter {
  readonly account: Address;
  readonly signer: Signer;
  readonly deployment: Deployment;
  readonly separator: Uint8Array;
  readonly offers = new Map<Hex, Signed<Offer>>();
  readonly beats: SeenBeat[] = [];
  /** Sent with the next Heartbeat's answer. */
  ended: Signed<Close>[] = [];
  successors: { previous: Hex; ticket: Signed<Ticket> }[] = [];
  notices: EndNotice[] = [];
  challenges: Challenge[] = [];
  /** A Router that is away answers nothing. */
  isAway = false;
  now: () => number = Date.now;
  #server: HttpServer | undefined;

  constructor(account: Address, signer: Signer, deployment: Deployment) {
    this.account = account;
    this.signer = signer;
    this.deployment = deployment;
    this.separator = domainSeparatorOf(domainOf(deployment));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server?.port ?? 0}`;
  }

  async start(): Promise<void> {
    const fetch = (request: Request): Promise<Response> => this.#answer(request);
    this.#server = await serveHttp({ fetch, host: "127.0.0.1", port: 0 });
  }

  async stop(): Promise<void> {
    await this.#server?.close(0);
  }

  /** A signed Ticket for an Accept, as the real Router would make it. */
  ticketFor(grant: {
    readonly rfc: RequestForCompute;
    readonly accept: Parameters<typeof signedToJson>[1];
    readonly offerHash: Hex;
    readonly changes?: Partial<Ticket>;
  }): Signed<Ticket> {
    const offer = this.offers.get(grant.offerHash);
    if (offer === undefined) throw new Error("no such Offer");
    const now = this.now();
    const { provider, weiPerSecond, manifestDigest, minSeconds } = offer.message;
    const accept = grant.accept as unknown as Signed<{
      rfcHash: Hex;
      offerHash: Hex;
      expiresAt: number;
    }>;
    const ticket: Ticket = {
      rfcHash: messageHash(this.separator, rfcType, grant.rfc),
      offerHash: grant.offerHash,
      acceptHash: messageHash(this.separator, acceptType, accept.message),
      whyHash: zeroBytes32,
      sessionKey: grant.rfc.sessionKey,
      provider,
      router: this.account,
      epoch: epochAt(this.deployment.schedule, now),
      manifestDigest,
      payees: [{ account: provider, kind: payeeKinds.provider, weiPerSecond }],
      reservedAllowance: 10n ** 18n,
      reservedDeposit: 0n,
      minSeconds,
      maxSeconds: 600,
      tickSeconds: 2,
      connectBy: now + 10_000,
      openedAt: now,
      ...grant.changes,
    };
    return signMessage(this.separator, ticketType, ticket, this.signer);
  }

  /** A Close by this Router. */
  closeOf(sessionId: Hex, reason: (typeof closeReasons)[number]): Signed<Close> {
    const message: Close = {
      sessionId,
      tickHash: zeroBytes32,
      party: parties.indexOf("router"),
      reason: closeReasons.indexOf(reason),
    };
    return signMessage(this.separator, closeType, message, this.signer);
  }

  async #answer(request: Request): Promise<Response> {
    if (this.isAway) return new Response("away", { status: 502 });
    const { pathname } = new URL(request.url);
    if (pathname === routerPaths.status) return Response.json({ router: this.account });
    const json = await request.json();
    if (pathname === routerPaths.offers) {
      const offer = signedFromJson(offerType, json);
      this.offers.set(messageHash(this.separator, offerType, offer.message), offer);
      return Response.json({});
    }
    this.beats.push(json as SeenBeat);
    const body = {
      ended: this.ended.map((close) => signedToJson(closeType, close)),
      successors: this.successors.map(({ previous, ticket }) => ({
        previous,
        ticket: signedToJson(ticketType, ticket),
      })),
      notices: this.notices,
      challenges: this.challenges,
      offers: [...this.offers.keys()],
    };
    this.ended = [];
    this.successors = [];
    this.notices = [];
    this.challenges = [];
    return Response.json(body);
  }
}

/** A deployment of a network that is on no chain. Epochs last an hour unless told otherwise. */
export function simulatedDeployment(lengthMs = 3_600_000): Deployment {
  const address = (text: string): Address =>
    keccak256Hex(Buffer.from(text)).slice(0, 42) as Address;
  return {
    chainId: 31_337,
    rpcUrl: "http://127.0.0.1:1",
    deployBlock: 0,
    schedule: { genesisMs: Date.now() - 1_000, lengthMs },
    mor: address("mor"),
    modelRegistry: address("modelRegistry"),
    nodeRegistry: address("nodeRegistry"),
    computeContract: address("computeContract"),
  };
}

/** 32 random bytes as hexadecimal. */
export function randomHex(bytes = 32): Hex {
  return toHex(systemRandom.bytes(bytes));
}
