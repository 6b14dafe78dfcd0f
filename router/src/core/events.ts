/*
 * What goes into the Router's state machine and what comes out. Events are what the journal holds:
 * plain data, with signatures already recovered to addresses at the edge. Effects are what the edge
 * does once the event that caused them is durable.
 */
import type {
  Accept,
  Address,
  ChainBlock,
  ChallengeAnswer,
  Close,
  CloseReason,
  Delegation,
  DemandLine,
  EpochSchedule,
  ErrorCode,
  Hex,
  Offer,
  Party,
  PriceCap,
  RequestForCompute,
  Revocation,
  RoutingWish,
  SelectionExplanation,
  Settlement,
  Signed,
  Tick,
  Ticket,
} from "@lake-travis/protocol";
import type { Conduct, EndedRecord, JudgedVerdict } from "./state.ts";

/** A countersigned Tick with who signed it. */
export interface ReceivedTick {
  readonly tick: Tick;
  readonly tickHash: Hex;
  readonly signature: Hex;
  readonly countersignature: Hex;
  readonly signer: Address;
  readonly countersigner: Address;
}

/** A Close with who signed it. */
export interface ReceivedClose {
  readonly close: Close;
  readonly signer: Address;
}

/** Such a verdict with the Record and the money that it is about. */
export interface JudgedSession extends JudgedVerdict {
  readonly ended: EndedRecord;
}

/** What a party shows against a verdict, with who signed each piece. */
export interface ReceivedEvidence {
  readonly sessionId: Hex;
  /** Who contests, and by which key it says so. */
  readonly account: Address;
  readonly signer: Address;
  /** The other party's Close: its signed word that the Session ended well. */
  readonly close: ReceivedClose;
}

/** What happens to a Router. `at` is unix milliseconds on its clock. */
export type RouterEvent =
  | {
      readonly type: "router-founded";
      /** The `coreFormat` of the Router that wrote it. */
      readonly format: number;
      readonly router: Address;
      readonly chainId: number;
      readonly computeContract: Address;
      readonly schedule: EpochSchedule;
      /** Salts debit leaves and pseudonyms; never revealed. */
      readonly secret: Hex;
      /** Which of how many Routers of the account; absent: the only one. */
      readonly shard?: { readonly index: number; readonly count: number };
    }
  /** After a restart nobody waits for answers; after a pause of the same process they do. */
  | { readonly type: "router-restarted" | "router-resumed"; readonly at: number }
  | { readonly type: "blocks-followed"; readonly blocks: readonly ChainBlock[] }
  | {
      readonly type: "epoch-began";
      readonly epoch: number;
      readonly budget: bigint;
      readonly secret: Hex;
      readonly at: number;
    }
  | {
      readonly type: "delegation-received";
      readonly delegation: Delegation;
      readonly hash: Hex;
      /** The wallet's; the contract wants to see it where the deposit's owner asks. */
      readonly signature: Hex;
      /** The key behind the pseudonym's commitment; null where the User gave none. */
      readonly pseudonymKey: Hex | null;
      readonly at: number;
    }
  | { readonly type: "revocation-received"; readonly revocation: Revocation; readonly at: number }
  | {
      readonly type: "offer-received";
      readonly offer: Signed<Offer>;
      readonly hash: Hex;
      readonly signer: Address;
      readonly at: number;
    }
  | {
      readonly type: "rfc-received";
      readonly rfc: Signed<RequestForCompute>;
      /** The wish that the RFC hashes; none where it hashes none. */
      readonly wish?: RoutingWish | null;
      readonly hash: Hex;
      readonly signer: Address;
      readonly at: number;
    }
  | {
      readonly type: "accept-received";
      readonly accept: Signed<Accept>;
      readonly hash: Hex;
      readonly signer: Address;
      readonly at: number;
    }
  | {
      readonly type: "accept-missing";
      readonly rfcHash: Hex;
      readonly offerHash: Hex;
      /** Full: its slots are taken, perhaps by another shard's Sessions. */
      readonly reason: "silent" | "refused" | "full";
      readonly at: number;
    }
  | {
      readonly type: "beat-received";
      readonly provider: Address;
      readonly connected: readonly Hex[];
      readonly ticks: readonly ReceivedTick[];
      readonly closes: readonly ReceivedClose[];
      readonly challengeAnswers?: readonly ChallengeAnswer[];
      readonly at: number;
    }
  | { readonly type: "provider-silent"; readonly provider: Address; readonly at: number }
  | { readonly type: "close-received"; readonly received: ReceivedClose; readonly at: number }
  | { readonly type: "time-passed"; readonly at: number }
  /** The oldest Records in memory were written to the archive, which has so many bytes by now. */
  | {
      readonly type: "records-spilled";
      readonly epoch: number;
      readonly count: number;
      readonly bytes: number;
    }
  /**
   * An epoch's Records, and those held from before, have their verdicts. Many that speak against
   * somebody come in several events, so that no entry of the journal grows without bound.
   */
  | {
      readonly type: "epoch-judged";
      readonly epoch: number;
      /** How many of `judged` came in events before this one. */
      readonly from: number;
      /** The epoch is judged with this one. */
      readonly isLast: boolean;
      readonly baselineHash: Hex;
      /** How many Records of this epoch each party has that a verdict speaks against. */
      readonly sessionsOf: readonly (readonly [Address, number])[];
      /** Of this epoch's Records those that did not pass, with their money. */
      readonly judged: readonly JudgedSession[];
      /** Of the held ones those that did not pass this time. */
      readonly judgedAgain: readonly JudgedVerdict[];
    }
  | {
      readonly type: "evidence-received";
      readonly evidence: ReceivedEvidence;
      readonly at: number;
    }
  /** Shard 0: a part of what another shard's Sessions of one epoch moved. */
  | {
      readonly type: "shard-reported";
      readonly shard: number;
      readonly epoch: number;
      /** How many Records of the epoch came before these. */
      readonly from: number;
      readonly ended: readonly EndedRecord[];
      readonly demand: readonly DemandLine[];
      /** The shard has nothing more of this epoch or any before it. */
      readonly isLast: boolean;
    }
  /** Another shard: shard 0 has all up to this epoch. */
  | { readonly type: "shard-sealed"; readonly epoch: number }
  /** Another shard: what shard 0's verdicts mean for the Users here. */
  | {
      readonly type: "verdicts-heard";
      readonly judgedEpoch: number;
      readonly priceCaps: readonly (readonly [string, PriceCap])[];
      readonly refunded: readonly (readonly [number, bigint])[];
      readonly held: readonly Hex[];
      readonly upheld: readonly Hex[];
      readonly conducts: readonly (readonly [Address, Conduct])[];
    }
  | {
      readonly type: "settlement-signed";
      readonly settlement: Settlement;
      readonly hash: Hex;
      readonly signature: Hex;
      readonly recordCidText: string | null;
    }
  /** The chain holds it as final, or refused it for good. */
  | { readonly type: "settlement-matured" | "settlement-abandoned"; readonly hash: Hex }
  | {
      readonly type: "settlement-mined";
      readonly hash: Hex;
      readonly transaction: Hex;
      readonly gasUsed: number;
    };

