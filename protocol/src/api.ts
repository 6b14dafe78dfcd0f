/*
 * What passes between Routers, Providers and clients over HTTP. Bodies are JSON; signed messages
 * travel as `{message, signature}` and are read with `signedFromJson`. Failures are `ErrorBody`.
 *
 * The Router never calls a client. It hears of a Session's Ticks from its Provider, once a second
 * in one batch, and answers that batch with what the Provider and its Users have to know.
 */
import type { ErrorBody } from "./errors.ts";
import type { Address, Hex } from "./hex.ts";
import type { Signed } from "./message.ts";
import type {
  Accept,
  Close,
  CloseReason,
  Delegation,
  Offer,
  Open,
  RequestForCompute,
  Ticket,
  Tick,
} from "./messages.ts";
import type { RoutingWish } from "./routing-wish.ts";

/** The Router's paths. */
export const routerPaths = {
  status: "/v1/status",
  delegations: "/v1/delegations",
  revocations: "/v1/revocations",
  offers: "/v1/offers",
  rfcs: "/v1/rfcs",
  heartbeats: "/v1/heartbeats",
  closes: "/v1/closes",
  sessions: "/v1/sessions",
  epochs: "/v1/epochs",
  records: "/v1/records",
  leaderboard: "/v1/leaderboard",
  credits: "/v1/credits",
  debits: "/v1/debits",
  conduct: "/v1/conduct",
  evidence: "/v1/evidence",
} as const;

/** The Provider's paths that are not OpenAI's; all over TLS pinned by the Offer. */
export const providerPaths = {
  accepts: "/lake/v1/accepts",
  sessions: "/lake/v1/sessions",
} as const;

/** `GET /v1/status` of a Router. Times are unix milliseconds. */
export interface RouterStatus {
  readonly router: Address;
  readonly signingKey: Address;
  readonly chainId: number;
  readonly computeContract: Address;
  readonly epoch: number;
  readonly epochEndsAt: number;
  readonly epochLengthMs: number;
  /** Budget of this epoch in wei, decimal; null while the chain has not been read yet. */
  readonly budget: string | null;
  /** H(secret) of this epoch; the secret is revealed at its end. */
  readonly seedCommitment: Hex;
  readonly openSessions: number;
  readonly queuedRfcs: number;
  readonly now: number;
}

/** Body of `POST /v1/delegations`. */
export interface DelegationRequest {
  readonly delegation: Signed<Delegation>;
  /** 32 bytes whose hash is the Delegation's `pseudonymCommitment`; only Routers learn it. */
  readonly pseudonymKey: Hex;
}

/** `POST /v1/delegations` answers this. Amounts are decimal wei. */
export interface DelegationReceipt {
  readonly delegationHash: Hex;
  /** Left of this epoch's free allowance. */
  readonly allowance: string;
  /** Left of the deposit that the Delegation covers. */
  readonly deposit: string;
  /** Where this User's RFCs, Closes and questions go; absent: where the Delegation went. */
  readonly routerUrl?: string;
}

/** Body of `POST /v1/rfcs`: a `Signed<RequestForCompute>` with the wish that it hashes, if any. */
export interface RfcRequest extends Signed<RequestForCompute> {
  readonly wish?: RoutingWish;
}

/** One Offer as the Router knows it, with what the User would pay all in all. */
export interface ListedOffer {
  readonly offer: Signed<Offer>;
  readonly offerHash: Hex;
  /** Provider and all Builders, decimal wei per second. */
  readonly totalWeiPerSecond: string;
  readonly freeSlots: number;
}

/** Why each Offer was or was not taken; its hash is in the Ticket. */
export interface SelectionExplanation {
  readonly rfcHash: Hex;
  /** Whether the free allowance might pay, or why the deposit alone did. */
  readonly allowance?: string;
  readonly considered: readonly {
    readonly offerHash: Hex;
    readonly provider: Address;
    readonly totalWeiPerSecond: string;
    /** `chosen` or the reason it lost. */
    readonly outcome: string;
  }[];
}

