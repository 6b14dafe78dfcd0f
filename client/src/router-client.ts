import {
  type Close,
  closeType,
  type CreditProof,
  type DelegationReceipt,
  type DelegationRequest,
  delegationType,
  type EpochReport,
  type Hex,
  type ListedOffer,
  offerType,
  type RfcRequest,
  rfcType,
  routerPaths,
  type RouterStatus,
  type SessionState,
  type Signed,
  signedFromJson,
  signedToJson,
  acceptType,
  ticketType,
  type TicketGrant,
} from "@lake-travis/protocol";
import { createHttpClient, type HttpClient } from "@lake-travis/platform";

/** A Router's HTTP interface, typed. Calls throw `router-unreachable` or the Router's error. */
export interface RouterClient {
  status(): Promise<RouterStatus>;
  delegate(request: DelegationRequest): Promise<DelegationReceipt>;
  requestCompute(request: RfcRequest, signal?: AbortSignal): Promise<TicketGrant>;
  close(close: Signed<Close>): Promise<void>;
  offers(): Promise<readonly ListedOffer[]>;
  session(sessionId: Hex): Promise<SessionState>;
  epoch(epoch: number): Promise<EpochReport>;
  /** By the newest final settlement, or with `posted` by the one that is not final yet. */
  credit(account: Hex, state?: "final" | "posted"): Promise<CreditProof>;
  stop(): Promise<void>;
}

/** An RFC may wait in the queue until its deadline; then some for the answer to travel. */
const rfcTimeoutMs = 35_000;

/** Makes a client for the Router at `url`. */
export function createRouterClient(url: string): RouterClient {
  const base = url.replace(/\/+$/, "");
  const http = createHttpClient({ unreachable: "router-unreachable" });
  const get = (path: string): Promise<unknown> => http.json("GET", base + path);
  return {
    status: async () => (await get(routerPaths.status)) as RouterStatus,
    delegate: (request) => delegate(http, base, request),
    requestCompute: (request, signal) => requestCompute(http, base, request, signal),
    close: async (close) => {
      await http.json("POST", base + routerPaths.closes, signedToJson(closeType, close));
    },
    offers: async () => {
      const { offers } = (await get(routerPaths.offers)) as { offers: ListedOffer[] };
      return offers.map((entry) => ({ ...entry, offer: signedFromJson(offerType, entry.offer) }));
    },
    session: async (id) => (await get(`${routerPaths.sessions}/${id}`)) as SessionState,
    epoch: async (epoch) => (await get(`${routerPaths.epochs}/${epoch}`)) as EpochReport,
    credit: async (account, state = "final") =>
      (await get(`${routerPaths.credits}/${account}?state=${state}`)) as CreditProof,
    stop: () => http.close(),
  };
}

async function delegate(
  http: HttpClient,
  base: string,
  request: DelegationRequest,
): Promise<DelegationReceipt> {
  const body = {
    delegation: signedToJson(delegationType, request.delegation),
    pseudonymKey: request.pseudonymKey,
  };
  return (await http.json("POST", base + routerPaths.delegations, body)) as DelegationReceipt;
}

async function requestCompute(
  http: HttpClient,
  base: string,
  request: RfcRequest,
  signal: AbortSignal | undefined,
): Promise<TicketGrant> {
  const { wish } = request;
  const signed = signedToJson(rfcType, request) as object;
  const body = wish === undefined ? signed : { ...signed, wish };
  const answer = (await http.json("POST", base + routerPaths.rfcs, body, {
    timeoutMs: rfcTimeoutMs,
    ...(signal === undefined ? {} : { signal }),
  })) as Record<keyof TicketGrant, unknown>;
  return {
    sessionId: answer.sessionId as Hex,
    ticket: signedFromJson(ticketType, answer.ticket),
    offer: signedFromJson(offerType, answer.offer),
    accept: signedFromJson(acceptType, answer.accept),
    why: answer.why as TicketGrant["why"],
  };
}
