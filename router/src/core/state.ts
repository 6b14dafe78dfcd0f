import type {
  Address,
  Challenge,
  CloseReason,
  Delegation,
  DemandLine,
  Domain,
  EndNotice,
  EpochSchedule,
  ErrorCode,
  Fault,
  Hex,
  ModelKind,
  Offer,
  Party,
  PriceCap,
  PricedRecord,
  Ranking,
  Reason,
  RequestForCompute,
  RoutingWish,
  SessionRecord,
  Settlement,
  Signed,
  Standing,
  Tick,
  Ticket,
  Totals,
  Waiting,
} from "@lake-travis/protocol";

/**
 * The version of the state and of the events that lead to it. A journal of another one is refused:
 * replayed by other rules it would give other money.
 */
export const coreFormat = 3;

/** A verdict that speaks against a party. */
export interface JudgedVerdict {
  readonly sessionId: Hex;
  readonly verdict: "fail" | "review";
  readonly fault: Fault;
  readonly score: number;
  readonly reasons: readonly Reason[];
}

/** Money set aside for one Session, in wei. Its allowance part belongs to one epoch. */
export interface Hold {
  readonly epoch: number;
  readonly allowance: bigint;
  readonly deposit: bigint;
}

/** One User as its Router knows it. The epoch's figures are void once the epoch is another. */
export interface UserState {
  delegation: Delegation | null;
  delegationHash: Hex | null;
  delegationSignature: Hex | null;
  /** Delegations that deposits were reserved under: what their owner demands to see is in them. */
  covers: readonly Signed<Delegation>[];
  pseudonymKey: Hex | null;
  /** Delegations with a nonce below this are revoked. */
  revokedBelow: number;
  /** The epoch of the four figures below. */
  epoch: number;
  allowanceReserved: bigint;
  allowanceSpent: bigint;
  /** Reserved and spent from both sources, against the Delegation's epochLimit. */
  epochReserved: bigint;
  epochSpent: bigint;
  lapses: number;
  /** Reserved from deposits by all open Sessions. */
  depositReserved: bigint;
  /** Debited since the beginning, against the Delegation's debitCeiling. */
  debited: bigint;
  /** Providers that failed this User in the epoch above, a bounded few. */
  failedBy: readonly Address[];
  sessions: Set<Hex>;
  queued: number;
}

/** A numbered deposit of the Compute Contract. */
export interface DepositState {
  readonly owner: Address;
  balance: bigint;
  debited: bigint;
  /** Of that, what the contract has booked from a final leaf. */
  collected: bigint;
  /** What its owner announced to withdraw, and the epoch from which it is not reserved any more. */
  withdrawing: bigint;
  withdrawingFrom: number;
  /** What the hatch paid Sessions from it: in no leaf, but against the Delegation's ceiling. */
  paidByHatch: bigint;
}

/** A node of the Node Registry. */
export interface NodeState {
  readonly kind: "router" | "provider";
  signingKey: Address;
}

/** A Provider's newest Offer of one model, with the slots that Sessions take now. */
export interface HeldOffer {
  /** Its place in `offers`; its Sessions share this one text. */
  readonly key: string;
  signed: Signed<Offer>;
  hash: Hex;
  used: number;
}

/** One Provider as its Router knows it. */
export interface ProviderState {
  silent: boolean;
  /** Keys of its Offers in `offers`. */
  offers: Set<string>;
  sessions: Set<Hex>;
  notices: Notice[];
  /** Sessions that will end soon. */
  warnings: Warning[];
  /** Challenges that wait for an answer. */
  questions: Challenge[];
}

/** Something a Provider is told in the next replies to its Heartbeats. */
export interface Notice {
  readonly at: number;
  readonly sessionId: Hex;
  readonly tickHash: Hex;
  readonly party: Party;
  readonly reason: CloseReason;
  /** The Ticket that goes on where the Session crossed an epoch's end. */
  readonly successor: Ticket | null;
}

/** Word that a Session will end soon; see `EndNotice`. */
export interface Warning extends EndNotice {
  readonly at: number;
}

/** A version of a model by `name@digest`. */
export interface VersionState {
  readonly kind: ModelKind;
  readonly baseDigest: Hex;
}

/** A claimed name: who is paid, and how much from which epoch on. */
export interface NameState {
  builder: Address;
  prices: { readonly fromEpoch: number; readonly weiPerSecond: bigint }[];
}

