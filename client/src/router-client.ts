import {
  type Close,
  closeType,
  type CreditProof,
  type DelegationReceipt,
  type DelegationRequest,
  delegationType,
  type EpochReport,
  type Hex,
  LakeError,
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
  const own = new UsersShard(base);
  return {
    status: async () => (await get(routerPaths.status)) as RouterStatus,
    delegate: async (request) => {
      const receipt = await delegate(http, base, request);
      own.follow(receipt.routerUrl);
      return receipt;
    },
    requestCompute: (request, signal) =>
      own.ask((url) => requestCompute(http, url, request, signal)),
    close: async (close) => {
      await own.ask((url) =>
        http.json("POST", url + routerPaths.closes, signedToJson(closeType, close)),
      );
    },
    offers: async () => {
      const { offers } = (await get(routerPaths.offers)) as { offers: ListedOffer[] };
      return offers.map((entry) => ({ ...entry, offer: signedFromJson(offerType, entry.offer) }));
    },
    session: (id) =>
      own.ask(async (url) => {
        return (await http.json("GET", `${url}${routerPaths.sessions}/${id}`)) as SessionState;
      }),
    epoch: async (epoch) => (await get(`${routerPaths.epochs}/${epoch}`)) as EpochReport,
    credit: async (account, state = "final") =>
      (await get(`${routerPaths.credits}/${account}?state=${state}`)) as CreditProof,
    stop: () => http.close(),
  };
}

/**
 * Where the User's RFCs, Closes and Session queries go. A Router of several processes says so with
 * the receipt of the Delegation, or refuses with the right address.
 */
class UsersShard {
  #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  follow(url: unknown): void {
    if (typeof url === "string" && /^https?:\/\//.test(url)) this.#url = url.replace(/\/+$/, "");
  }

  /** Asks there; where it is another shard's now, there once. */
  async ask<T>(call: (url: string) => Promise<T>): Promise<T> {
    try {
      return await call(this.#url);
    } catch (error) {
      if (!(error instanceof LakeError) || error.code !== "shard-wrong") throw error;
      this.follow(error.data?.["url"]);
      return await call(this.#url);
    }
  }
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
