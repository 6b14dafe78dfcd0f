import {
  acceptType,
  closeReasons,
  closeType,
  delegationType,
  errorStatus,
  type Fields,
  type MessageType,
  offerType,
  parties,
  revocationType,
  rfcType,
  ticketType,
  tickType,
} from "@lake-travis/protocol";

/** A JSON Schema of an OpenAPI document. */
export type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: "string" };
const flag: Schema = { type: "boolean" };
const whole: Schema = { type: "integer", minimum: 0 };
const integer: Schema = { type: "integer" };
const wei: Schema = { type: "string", pattern: "^(0|[1-9][0-9]*)$", description: "Decimal wei." };
const bytes = (length: number): Schema => {
  return { type: "string", pattern: `^0x[0-9a-f]{${2 * length}}$` };
};
const hash = bytes(32);
const address = bytes(20);
const signature = bytes(65);
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: "null" }] });
const listOf = (items: Schema): Schema => ({ type: "array", items });
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** All of them are always there, but those of `optional`. */
const objectOf = (
  properties: Readonly<Record<string, Schema>>,
  optional: Readonly<Record<string, Schema>> = {},
): Schema => ({
  type: "object",
  required: Object.keys(properties),
  properties: { ...properties, ...optional },
});

/** A message as its table of fields says. */
function messageOf({ entries }: Pick<MessageType<Fields>, "entries">): Schema {
  return objectOf(Object.fromEntries(entries.map(([name, field]) => [name, fieldOf(field)])));
}

type Field = MessageType<Fields>["entries"][number][1];

function fieldOf(field: Field): Schema {
  if (field === "uint256") return wei;
  if (field === "address") return address;
  if (field === "bytes32") return hash;
  if (typeof field === "string") return whole;
  if ("textMax" in field) return { type: "string", maxLength: field.textMax };
  if ("struct" in field) return messageOf(field.struct);
  return { type: "array", maxItems: field.lengthMax, items: messageOf(field.list) };
}

const signed = (type: Pick<MessageType<Fields>, "entries">, optional = {}): Schema =>
  objectOf({ message: messageOf(type), signature }, optional);

const endNotice = objectOf({ sessionId: hash, endsAt: whole, reason: { enum: closeReasons } });

const record = objectOf({
  sessionId: hash,
  epoch: whole,
  model: text,
  manifestDigest: hash,
  provider: address,
  builder: orNull(address),
  payees: listOf(objectOf({ account: address, kind: whole, weiPerSecond: wei })),
  router: address,
  user: hash,
  openedAt: whole,
  seconds: whole,
  tokens: whole,
  requestsAnswered: whole,
  requestsFailed: whole,
  ttftMs: whole,
  milliTps: whole,
  offeredMilliTps: whole,
  weiPerSecond: wei,
  builderWeiPerSecond: wei,
  fundedBy: { enum: ["allowance", "deposit", "both"] },
  endedBy: { enum: parties },
  endReason: { enum: closeReasons },
  hardwareClass: text,
  challengesAsked: whole,
  challengesPassed: whole,
  signatures: objectOf(
    { user: orNull(signature), provider: orNull(signature) },
    { tickSeconds: whole, activeMs: whole },
  ),
});

const quantiles = objectOf({ p10: whole, p50: whole, p90: whole });

const place = objectOf({
  name: text,
  sessions: whole,
  requests: whole,
  seconds: whole,
  tokens: whole,
  wei,
  providerWei: wei,
  providers: whole,
  sharePerMille: whole,
  growthPerMille: orNull(integer),
  passPerMille: whole,
  uptimePerMille: whole,
  price: quantiles,
  milliTps: quantiles,
  keptPerMille: quantiles,
});

const requests: Readonly<Record<string, Schema>> = {
  DelegationRequest: objectOf({ delegation: signed(delegationType) }, { pseudonymKey: hash }),
  Revocation: signed(revocationType),
  Offer: signed(offerType),
  Rfc: signed(rfcType, { wish: ref("RoutingWish") }),
  RoutingWish: objectOf(
    {},
    {
      order: listOf(address),
      only: listOf(address),
      ignore: listOf(address),
      sort: { enum: ["price", "throughput", "latency"] },
    },
  ),
  Close: signed(closeType),
  Heartbeat: objectOf(
    {
      provider: address,
      at: whole,
      connected: listOf(hash),
      ticks: listOf(
        objectOf({ tick: messageOf(tickType), signature, countersignature: signature }),
      ),
      closes: listOf(ref("Close")),
    },
    { challengeAnswers: listOf(objectOf({ sessionId: hash, nonce: hash, digest: hash })) },
  ),
  EvidenceRequest: objectOf({ sessionId: hash, account: address, close: ref("Close") }),
};