/** An RFC on its way to a Ticket. */
export interface PendingRfc {
  readonly rfc: Signed<RequestForCompute>;
  readonly hash: Hex;
  readonly user: Address;
  readonly wish: RoutingWish | null;
  readonly digest: Hex;
  readonly arrivedAt: number;
  phase: "asking" | "waiting";
  /** When it first lined up, as a number of the order; 0 before. */
  arrival: number;
  /** The Offer that is being asked, its key and the money set aside for it. */
  asked: { readonly offerHash: Hex; readonly key: string; readonly hold: Hold } | null;
  ranking: Ranking | null;
  /** Offers that did not answer or said no. */
  readonly unanswered: Map<Hex, string>;
}

/** A Session from its Ticket to its Record. */
export interface Session {
  readonly id: Hex;
  readonly ticket: Ticket;
  readonly user: Address;
  readonly offerKey: string;
  readonly model: string;
  hold: Hold;
  readonly offeredMilliTps: number;
  readonly hardwareClass: string;
  /**
   * Seconds that the RFC asked for from this Ticket on; what the Ticket cannot cover comes later.
   */
  readonly wishedSeconds: number;
  /** Its wish names Providers, so the allowance pays nothing of it. */
  readonly depositOnly: boolean;
  /** Why maxSeconds is what it is. */
  readonly boundBy: "wish" | "money" | "epoch";
  phase: "granted" | "open" | "closing";
  /** Both sides were told that it ends soon. */
  warned: boolean;
  challengesAsked: number;
  challengesPassed: number;
  /** When the Provider first reported the connection, on the Router's clock; 0 before. */
  measuredFrom: number;
  tick: Tick | null;
  tickHash: Hex;
  signature: Hex | null;
  countersignature: Hex | null;
  closedAt: number;
  closeTickHash: Hex | null;
  endedBy: Party;
  endReason: CloseReason;
  successor: Hex | null;
}

/** What is left of a Session for questions about it. */
export interface EndedSession {
  readonly epoch: number;
  readonly seconds: number;
  readonly chargedSeconds: number;
  readonly charge: bigint;
  readonly endedBy: Party;
  readonly endReason: CloseReason;
  readonly successor: Hex | null;
}

/** Where the money of one ended Session came from and whose it is; for the Router's eyes alone. */
export interface EndedMoney {
  readonly user: Address;
  readonly sessionKey: Address;
  readonly fromAllowance: bigint;
  readonly fromDeposit: bigint;
  readonly debits: readonly { readonly number: number; readonly wei: bigint }[];
}

/** An ended Session on its way into the public file. */
export interface EndedRecord {
  readonly record: SessionRecord;
  readonly money: EndedMoney;
}

/** What the Sessions of one epoch moved; not yet in a final settlement. */
export interface Ledger {
  readonly credits: Map<Address, bigint>;
  readonly debits: Map<number, bigint>;
  /** What allowances were charged, of which the credits below are the net. */
  allowanceCharged: bigint;
  allowanceCredits: bigint;
  modelEmission: bigint;
  agentEmission: bigint;
  paidCredits: bigint;
  debitTotal: bigint;
  /** The newest Records; older ones lie in the archive. */
  records: EndedRecord[];
  /** How many Records lie in the archive, and their bytes there. */
  spilled: { readonly count: number; readonly bytes: number };
  /** Charged seconds by class, Provider and price: what the next price caps are made of. */
  readonly priced: Map<string, PricedRecord>;
  /** Sessions of the epoch that have no Record yet. */
  open: number;
  /** How many verdicts that speak against somebody were applied. */
  applied: number;
  /** Its Records have their verdicts, and its money stands. */
  judged: boolean;
  /** What was asked for and not served, in the form that is published. */
  demand: readonly DemandLine[];
  /** The verdicts on its Records that are not `pass`, in the form that is published. */
  readonly verdicts: JudgedVerdict[];
  /** What became of Sessions of earlier epochs that were held until now. */
  readonly outcomes: SettledHold[];
}

/** Who asked for a model at a price in the open epoch, and who got nothing. */
export interface DemandBucket {
  readonly model: string;
  readonly priceBucketWei: bigint;
  readonly asked: Set<Address>;
  readonly unserved: Map<ErrorCode, Set<Address>>;
}

/** A Session whose money waits for one more epoch: judged a Provider's fault, or not clear yet. */
export interface HeldSession extends EndedRecord {
  readonly verdict: "fail" | "review";
  /** The epoch at whose end it is judged again. */
  until: number;
  /** It will be paid: by evidence, or passed and waiting for an epoch with enough budget. */
  cleared: boolean;
  byEvidence: boolean;
}

