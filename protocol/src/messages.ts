/*
 * Every message of Lake Travis. Times are unix milliseconds, amounts wei of MOR, rates wei per
 * second. The Solidity twin is `contracts/src/Messages.sol`; a property test holds the two equal.
 */
import { type Address, fromHex } from "./hex.ts";
import { keccak256 } from "./keccak.ts";
import { defineMessage, type MessageOf } from "./message.ts";
import { limits } from "./limits.ts";

/** A wallet's standing order: this key may spend for me, up to these limits. */
export const delegationType = defineMessage("Delegation", {
  user: "address",
  sessionKey: "address",
  epochLimit: "uint256",
  debitCeiling: "uint256",
  pseudonymCommitment: "bytes32",
  expiresAt: "uint64",
  nonce: "uint64",
});
/** See {@link delegationType}. */
export type Delegation = MessageOf<typeof delegationType>;

/** A wallet takes back every Delegation with a nonce up to this one. */
export const revocationType = defineMessage("Revocation", { user: "address", nonce: "uint64" });
/** See {@link revocationType}. */
export type Revocation = MessageOf<typeof revocationType>;

/** What a Provider sells and at which price. No slots: withdrawn. */
export const offerType = defineMessage("Offer", {
  provider: "address",
  model: { textMax: limits.modelNameMax },
  manifestDigest: "bytes32",
  weiPerSecond: "uint256",
  minSeconds: "uint32",
  slots: "uint32",
  milliTps: "uint64",
  engineClass: { textMax: limits.classNameMax },
  hardwareClass: { textMax: limits.classNameMax },
  endpoint: { textMax: limits.urlMax },
  tlsFingerprint: "bytes32",
  validUntil: "uint64",
  sequence: "uint64",
});
/** See {@link offerType}. */
export type Offer = MessageOf<typeof offerType>;

/**
 * Request for Compute: a User's signed wish. Zero `manifestDigest`: whatever the tag names now;
 * zero `wishHash`: no further wish, else the hash of the `RoutingWish` that travels beside it.
 */
export const rfcType = defineMessage("RequestForCompute", {
  router: "address",
  delegationHash: "bytes32",
  sessionKey: "address",
  model: { textMax: limits.modelNameMax },
  manifestDigest: "bytes32",
  maxWeiPerSecond: "uint256",
  minMilliTps: "uint64",
  maxLatencyMs: "uint32",
  maxSeconds: "uint32",
  nonce: "bytes32",
  deadline: "uint64",
  wishHash: "bytes32",
});
/** See {@link rfcType}. */
export type RequestForCompute = MessageOf<typeof rfcType>;

/** The Provider's grant of one of its slots to one RFC. */
export const acceptType = defineMessage("Accept", {
  rfcHash: "bytes32",
  offerHash: "bytes32",
  expiresAt: "uint64",
});
/** See {@link acceptType}. */
export type Accept = MessageOf<typeof acceptType>;

/** Who is paid for each second of a Session. */
export const payeeType = defineMessage("Payee", {
  account: "address",
  kind: "uint8",
  weiPerSecond: "uint256",
});
/** See {@link payeeType}. */
export type Payee = MessageOf<typeof payeeType>;

/** The numbers that {@link Payee.kind} takes on the wire. */
export const payeeKinds = { provider: 0, modelBuilder: 1, agentBuilder: 2 } as const;

/** The Router's signed permission for a Session; its digest is the `sessionId`. Names no User. */
export const ticketType = defineMessage("Ticket", {
  rfcHash: "bytes32",
  offerHash: "bytes32",
  acceptHash: "bytes32",
  whyHash: "bytes32",
  sessionKey: "address",
  provider: "address",
  router: "address",
  epoch: "uint64",
  manifestDigest: "bytes32",
  payees: { list: payeeType, lengthMax: limits.payeesMax },
  reservedAllowance: "uint256",
  reservedDeposit: "uint256",
  minSeconds: "uint32",
  maxSeconds: "uint32",
  tickSeconds: "uint32",
  connectBy: "uint64",
  openedAt: "uint64",
});
/** See {@link ticketType}. */
export type Ticket = MessageOf<typeof ticketType>;

