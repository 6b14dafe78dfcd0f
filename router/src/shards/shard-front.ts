/*
 * The one address of a Router that runs as several processes. A User's Delegation goes to the
 * User's shard, and its receipt tells where everything else of that User goes, so that RFCs and
 * Sessions never pass here. Offers and Heartbeats go to every shard as they are, signature and
 * all: a Provider need not know that there are several. Settlements, proofs and the public record
 * are shard 0's.
 */
import {
  type Clock,
  heartbeatSignatureHeader,
  type Hex,
  isHex,
  LakeError,
  limits,
  routerPaths,
} from "@lake-travis/protocol";
import {
  errorResponse,
  type HttpServer,
  type Logger,
  parseJson,
  readBytes,
  serveHttp,
} from "@lake-travis/platform";
import { shardOf } from "../core/shard-of.ts";
import type { RouterApp } from "../http/router-app.ts";
import { routerLimits } from "../limits.ts";
import { mergeHealth, mergeOffers, mergeReplies, mergeStatus } from "./merge-answers.ts";
import { forwardedForHeader, ShardPlace, shardSecretHeader } from "./shard-place.ts";
import { ShardSupervisor, type SupervisorOptions } from "./shard-supervisor.ts";

/** How a {@link ShardFront} is set up. */
export interface FrontOptions extends SupervisorOptions {
  /** 32 bytes that the shards know too. */
  readonly secret: Hex;
  readonly host: string;
  readonly port: number;
}

/** A request and the address that it came from. */
interface Asked {
  readonly request: Request;
  readonly address: string;
}

/** An answer of one shard, read whole. */
interface Answer {
  readonly status: number;
  readonly json: unknown;
}