/** How a held Session was settled in a later epoch, in the form that is published. */
export interface SettledHold {
  readonly sessionId: Hex;
  readonly epoch: number;
  readonly outcome: "upheld" | "cleared";
  /** Whether the other party's signature cleared it. */
  readonly byEvidence: boolean;
}

/** One verdict that speaks against a party, as it is told to that party. */
export interface Finding {
  readonly sessionId: Hex;
  readonly epoch: number;
  /** Whose Close would speak against it: its Provider's, or the session key's. */
  readonly other: Address;
  readonly verdict: "fail" | "review";
  readonly score: number;
  readonly reasons: readonly string[];
  /** What came of it. */
  outcome: "held" | "upheld" | "cleared";
}

/** How a Provider or a User has conducted itself of late, halved at each epoch. */
export interface Conduct {
  sessions: number;
  faults: number;
  /** No Offers, or RFCs, of it are taken before this epoch. */
  suspendedUntil: number;
  /** How often it was suspended, less one for each epoch without a fault. */
  suspensions: number;
  findings: Finding[];
}

/** One question to all Providers of a version, and what they answered. */
export interface ChallengeRound {
  readonly nonce: Hex;
  readonly answerBy: number;
  /** The asked Session of each Provider. */
  readonly asked: Map<Address, Hex>;
  readonly answers: Map<Address, Hex>;
}

/** Cumulative money at the end of an epoch. */
export interface SettledBalances {
  readonly credits: Map<Address, bigint>;
  readonly debits: Map<number, bigint>;
  readonly totals: Totals;
}

/** A settlement that this Router signed. */
export interface SettlingState {
  readonly settlement: Settlement;
  readonly hash: Hex;
  readonly signature: Hex;
  readonly recordCidText: string | null;
  readonly balances: SettledBalances;
}

/** What is told about an epoch. */
export interface ReportState {
  records: number;
  /** What the allowances of the epoch may cost together, wei. */
  budget: bigint;
  /** The hash of the baseline that the epoch's Records lead to; null until they are judged. */
  baselineHash: Hex | null;
  secret: Hex | null;
  settlementHash: Hex | null;
  settlementEpoch: number | null;
  creditRoot: Hex | null;
  recordRoot: Hex | null;
  recordCid: string | null;
  transaction: Hex | null;
  gasUsed: number | null;
  state: "open" | "computed" | "posted" | "final";
}