/** The session key's proof when a User connects to the Provider (docs/decisions/0003). */
export const openType = defineMessage("Open", {
  sessionId: "bytes32",
  nonce: "bytes32",
  openedAt: "uint64",
});
/** See {@link openType}. */
export type Open = MessageOf<typeof openType>;

/** 'I agree to pay until second n': cumulative, signed ahead of time, countersigned. */
export const tickType = defineMessage("Tick", {
  sessionId: "bytes32",
  seconds: "uint32",
  requestsAnswered: "uint32",
  requestsFailed: "uint32",
  tokens: "uint64",
  ttftMs: "uint32",
  activeMs: "uint64",
});
/** See {@link tickType}. */
export type Tick = MessageOf<typeof tickType>;

/** One party ends a Session and says why. Zero `tickHash`: no Tick was countersigned. */
export const closeType = defineMessage("Close", {
  sessionId: "bytes32",
  tickHash: "bytes32",
  party: "uint8",
  reason: "uint8",
});
/** See {@link closeType}. */
export type Close = MessageOf<typeof closeType>;

/** Who ended a Session, in the order of the numbers on the wire. */
export const parties = ["user", "provider", "router"] as const;
/** See {@link parties}. */
export type Party = (typeof parties)[number];

/** Why a Session ended, in the order of the numbers on the wire. */
export const closeReasons = [
  "finished",
  "idle",
  "credit-spent",
  "time-reached",
  "ticks-missing",
  "provider-gone",
  "ticket-lapsed",
  "epoch-ended",
  "revoked",
  "engine-failed",
  "shutting-down",
] as const;
/** See {@link closeReasons}. */
export type CloseReason = (typeof closeReasons)[number];

/** A Router's commitment to its Records of an epoch. */
export const sealType = defineMessage("Seal", {
  epoch: "uint64",
  router: "address",
  recordsRoot: "bytes32",
  count: "uint64",
});
/** See {@link sealType}. */
export type Seal = MessageOf<typeof sealType>;

/** Money moved since the beginning, per source, in wei; every figure only ever grows. */
export const totalsType = defineMessage("Totals", {
  allowanceCredits: "uint256",
  modelEmission: "uint256",
  agentEmission: "uint256",
  paidCredits: "uint256",
  debits: "uint256",
  deposits: "uint64",
});
/** See {@link totalsType}. */
export type Totals = MessageOf<typeof totalsType>;

/** What the Routers agree happened up to the end of an epoch. */
export const settlementType = defineMessage("Settlement", {
  epoch: "uint64",
  round: "uint32",
  previous: "bytes32",
  sealsHash: "bytes32",
  creditRoot: "bytes32",
  debitRoot: "bytes32",
  recordRoot: "bytes32",
  recordCid: "bytes32",
  rules: "bytes32",
  baselineHash: "bytes32",
  totals: { struct: totalsType },
});
/** See {@link settlementType}. */
export type Settlement = MessageOf<typeof settlementType>;

/** A signing key's consent to speak for a node's account; shown when the node registers. */
export const signingKeyType = defineMessage("SigningKey", { account: "address" });
/** See {@link signingKeyType}. */
export type SigningKey = MessageOf<typeof signingKeyType>;

/** Where messages of one network are signed: the chain and its Compute Contract. */
export interface Domain {
  readonly chainId: number;
  readonly computeContract: Address;
}

/** EIP-712's domain separator of a network: name "Lake Travis", version "1", chain, contract. */
export function domainSeparatorOf(domain: Domain): Uint8Array {
  const words = new Uint8Array(160);
  words.set(domainTypeHash, 0);
  words.set(nameHash, 32);
  words.set(versionHash, 64);
  let rest = domain.chainId;
  for (let at = 127; rest > 0; at -= 1) {
    words[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  words.set(fromHex(domain.computeContract), 140);
  return keccak256(words);
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const domainTypeHash = keccak256(
  ascii("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
);
const nameHash = keccak256(ascii("Lake Travis"));
const versionHash = keccak256(ascii("1"));