const answers: Readonly<Record<string, Schema>> = {
  Empty: objectOf({}),
  RouterStatus: objectOf({
    router: address,
    signingKey: address,
    chainId: whole,
    computeContract: address,
    epoch: integer,
    epochEndsAt: integer,
    epochLengthMs: whole,
    budget: orNull(wei),
    seedCommitment: hash,
    openSessions: whole,
    queuedRfcs: whole,
    now: whole,
  }),
  DelegationReceipt: objectOf(
    { delegationHash: hash, allowance: wei, deposit: wei },
    { routerUrl: text },
  ),
  OfferReceipt: objectOf({ offerHash: hash }),
  OfferList: objectOf({
    offers: listOf(
      objectOf({ offer: ref("Offer"), offerHash: hash, totalWeiPerSecond: wei, freeSlots: whole }),
    ),
  }),
  TicketGrant: objectOf({
    sessionId: hash,
    ticket: signed(ticketType),
    offer: ref("Offer"),
    accept: signed(acceptType),
    why: ref("SelectionExplanation"),
  }),
  SelectionExplanation: objectOf(
    {
      rfcHash: hash,
      considered: listOf(
        objectOf({ offerHash: hash, provider: address, totalWeiPerSecond: wei, outcome: text }),
      ),
    },
    { allowance: text },
  ),
  RfcState: objectOf(
    { state: { enum: ["asking", "waiting"] }, reason: text },
    { place: whole, waiting: whole, since: whole, deadline: whole, servedWithinSlots: whole },
  ),
  HeartbeatReply: objectOf({
    ended: listOf(ref("Close")),
    successors: listOf(objectOf({ previous: hash, ticket: signed(ticketType) })),
    notices: listOf(endNotice),
    challenges: listOf(objectOf({ sessionId: hash, nonce: hash, answerBy: whole })),
    offers: listOf(hash),
  }),
  SessionState: objectOf({
    sessionId: hash,
    epoch: whole,
    state: { enum: ["granted", "open", "ended"] },
    seconds: whole,
    chargedSeconds: orNull(whole),
    charge: orNull(wei),
    isFinal: flag,
    endedBy: orNull({ enum: parties }),
    endReason: orNull({ enum: closeReasons }),
    successor: orNull(hash),
  }),
  EpochReport: objectOf({
    epoch: whole,
    state: { enum: ["open", "computed", "posted", "final"] },
    budget: wei,
    baselineHash: orNull(hash),
    settlementHash: orNull(hash),
    creditRoot: orNull(hash),
    recordRoot: orNull(hash),
    recordCid: orNull(text),
    records: whole,
    transaction: orNull(hash),
    gasUsed: orNull(whole),
    secret: orNull(hash),
  }),
  Record: record,
  RecordPage: objectOf({ records: listOf(ref("Record")), next: orNull(text) }),
  Records: {
    type: "string",
    description: "JSON Lines: Records in their RFC 8785 form, then lines with a `kind`.",
  },
  Leaderboard: objectOf({
    fromEpoch: whole,
    toEpoch: whole,
    models: listOf(place),
    providers: listOf(place),
    builders: listOf(place),
    unmet: listOf(objectOf({ model: text, asked: whole, unserved: whole, offeredWei: wei })),
    suppressed: whole,
  }),
  Table: { type: "string", description: "One table of the leaderboard with a head line." },
  Page: { type: "string", description: "One file without scripts." },
  CreditProof: objectOf({
    epoch: whole,
    account: address,
    cumulative: wei,
    proof: listOf(hash),
    creditRoot: hash,
  }),
  DebitProof: objectOf({
    epoch: whole,
    number: whole,
    cumulative: wei,
    salt: hash,
    proof: listOf(hash),
    debitRoot: hash,
  }),
  ConductReport: objectOf({
    account: address,
    sessions: whole,
    faults: whole,
    suspendedUntil: orNull(whole),
    findings: listOf(
      objectOf({
        sessionId: hash,
        epoch: whole,
        verdict: { enum: ["fail", "review"] },
        score: integer,
        reasons: listOf(text),
        outcome: { enum: ["held", "upheld", "cleared"] },
      }),
    ),
  }),
  Health: objectOf({ ready: flag, epoch: integer, projection: { enum: ["up", "down"] } }),
  Metrics: { type: "string", description: "The text form that Prometheus reads." },
  Document: { type: "object" },
  ErrorBody: objectOf({
    error: objectOf(
      { code: { enum: Object.keys(errorStatus) }, message: text },
      { advice: text, data: { type: "object" } },
    ),
  }),
};

/** What the Router takes and answers, by name. */
export const apiSchemas: Readonly<Record<string, Schema>> = { ...requests, ...answers };