/** Everything a Router knows. Owned by one state machine and changed in place by its step. */
export interface RouterState {
  format: number;
  router: Address;
  domain: Domain;
  schedule: EpochSchedule;
  secret: Hex;
  /** Which of how many Routers of one account this is; a lone one is 0 of 1. */
  shard: { readonly index: number; readonly count: number };
  /** Shard 0: the newest epoch that each other shard has handed over, with all before it. */
  readonly sealed: Map<number, number>;
  /** Shard 0: Records handed over of an epoch that is not whole yet, by `shard epoch`. */
  readonly handedOver: Map<string, number>;
  /** Other shards: the newest epoch that shard 0 has. */
  sealedEpoch: number;
  /** Cumulative wei that verdicts gave back, by deposit. */
  readonly refunded: Map<number, bigint>;
  /** Other shards: Sessions of their Users that shard 0 holds. */
  heldElsewhere: Set<Hex>;
  /** The newest block that brought something. */
  blockNumber: number;
  /** When the Router was last away itself and came back: until then nobody's silence counts. */
  resumedAt: number;
  /** The epoch of that block, and of its first block the supply then. */
  epoch: number;
  supply: bigint;
  supplyAtStart: bigint;
  /** The epoch that Tickets are given for; behind `epoch` until its budget was read. */
  openEpoch: number;
  /** The first epoch that this Router gave Tickets in. */
  firstEpoch: number;
  budget: bigint;
  epochSecret: Hex;
  readonly balances: Map<Address, bigint>;
  /** Balances at the epoch's first block of those accounts that changed since. */
  balancesAtStart: Map<Address, bigint>;
  readonly deposits: DepositState[];
  readonly depositsOf: Map<Address, number[]>;
  /** Deposits whose owners wait to see their leaf, with the settlement that it is a leaf of. */
  readonly demands: Map<number, Hex>;
  readonly nodes: Map<Address, NodeState>;
  readonly tags: Map<string, Hex>;
  readonly versions: Map<string, VersionState>;
  readonly names: Map<string, NameState>;
  /** The name that first published a digest: who is paid for an agent's base model. */
  readonly firstNames: Map<Hex, string>;
  readonly users: Map<Address, UserState>;
  readonly delegations: Map<Hex, Address>;
  readonly offers: Map<string, HeldOffer>;
  readonly offersByDigest: Map<Hex, Set<string>>;
  /** The highest sequence seen per Offer key, so that a withdrawn Offer cannot come back. */
  readonly sequences: Map<string, number>;
  readonly providers: Map<Address, ProviderState>;
  readonly standings: Map<string, Standing>;
  readonly pending: Map<Hex, PendingRfc>;
  readonly lines: Map<Hex, Waiting[]>;
  arrivals: number;
  /** Grants from the queue so far, for its ageing. */
  served: number;
  readonly nonces: Set<Hex>;
  readonly sessions: Map<Hex, Session>;
  readonly ended: Map<Hex, EndedSession>;
  readonly ledgers: Map<number, Ledger>;
  /** What allowances pay at most, by hardware class. */
  priceCaps: Map<string, PriceCap>;
  /** By model and price; of the open epoch. */
  demand: Map<string, DemandBucket>;
  /** Users counted in these buckets together. */
  demandEntries: number;
  readonly held: Map<Hex, HeldSession>;
  readonly conducts: Map<Address, Conduct>;
  /** By version: the round that runs. A version without one has none scheduled. */
  readonly rounds: Map<Hex, ChallengeRound | null>;
  /** The newest epoch whose Records have their verdicts, and the hash of its baseline. */
  judgedEpoch: number;
  baselineHash: Hex;
  settled: SettledBalances;
  finalEpoch: number;
  finalHash: Hex;
  settling: SettlingState | null;
  /** The highest (epoch, round) ever signed: a second signature there would be equivocation. */
  signedEpoch: number;
  readonly reports: Map<number, ReportState>;
  /**
   * Deadlines by the second at which they are due: `n:` nonce, `s:` Session, `q:` RFC, `r:` end,
   * `c:` a round of challenges begins, `j:` it is judged.
   */
  readonly wheel: Map<number, string[]>;
  wheelNext: number;
}

/** Totals at the beginning. */
const zeroTotals: Totals = {
  allowanceCredits: 0n,
  modelEmission: 0n,
  agentEmission: 0n,
  paidCredits: 0n,
  debits: 0n,
  deposits: 0,
};

const zero: Hex = `0x${"0".repeat(64)}`;

/** The state before the first event. */
export function createState(): RouterState {
  return {
    format: coreFormat,
    router: `0x${"0".repeat(40)}`,
    domain: { chainId: 0, computeContract: `0x${"0".repeat(40)}` },
    schedule: { genesisMs: 0, lengthMs: 86_400_000 },
    secret: zero,
    shard: { index: 0, count: 1 },
    sealed: new Map(),
    handedOver: new Map(),
    sealedEpoch: -1,
    refunded: new Map(),
    heldElsewhere: new Set(),
    blockNumber: -1,
    resumedAt: 0,
    epoch: -1,
    supply: 0n,
    supplyAtStart: 0n,
    openEpoch: -1,
    firstEpoch: -1,
    budget: 0n,
    epochSecret: zero,
    balances: new Map(),
    balancesAtStart: new Map(),
    deposits: [],
    depositsOf: new Map(),
    demands: new Map(),
    nodes: new Map(),
    tags: new Map(),
    versions: new Map(),
    names: new Map(),
    firstNames: new Map(),
    users: new Map(),
    delegations: new Map(),
    offers: new Map(),
    offersByDigest: new Map(),
    sequences: new Map(),
    providers: new Map(),
    standings: new Map(),
    pending: new Map(),
    lines: new Map(),
    arrivals: 0,
    served: 0,
    nonces: new Set(),
    sessions: new Map(),
    ended: new Map(),
    ledgers: new Map(),
    priceCaps: new Map(),
    demand: new Map(),
    demandEntries: 0,
    held: new Map(),
    conducts: new Map(),
    rounds: new Map(),
    judgedEpoch: -1,
    baselineHash: zero,
    settled: { credits: new Map(), debits: new Map(), totals: zeroTotals },
    finalEpoch: -1,
    finalHash: zero,
    settling: null,
    signedEpoch: -1,
    reports: new Map(),
    wheel: new Map(),
    wheelNext: 0,
  };
}
