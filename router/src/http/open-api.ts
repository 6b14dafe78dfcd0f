import { heartbeatSignatureHeader, routerPaths } from "@lake-travis/protocol";
import { apiSchemas, type Schema } from "./api-schemas.ts";

/** The OpenAPI 3.1 document of the Router's HTTP side; a test holds real answers against it. */
export function describeApi(): Record<string, unknown> {
  return {
    openapi: "3.1.0",
    info: {
      title: "Lake Travis Router",
      version: "1",
      description: "Matches Users with Providers, keeps the record, computes the settlement.",
    },
    paths: Object.fromEntries(operations.map((operation) => pathOf(operation))),
    components: { schemas: apiSchemas },
  };
}

interface Operation {
  readonly path: string;
  readonly method: "get" | "post";
  readonly summary: string;
  /** The body's schema, for a POST. */
  readonly body?: string;
  readonly answer: string;
  readonly query?: readonly string[];
  readonly headers?: readonly string[];
}

/** What is told only to whom it concerns is asked for with these. */
const ownerHeaders = ["lake-at", heartbeatSignatureHeader];

const operations: readonly Operation[] = [
  get(routerPaths.status, "Who this Router is and which epoch it is in.", "RouterStatus"),
  post(routerPaths.delegations, "A wallet's Delegation.", "DelegationRequest", "DelegationReceipt"),
  post(routerPaths.revocations, "A wallet's Revocation; closes Sessions.", "Revocation", "Empty"),
  post(routerPaths.offers, "A Provider's Offer.", "Offer", "OfferReceipt"),
  get(routerPaths.offers, "Offers that can be taken now, cheapest first.", "OfferList", {
    query: ["model"],
  }),
  post(
    routerPaths.rfcs,
    "A User's RFC; answered with its Ticket. A WebSocket here takes many in one frame.",
    "Rfc",
    "TicketGrant",
  ),
  get(`${routerPaths.rfcs}/{hash}`, "Where an RFC stands in the queue.", "RfcState"),
  {
    ...post(routerPaths.heartbeats, "A Provider's report.", "Heartbeat", "HeartbeatReply"),
    headers: [heartbeatSignatureHeader],
  },
  post(routerPaths.closes, "A User's Close.", "Close", "SessionState"),
  {
    ...post(routerPaths.evidence, "A signed Close against a verdict.", "EvidenceRequest", "Empty"),
    headers: [heartbeatSignatureHeader],
  },
  get(`${routerPaths.conduct}/{account}`, "What verdicts speak against a party.", "ConductReport", {
    headers: ownerHeaders,
  }),
  get(`${routerPaths.sessions}/{id}`, "Where a Session stands.", "SessionState"),
  get(`${routerPaths.epochs}/{epoch}`, "How an epoch was settled.", "EpochReport"),
  get(`${routerPaths.epochs}/{epoch}/records`, "The Records settled with an epoch.", "Records"),
  get(`${routerPaths.epochs}/{epoch}/report`, "An epoch's figures as a page.", "Page"),
  get(routerPaths.records, "Published Records, a page at a time.", "RecordPage", {
    query: ["epoch", "model", "provider", "after", "max"],
  }),
  get(routerPaths.leaderboard, "Models, Providers and Builders by their use.", "Leaderboard", {
    query: ["from", "to"],
  }),
  get(`${routerPaths.leaderboard}/{table}`, "One of its tables, such as models.csv.", "Table", {
    query: ["from", "to"],
  }),
  get(`${routerPaths.credits}/{account}`, "What an account may claim.", "CreditProof", {
    query: ["state"],
  }),
  get(`${routerPaths.debits}/{number}`, "A deposit's debit, told to its owner.", "DebitProof", {
    query: ["state"],
    headers: ownerHeaders,
  }),
  get("/healthz", "Whether this Router has read its chain.", "Health"),
  get("/metrics", "Counters for Prometheus.", "Metrics"),
  get("/openapi.json", "This document.", "Document"),
];

function get(
  path: string,
  summary: string,
  answer: string,
  also: Pick<Operation, "query" | "headers"> = {},
): Operation {
  return { path, method: "get", summary, answer, ...also };
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

function describeOperation(operation: Operation): Schema {
  const { path, summary, body, answer, query = [], headers = [] } = operation;
  const parameter = /\{([^}]+)\}/.exec(path)?.[1];
  const schema = { type: "string" };
  const parameters = [
    ...(parameter === undefined ? [] : [{ name: parameter, in: "path", required: true, schema }]),
    ...query.map((name) => ({ name, in: "query", required: false, schema })),
    ...headers.map((name) => ({ name, in: "header", required: false, schema })),
  ];
  return {
    summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: contentOf(body) } }),
    responses: {
      200: { description: summary, content: contentOf(answer) },
      ...(answer === "Health"
        ? { 503: { description: "Not yet.", content: contentOf(answer) } }
        : {}),
      default: {
        description:
          "A failure with its code; 429 and 503 say in `retry-after` when to come again.",
        content: contentOf("ErrorBody"),
      },
    },
  };
}

function contentOf(name: string): Schema {
  const types = { Records: "application/jsonl", Metrics: "text/plain", Page: "text/html" };
  const type = { ...types, Table: "text/csv" }[name];
  return { [type ?? "application/json"]: { schema: { $ref: `#/components/schemas/${name}` } } };
}