/** `POST /v1/rfcs` answers this: all a User needs to connect and to check that it was fair. */
export interface TicketGrant {
  readonly sessionId: Hex;
  readonly ticket: Signed<Ticket>;
  readonly offer: Signed<Offer>;
  readonly accept: Signed<Accept>;
  readonly why: SelectionExplanation;
}

/**
 * A text frame on the WebSocket at `routerPaths.rfcs`, for clients that send many RFCs: up to
 * `limits.rfcsPerFrameMax` at once, each with a number of the client's own choice.
 */
export interface RfcFrame {
  readonly requests: readonly (RfcRequest & { readonly id: number })[];
}

/** The Router's frames: outcomes as they come, in any order, several in one frame. */
export interface RfcOutcomeFrame {
  readonly answers: readonly (
    { readonly id: number; readonly grant: TicketGrant } | ({ readonly id: number } & ErrorBody)
  )[];
}

/** Body of `POST /lake/v1/accepts`, from the Router to a Provider: the liveness check. */
export interface AcceptRequest {
  readonly rfc: Signed<RequestForCompute>;
  readonly offerHash: Hex;
}

/** The same path takes up to `limits.acceptBatchMax` in one body. */
export interface AcceptBatch {
  readonly requests: readonly AcceptRequest[];
}

/** Answers an {@link AcceptBatch}, one for each in its order. */
export interface AcceptAnswers {
  readonly answers: readonly (Signed<Accept> | ErrorBody)[];
}

/** A Tick with both signatures. */
export interface CountersignedTick {
  readonly tick: Tick;
  readonly signature: Hex;
  readonly countersignature: Hex;
}

/** Body of `POST /v1/heartbeats`: what a Provider reports each second, signed as a whole. */
export interface Heartbeat {
  readonly provider: Address;
  /** Unix milliseconds; a Router refuses one that is not newer than the last. */
  readonly at: number;
  /** Sessions whose User has connected since the last beat. */
  readonly connected: readonly Hex[];
  readonly ticks: readonly CountersignedTick[];
  readonly closes: readonly Signed<Close>[];
  /** What engine processes answered to the Router's challenges. */
  readonly challengeAnswers: readonly ChallengeAnswer[];
}

/** The Router's answer to a Heartbeat. */
export interface HeartbeatReply {
  /** Sessions that the Router has ended, with its signed Close. */
  readonly ended: readonly Signed<Close>[];
  /** Tickets that continue a Session in the new epoch. */
  readonly successors: readonly Successor[];
  /** Sessions that will end soon for want of money or time. */
  readonly notices: readonly EndNotice[];
  /** Questions to the engine processes behind open Sessions. */
  readonly challenges: readonly Challenge[];
  /** Offers of this Provider that the Router holds; one that is missing must be sent again. */
  readonly offers: readonly Hex[];
}

/** The Router's word that a Session is about to end, early enough to top up or to move. */
export interface EndNotice {
  readonly sessionId: Hex;
  /** Unix milliseconds. */
  readonly endsAt: number;
  readonly reason: CloseReason;
}

/** A random nonce for the engine process that serves a Session, to be answered in time. */
export interface Challenge {
  readonly sessionId: Hex;
  /** 32 bytes. */
  readonly nonce: Hex;
  /** Unix milliseconds; an answer that reaches the Router later counts as none. */
  readonly answerBy: number;
}

/** An engine process' answer to a {@link Challenge}. */
export interface ChallengeAnswer {
  readonly sessionId: Hex;
  readonly nonce: Hex;
  /**
   * SHA-256 of the nonce and 4,096 bytes of the model's first weights file, from offset (first six
   * bytes of the nonce as a number) mod max(1, size - 4,096); a smaller file counts whole.
   */
  readonly digest: Hex;
}

/** A Ticket that continues an older one across an epoch's end. */
export interface Successor {
  readonly previous: Hex;
  readonly ticket: Signed<Ticket>;
}

