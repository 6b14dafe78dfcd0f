import { errorStatus, routerPaths } from "@lake-travis/protocol";

/** The OpenAPI 3.1 document of the Router's HTTP side; a test asks every path that it names. */
export function describeApi(): Record<string, unknown> {
  return {
    openapi: "3.1.0",
    info: {
      title: "Lake Travis Router",
      version: "1",
      description: "Matches Users with Providers, keeps the record, computes the settlement.",
    },
    paths: Object.fromEntries(operations.map((operation) => pathOf(operation))),
    components: { schemas },
  };
}

interface Operation {
  readonly path: string;
  readonly method: "get" | "post";
  readonly summary: string;
  /** The body's schema, for a POST. */
  readonly body?: string;
  readonly answer: string;
}

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: "string" };
const whole: Schema = { type: "integer", minimum: 0 };
const wei: Schema = { type: "string", pattern: "^(0|[1-9][0-9]*)$" };
const hash: Schema = { type: "string", pattern: "^0x[0-9a-f]{64}$" };
const address: Schema = { type: "string", pattern: "^0x[0-9a-f]{40}$" };
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: "null" }] });
const listOf = (schema: Schema): Schema => ({ type: "array", items: schema });
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const objectOf = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: "object",
  required: Object.keys(properties),
  properties,
});

const schemas: Readonly<Record<string, Schema>> = {
  Signed: objectOf({
    message: { type: "object" },
    signature: { type: "string", pattern: "^0x[0-9a-f]{130}$" },
  }),
  Empty: { type: "object" },
  RouterStatus: objectOf({
    router: address,
    signingKey: address,
    chainId: whole,
    computeContract: address,
    epoch: { type: "integer" },
    epochEndsAt: { type: "integer" },
    epochLengthMs: whole,
    budget: orNull(wei),
    seedCommitment: hash,
    openSessions: whole,
    queuedRfcs: whole,
    now: whole,
  }),
  DelegationRequest: {
    type: "object",
    required: ["delegation"],
    properties: { delegation: ref("Signed"), pseudonymKey: hash },
  },
  DelegationReceipt: objectOf({ delegationHash: hash, allowance: wei, deposit: wei }),
  OfferReceipt: objectOf({ offerHash: hash }),
  OfferList: objectOf({
    offers: listOf(
      objectOf({ offer: ref("Signed"), offerHash: hash, totalWeiPerSecond: wei, freeSlots: whole }),
    ),
  }),
  TicketGrant: objectOf({
    sessionId: hash,
    ticket: ref("Signed"),
    offer: ref("Signed"),
    accept: ref("Signed"),
    why: { type: "object" },
  }),
  RfcState: objectOf({ state: { enum: ["asking", "waiting"] }, reason: text }),
  Heartbeat: objectOf({
    provider: address,
    at: whole,
    connected: listOf(hash),
    ticks: listOf({ type: "object" }),
    closes: listOf(ref("Signed")),
  }),
  HeartbeatReply: objectOf({
    ended: listOf(ref("Signed")),
    successors: listOf({ type: "object" }),
    offers: listOf(hash),
  }),
  SessionState: objectOf({
    sessionId: hash,
    epoch: whole,
    state: { enum: ["granted", "open", "ended"] },
    seconds: whole,
    chargedSeconds: orNull(whole),
    charge: orNull(wei),
    endedBy: orNull(text),
    endReason: orNull(text),
    successor: orNull(hash),
  }),
  EpochReport: objectOf({
    epoch: whole,
    state: { enum: ["open", "computed", "posted", "final"] },
    settlementHash: orNull(hash),
    creditRoot: orNull(hash),
    recordRoot: orNull(hash),
    recordCid: orNull(text),
    records: whole,
    transaction: orNull(hash),
    gasUsed: orNull(whole),
    secret: orNull(hash),
  }),
  Records: { type: "string", description: "JSON Lines, one Record each, in their RFC 8785 form." },
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
  Health: objectOf({ ready: { type: "boolean" }, epoch: { type: "integer" } }),
  Metrics: { type: "string", description: "The text form that Prometheus reads." },
  Document: { type: "object" },
  ErrorBody: objectOf({
    error: {
      type: "object",
      required: ["code", "message"],
      properties: {
        code: { enum: Object.keys(errorStatus) },
        message: text,
        advice: text,
        data: { type: "object" },
      },
    },
  }),
};

const operations: readonly Operation[] = [
  get(routerPaths.status, "Who this Router is and which epoch it is in.", "RouterStatus"),
  post(routerPaths.delegations, "A wallet's Delegation.", "DelegationRequest", "DelegationReceipt"),
  post(routerPaths.revocations, "A wallet's Revocation; closes Sessions.", "Signed", "Empty"),
  post(routerPaths.offers, "A Provider's Offer.", "Signed", "OfferReceipt"),
  get(routerPaths.offers, "Offers that can be taken now, cheapest first.", "OfferList"),
  post(routerPaths.rfcs, "A User's RFC; answered with its Ticket.", "Signed", "TicketGrant"),
  get(`${routerPaths.rfcs}/{hash}`, "Where an RFC stands in the queue.", "RfcState"),
  post(routerPaths.heartbeats, "A Provider's report.", "Heartbeat", "HeartbeatReply"),
  post(routerPaths.closes, "A User's Close.", "Signed", "SessionState"),
  get(`${routerPaths.sessions}/{id}`, "Where a Session stands.", "SessionState"),
  get(`${routerPaths.epochs}/{epoch}`, "How an epoch was settled.", "EpochReport"),
  get(`${routerPaths.epochs}/{epoch}/records`, "The Records settled with an epoch.", "Records"),
  get(`${routerPaths.credits}/{account}`, "What an account may claim.", "CreditProof"),
  get(`${routerPaths.debits}/{number}`, "A deposit's debit, told to its owner.", "DebitProof"),
  get("/healthz", "Whether this Router has read its chain.", "Health"),
  get("/metrics", "Counters for Prometheus.", "Metrics"),
  get("/openapi.json", "This document.", "Document"),
];

function get(path: string, summary: string, answer: string): Operation {
  return { path, method: "get", summary, answer };
}

function post(path: string, summary: string, body: string, answer: string): Operation {
  return { path, method: "post", summary, body, answer };
}

function pathOf(operation: Operation): [string, unknown] {
  const { path } = operation;
  const same = operations.filter((other) => other.path === path);
  const methods = same.map((each) => [each.method, describeOperation(each)] as const);
  return [path, Object.fromEntries(methods)];
}

function describeOperation({ path, summary, body, answer }: Operation): Schema {
  const parameter = /\{([^}]+)\}/.exec(path)?.[1];
  const inPath = { in: "path", required: true, schema: text };
  return {
    summary,
    ...(parameter === undefined ? {} : { parameters: [{ name: parameter, ...inPath }] }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: json(body) } }),
    responses: {
      200: { description: summary, content: json(answer) },
      default: { description: "A failure with its code.", content: json("ErrorBody") },
    },
  };
}

function json(name: string): Schema {
  const type = { Records: "application/jsonl", Metrics: "text/plain" }[name];
  return { [type ?? "application/json"]: { schema: ref(name) } };
}