/** A refusal in data, so that it can be replayed and compared. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly advice?: string;
}

/** What the edge has to do, or to tell, once the event is durable. */
export type Effect =
  | { readonly type: "refused"; readonly refusal: Refusal }
  | { readonly type: "rfc-refused"; readonly rfcHash: Hex; readonly refusal: Refusal }
  | { readonly type: "rfc-queued"; readonly rfcHash: Hex; readonly waiting: number }
  | {
      readonly type: "provider-asked";
      readonly rfcHash: Hex;
      readonly rfc: Signed<RequestForCompute>;
      readonly offerHash: Hex;
      readonly provider: Address;
      readonly endpoint: string;
      readonly tlsFingerprint: Hex;
    }
  | {
      readonly type: "ticket-granted";
      readonly rfcHash: Hex;
      readonly sessionId: Hex;
      readonly ticket: Ticket;
      readonly offer: Signed<Offer>;
      readonly accept: Signed<Accept>;
      readonly why: SelectionExplanation;
    }
  | {
      readonly type: "successor-granted";
      readonly previous: Hex;
      readonly sessionId: Hex;
      readonly ticket: Ticket;
    }
  | { readonly type: "session-opened"; readonly sessionId: Hex }
  | {
      readonly type: "session-ending";
      readonly sessionId: Hex;
      readonly provider: Address;
      readonly endsAt: number;
      readonly reason: CloseReason;
    }
  | {
      readonly type: "challenge-asked";
      readonly sessionId: Hex;
      readonly provider: Address;
      readonly nonce: Hex;
    }
  | {
      readonly type: "challenge-judged";
      readonly sessionId: Hex;
      readonly provider: Address;
      readonly passed: boolean;
    }
  | { readonly type: "party-suspended"; readonly account: Address; readonly untilEpoch: number }
  | {
      readonly type: "session-closing";
      readonly sessionId: Hex;
      readonly provider: Address;
      readonly party: Party;
      readonly reason: CloseReason;
    }
  | {
      readonly type: "session-ended";
      readonly sessionId: Hex;
      readonly provider: Address;
      readonly party: Party;
      readonly reason: CloseReason;
      readonly seconds: number;
      readonly charge: bigint;
    }
  | { readonly type: "tick-refused"; readonly sessionId: Hex; readonly reason: string }
  | { readonly type: "epoch-advanced"; readonly epoch: number }
  | { readonly type: "deposit-demanded" | "demand-answered"; readonly number: number }
  | { readonly type: "settlement-finalised"; readonly epoch: number; readonly hash: Hex };