/** See the head of this file. */
export class ShardFront {
  readonly supervisor: ShardSupervisor;
  readonly #options: FrontOptions;
  readonly #place: ShardPlace;
  #server: HttpServer | undefined;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor(options: FrontOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#logger = options.logger;
    const { count, secret, mapFile } = options;
    this.#place = new ShardPlace({ index: 0, count, secret, mapFile });
    this.supervisor = new ShardSupervisor(options);
  }

  get url(): string {
    const { host } = this.#options;
    return `http://${host.includes(":") ? `[${host}]` : host}:${this.#server?.port ?? 0}`;
  }

  /** Starts the shards, then listens. Throws `child-failed`, `port-taken`. */
  async start(): Promise<void> {
    await this.supervisor.start();
    const { host, port } = this.#options;
    const fetch: RouterApp = (request, origin) => {
      const asked = { request, address: origin?.incoming?.socket?.remoteAddress ?? "none" };
      return this.#answer(asked).catch(errorResponse);
    };
    this.#server = await serveHttp({ fetch, host, port }).catch(async (error: unknown) => {
      await this.supervisor.stop();
      throw error;
    });
    this.#logger.info({ shards: this.supervisor.urls, at: this.#clock.now() }, "FrontStarted");
  }

  /** Takes nothing new, lets answers under way finish, and stops the shards. */
  async stop(): Promise<void> {
    await this.#server?.close();
    await this.supervisor.stop();
  }

  async #answer(asked: Asked): Promise<Response> {
    const { request } = asked;
    const { pathname } = new URL(request.url);
    if (pathname.startsWith("/internal/")) {
      throw new LakeError("route-not-found", "There is no such path here.");
    }
    const name = `${request.method} ${pathname}`;
    switch (name) {
      case `POST ${routerPaths.delegations}`:
      case `POST ${routerPaths.revocations}`:
        return await this.#toUsersShard(asked);
      case `POST ${routerPaths.offers}`:
        return await this.#toAll(asked, ([first]) => first);
      case `POST ${routerPaths.heartbeats}`:
        return await this.#toAll(asked, mergeReplies);
      case `GET ${routerPaths.offers}`:
        return await this.#toAll(asked, mergeOffers);
      case `GET ${routerPaths.status}`:
        return await this.#toAll(asked, mergeStatus);
      case "GET /healthz":
        return await this.#health(asked);
      case `POST ${routerPaths.closes}`:
        return await this.#toWhoeverKnows(asked);
      default:
    }
    const isOfOneSession =
      pathname.startsWith(`${routerPaths.sessions}/`) ||
      pathname.startsWith(`${routerPaths.rfcs}/`);
    if (isOfOneSession) return await this.#toWhoeverKnows(asked);
    // Shard 0 knows every Delegation, so it tells an RFC that came here which shard is right.
    return await this.#forward(asked, 0, await bodyOf(asked));
  }

  async #toUsersShard(asked: Asked): Promise<Response> {
    const body = await bodyOf(asked);
    const json = parseJson(body ?? new Uint8Array()) as {
      readonly message?: { readonly user?: unknown };
      readonly delegation?: { readonly message?: { readonly user?: unknown } };
    } | null;
    const user = (json?.delegation ?? json)?.message?.user;
    if (!isHex(user, 20)) throw new LakeError("message-invalid", "This message names no User.");
    const shard = shardOf(user, this.#options.count);
    const isDelegation = json?.delegation !== undefined;
    // Shard 0 answers for all deposits, so it must know a Delegation before anything is reserved
    // under it; a Revocation must first reach who would grant Sessions. Either may be sent again.
    const others = shard === 0 ? [] : [0];
    const order = isDelegation ? [...others, shard] : [shard, ...others];
    const answers = new Map<number, Answer>();
    for (const each of order) {
      const answer = await this.#ask(asked, each, body);
      if (answer.status !== 200) return jsonOf(answer);
      answers.set(each, answer);
    }
    const answer = answers.get(shard) as Answer;
    const routerUrl = this.supervisor.urls[shard];
    return isDelegation ? Response.json({ ...(answer.json as object), routerUrl }) : jsonOf(answer);
  }

  /** All must take it: whoever sent it sends it again otherwise, and those that have it say so. */
  async #toAll(asked: Asked, merge: (answers: readonly unknown[]) => unknown): Promise<Response> {
    const answers = await this.#askAll(asked, await bodyOf(asked));
    const failed = answers.find(({ status }) => status !== 200);
    if (failed !== undefined) return jsonOf(failed);
    return Response.json(merge(answers.map(({ json }) => json)));
  }

  async #health(asked: Asked): Promise<Response> {
    const answers = await this.#askAll(asked, undefined);
    const status = answers.find((each) => each.status !== 200)?.status ?? 200;
    return Response.json(mergeHealth(answers.map(({ json }) => json)), { status });
  }

  async #toWhoeverKnows(asked: Asked): Promise<Response> {
    const answers = await this.#askAll(asked, await bodyOf(asked));
    const known = answers.find(({ status }) => status !== 404) ?? answers[0];
    return jsonOf(known as Answer);
  }

  async #askAll(asked: Asked, body: Uint8Array | undefined): Promise<Answer[]> {
    const shards = this.supervisor.urls.map((_, shard) => this.#ask(asked, shard, body));
    return await Promise.all(shards);
  }

  async #ask(asked: Asked, shard: number, body: Uint8Array | undefined): Promise<Answer> {
    const answer = await this.#forward(asked, shard, body);
    return { status: answer.status, json: await answer.json() };
  }

  async #forward(asked: Asked, shard: number, body: Uint8Array | undefined): Promise<Response> {
    const { request, address } = asked;
    const { pathname, search } = new URL(request.url);
    const headers = new Headers({
      [shardSecretHeader]: this.#place.proof,
      [forwardedForHeader]: address,
    });
    for (const name of forwardedHeaders) {
      const value = request.headers.get(name);
      if (value !== null) headers.set(name, value);
    }
    const { method } = request;
    const sent = body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> };
    const signal = AbortSignal.timeout(routerLimits.shardAnswerMs);
    const url = `${this.supervisor.urls[shard] ?? ""}${pathname}${search}`;
    try {
      return await fetch(url, { method, headers, signal, ...sent });
    } catch (cause) {
      throw new LakeError("router-unreachable", `Shard ${shard} does not answer now.`, {
        advice: "It is started again; try again in a moment.",
        cause,
      });
    }
  }
}

const forwardedHeaders = ["content-type", heartbeatSignatureHeader, "lake-at"];

async function bodyOf({ request }: Asked): Promise<Uint8Array | undefined> {
  if (request.method !== "POST") return undefined;
  const isBeat = new URL(request.url).pathname === routerPaths.heartbeats;
  return await readBytes(
    request,
    isBeat ? routerLimits.heartbeatBytesMax : limits.controlBodyBytesMax,
  );
}

function jsonOf({ status, json }: Answer): Response {
  const headers = status === 429 || status === 503 ? { "retry-after": "1" } : {};
  return Response.json(json, { status, headers });
}