/** `GET /v1/sessions/:sessionId` of a Router. */
export interface SessionState {
  readonly sessionId: Hex;
  readonly epoch: number;
  readonly state: "granted" | "open" | "ended";
  /** Seconds of the last countersigned Tick. */
  readonly seconds: number;
  readonly chargedSeconds: number | null;
  /** Decimal wei; null until it ended, and while a verdict holds it for an epoch. */
  readonly charge: string | null;
  /** The epoch's verdicts are known, and nothing changes the charge any more. */
  readonly isFinal?: boolean;
  readonly endedBy: string | null;
  readonly endReason: string | null;
  readonly successor: Hex | null;
}

/** `GET /v1/credits/:account`: what an account may claim by the newest settlement. */
export interface CreditProof {
  readonly epoch: number;
  readonly account: Address;
  /** Decimal wei since the beginning. */
  readonly cumulative: string;
  readonly proof: readonly Hex[];
  readonly creditRoot: Hex;
}

/** `GET /v1/epochs/:epoch`: how an epoch was settled. */
export interface EpochReport {
  readonly epoch: number;
  readonly state: "open" | "computed" | "posted" | "final";
  readonly settlementHash: Hex | null;
  readonly creditRoot: Hex | null;
  readonly recordRoot: Hex | null;
  /** CIDv1 text of the Records file. */
  readonly recordCid: string | null;
  readonly records: number;
  /** What the allowances of the epoch might cost together, decimal wei. */
  readonly budget?: string;
  /** The hash of the baseline that its Records lead to; null until they have their verdicts. */
  readonly baselineHash?: Hex | null;
  readonly transaction: Hex | null;
  readonly gasUsed: number | null;
  /** The epoch's secret, once it is over. */
  readonly secret: Hex | null;
}

/** `GET /v1/conduct/:account`: what verdicts speak against a Provider, or against oneself. */
export interface ConductReport {
  readonly account: Address;
  /** Sessions and faults of late, halved at each epoch. */
  readonly sessions: number;
  readonly faults: number;
  /** The first epoch in which its Offers, or RFCs, are taken again; null: they are taken now. */
  readonly suspendedUntil: number | null;
  readonly findings: readonly {
    readonly sessionId: Hex;
    readonly epoch: number;
    readonly verdict: "fail" | "review";
    readonly score: number;
    readonly reasons: readonly string[];
    /** Money held for an epoch, verdict upheld, or cleared. */
    readonly outcome: "held" | "upheld" | "cleared";
  }[];
}

/**
 * Body of `POST /v1/evidence`: the other party's Close against a verdict. The `lake-signature`
 * header is the contesting party's signature over the body's bytes.
 */
export interface EvidenceRequest {
  readonly sessionId: Hex;
  readonly account: Address;
  readonly close: Signed<Close>;
}

/** Body of `POST /lake/v1/sessions`, from a User to its Provider. */
export interface SessionOpening {
  readonly ticket: Signed<Ticket>;
  /** An `Open` signed by the session key. */
  readonly open: Signed<Open>;
  /** The first Tick, ahead of time. */
  readonly tick: Signed<Tick>;
}

/** Answer to {@link SessionOpening}. */
export interface SessionOpened {
  readonly sessionId: Hex;
  /** Bearer token of this Session on this TLS endpoint: 256 random bits. */
  readonly token: string;
  readonly countersignature: Hex;
  readonly slots: number;
}

/** Answer to `POST /lake/v1/sessions/:sessionId/ticks` with a `Signed<Tick>`. */
export interface TickReceipt {
  readonly countersignature: Hex;
  /** The Ticket that continues this Session, once the Router has issued it. */
  readonly successor: Signed<Ticket> | null;
  /** The Router's or the Provider's Close where the Session has ended. */
  readonly ended: Signed<Close> | null;
  /** The Router's notice that the Session will end soon. */
  readonly notice: Omit<EndNotice, "sessionId"> | null;
  /** What the Provider counted, for the User to put in its next Tick. */
  readonly counted: SessionCount;
}

/** What a Provider counted in a Session; the User signs it in its Ticks if it agrees. */
export interface SessionCount {
  readonly requestsAnswered: number;
  readonly requestsFailed: number;
  readonly tokens: number;
  /** Median time to first token. */
  readonly ttftMs: number;
  /** Milliseconds during which it generated. */
  readonly activeMs: number;
}
