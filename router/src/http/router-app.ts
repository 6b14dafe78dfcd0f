import { Hono } from "hono";
import {
  type Address,
  type Clock,
  closeType,
  delegationType,
  heartbeatSignatureHeader,
  type Hex,
  isHex,
  keccak256Hex,
  fromHex,
  LakeError,
  limits,
  offerType,
  revocationType,
  routerPaths,
  signedFromJson,
} from "@lake-travis/protocol";
import { errorResponse, parseJson, readBytes, readJson } from "@lake-travis/platform";
import type { DurableMachine } from "../durable-machine.ts";
import type { Edge } from "../edge.ts";
import type { Heartbeats } from "../heartbeats.ts";
import { routerLimits } from "../limits.ts";
import type { Metrics } from "../metrics.ts";
import type { RecordArchive } from "../record-archive.ts";
import {
  conductOf,
  creditProofOf,
  debitProofOf,
  epochReportOf,
  offersOf,
  receiptOf,
  rfcStateOf,
  sessionOf,
  statusOf,
} from "../views.ts";
import type { ShardPlace } from "../shards/shard-place.ts";
import { describeApi } from "./open-api.ts";
import { addPublicRoutes, type PublicRecord } from "./public-routes.ts";
import type { RfcDoor } from "./rfc-door.ts";

/** What the HTTP side works with. */
export interface AppParts {
  readonly machine: DurableMachine;
  readonly edge: Edge;
  readonly door: RfcDoor;
  readonly heartbeats: Heartbeats;
  readonly archive: Pick<RecordArchive, "read">;
  readonly publicRecord: PublicRecord;
  /** Whether the projection's database answers; the Router goes on without it. */
  readonly isProjectionUp: () => boolean;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Where this Router is one of several shards. */
  readonly place?: ShardPlace;
}

/** What the socket's side knows of a request; absent where there is no socket. */
export interface RequestOrigin {
  readonly incoming?: { readonly socket?: { readonly remoteAddress?: string } };
}

/** The Router's HTTP side as a pure function from Request to Response. */
export type RouterApp = (request: Request, origin?: RequestOrigin) => Promise<Response>;

/** Makes the app; paths and bodies are those of the protocol's `api.ts`. */
export function createRouterApp(parts: AppParts): RouterApp {
  const app = buildApp(parts);
  return async (request, origin) => await app.fetch(request, origin);
}

/** Every method and path that the app answers, parameters as `{name}`. */
export function routesOf(parts: AppParts): { readonly method: string; readonly path: string }[] {
  return buildApp(parts)
    .routes.filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => {
      return { method: method.toLowerCase(), path: path.replace(/:([a-z]+)(\{[^/]*\})?/g, "{$1}") };
    });
}

function buildApp(parts: AppParts): Hono<{ Bindings: RequestOrigin }> {
  const { gate } = parts.door;
  const app = new Hono<{ Bindings: RequestOrigin }>();
  app.onError((error) => errorResponse(gate.refuse(error)));
  app.notFound((context) => {
    const sentence = `There is no ${context.req.method} ${context.req.path} here.`;
    return errorResponse(new LakeError("route-not-found", sentence.slice(0, 200)));
  });
  app.use(async (context, next) => {
    // Under a test there is no socket and no environment at all.
    const origin = context.env as RequestOrigin | undefined;
    const behind = parts.place?.addressBehind(context.req.raw);
    await gate.pass(behind ?? origin?.incoming?.socket?.remoteAddress ?? "none", next);
  });
  addCommands(app, parts);
  addEvidence(app, parts);
  addQueries(app, parts);
  addPublicRoutes(app, parts.publicRecord);
  return app;
}

function addCommands(app: Hono<{ Bindings: RequestOrigin }>, parts: AppParts): void {
  const { machine, edge, door, heartbeats, clock } = parts;
  const { admitKey } = door.gate;
  const body = (request: Request): Promise<unknown> =>
    readJson(request, limits.controlBodyBytesMax);

  app.post(routerPaths.delegations, async (context) => {
    const json = (await body(context.req.raw)) as Partial<Record<string, unknown>> | null;
    const signed = signedFromJson(delegationType, json?.["delegation"]);
    const { pseudonymCommitment } = signed.message;
    const pseudonymKey = pseudonymKeyIn(json?.["pseudonymKey"], pseudonymCommitment);
    const event = edge.delegation(signed, pseudonymKey, clock.now());
    admitKey(signed.message.user);
    // Shard 0 knows all of them: it answers for all deposits and points RFCs to their shard.
    if (parts.place?.options.index !== 0) await parts.place?.requireOwn(signed.message.user);
    await machine.require(event);
    return context.json(receiptOf(machine.state, signed.message.user, event.hash));
  });

  app.post(routerPaths.revocations, async (context) => {
    const signed = signedFromJson(revocationType, await body(context.req.raw));
    const event = edge.revocation(signed, clock.now());
    admitKey(signed.message.user);
    await machine.require(event);
    return context.json({});
  });

  app.post(routerPaths.offers, async (context) => {
    const signed = signedFromJson(offerType, await body(context.req.raw));
    const event = edge.offer(signed, clock.now());
    admitKey(event.signer);
    await machine.require(event);
    heartbeats.heardOffer(signed.message.provider);
    return context.json({ offerHash: event.hash });
  });

  app.post(routerPaths.rfcs, async (context) => {
    const grant = await door.request(await body(context.req.raw));
    return new Response(grant, { headers: { "content-type": "application/json" } });
  });

  app.post(routerPaths.heartbeats, async (context) => {
    const bytes = await readBytes(context.req.raw, routerLimits.heartbeatBytesMax);
    const signature = context.req.header(heartbeatSignatureHeader) ?? null;
    return context.json(await heartbeats.receive(bytes, signature, admitKey));
  });

  app.post(routerPaths.closes, async (context) => {
    const received = edge.close(signedFromJson(closeType, await body(context.req.raw)));
    admitKey(received.signer);
    const { sessionId } = received.close;
    sessionOf(machine.state, sessionId);
    await machine.require({ type: "close-received", received, at: clock.now() });
    return context.json(sessionOf(machine.state, sessionId));
  });
}

function addEvidence(app: Hono<{ Bindings: RequestOrigin }>, parts: AppParts): void {
  const { machine, edge, door, clock } = parts;

  app.post(routerPaths.evidence, async (context) => {
    const bytes = await readBytes(context.req.raw, limits.controlBodyBytesMax);
    const json = parseJson(bytes) as Partial<Record<string, unknown>> | null;
    const { sessionId, account } = { sessionId: json?.["sessionId"], account: json?.["account"] };
    if (!isHex(sessionId, 32) || !isHex(account, 20)) {
      throw new LakeError("message-invalid", "Evidence names its Session and who contests.");
    }
    const close = edge.close(signedFromJson(closeType, json?.["close"]));
    const signature = context.req.header(heartbeatSignatureHeader);
    const signer = isHex(signature, 65) ? edge.signerOfBytes(bytes, signature) : undefined;
    if (signer === undefined) {
      throw new LakeError("signature-invalid", "Evidence is signed by who contests.");
    }
    door.gate.admitKey(signer);
    const evidence = { sessionId, account, signer, close };
    await machine.require({ type: "evidence-received", evidence, at: clock.now() });
    return context.json({});
  });

  app.get(`${routerPaths.conduct}/:account`, (context) => {
    const account = hexIn(context.req.param("account").toLowerCase(), 20);
    // What is said of a Provider is public; what is said of a User is the User's own business.
    const isPublic = machine.state.nodes.get(account)?.kind === "provider";
    if (!isPublic)
      requireOwner(parts, context.req.raw, account, `${routerPaths.conduct}/${account}`);
    return context.json(conductOf(machine.state, account));
  });
}

function addQueries(app: Hono<{ Bindings: RequestOrigin }>, parts: AppParts): void {
  const { machine, edge, archive, metrics, clock } = parts;
  const { state } = machine;

  app.get(routerPaths.status, (context) =>
    context.json(statusOf(state, edge.signingKey, clock.now())),
  );
  app.get(routerPaths.offers, (context) => {
    const model = context.req.query("model");
    const offers = offersOf(state, { model, now: clock.now(), max: routerLimits.listMax });
    return context.json({ offers });
  });
  app.get(`${routerPaths.rfcs}/:hash`, (context) =>
    context.json(rfcStateOf(state, hexIn(context.req.param("hash"), 32))),
  );
  app.get(`${routerPaths.sessions}/:id`, (context) =>
    context.json(sessionOf(state, hexIn(context.req.param("id"), 32))),
  );
  app.get(`${routerPaths.epochs}/:epoch`, (context) =>
    context.json(epochReportOf(state, numberIn(context.req.param("epoch")))),
  );
  app.get(`${routerPaths.epochs}/:epoch/records`, async (context) => {
    const epoch = numberIn(context.req.param("epoch"));
    const settledWith = state.reports.get(epoch)?.settlementEpoch ?? epoch;
    const stream = await archive.read(settledWith);
    if (stream === undefined) {
      throw new LakeError("content-missing", `Epoch ${epoch} has no settled Records.`);
    }
    return new Response(stream, { headers: { "content-type": "application/jsonl" } });
  });
  app.get(`${routerPaths.credits}/:account`, (context) => {
    const account = hexIn(context.req.param("account").toLowerCase(), 20);
    return context.json(creditProofOf(state, account, context.req.query("state") === "posted"));
  });
  app.get(`${routerPaths.debits}/:number`, (context) => {
    const number = numberIn(context.req.param("number"));
    const owner = state.deposits[number]?.owner;
    requireOwner(parts, context.req.raw, owner, `${routerPaths.debits}/${number}`);
    return context.json(debitProofOf(state, number, context.req.query("state") === "posted"));
  });
  app.get("/healthz", (context) => {
    const ready = state.openEpoch >= 0;
    const projection = parts.isProjectionUp() ? "up" : "down";
    return context.json({ ready, epoch: state.openEpoch, projection }, ready ? 200 : 503);
  });
  app.get("/metrics", () => {
    const headers = { "content-type": "text/plain; version=0.0.4" };
    return new Response(metrics.text(state), { headers });
  });
  app.get("/openapi.json", (context) => context.json(describeApi()));
}

/**
 * What a deposit spent is its owner's business, as what is said of a User is. It is told to whoever
 * signs the request's path and time (`lake-at`, unix milliseconds) with the owner's wallet or the
 * session key it delegated to.
 */
function requireOwner(
  parts: AppParts,
  request: Request,
  owner: Address | undefined,
  path: string,
): void {
  const { machine, edge, door, clock } = parts;
  const at = Number(request.headers.get("lake-at"));
  const signature = request.headers.get(heartbeatSignatureHeader);
  const said = Buffer.from(`GET ${path} ${at}`);
  const signer = isHex(signature, 65) ? edge.signerOfBytes(said, signature) : undefined;
  if (signer === undefined) {
    throw new LakeError("signature-invalid", "This is told only to its signing owner.", {
      advice: `Sign 'GET ${path} <lake-at>' with the owner's key.`,
    });
  }
  door.gate.admitKey(signer);
  const sessionKey = machine.state.users.get(owner ?? "0x")?.delegation?.sessionKey;
  if (owner === undefined || (signer !== owner && signer !== sessionKey)) {
    throw new LakeError("signer-wrong", "This is not whom it concerns.");
  }
  if (Math.abs(clock.now() - at) > limits.clockSkewMsMax) {
    throw new LakeError("message-expired", "This request was signed too long ago.");
  }
}

function pseudonymKeyIn(pseudonymKey: unknown, commitment: Hex): Hex | null {
  if (pseudonymKey === undefined) return null;
  if (!isHex(pseudonymKey, 32) || keccak256Hex(fromHex(pseudonymKey)) !== commitment) {
    throw new LakeError("message-invalid", "pseudonymKey is not what the Delegation commits to.");
  }
  return pseudonymKey;
}

function hexIn(text: string, bytes: number): Address {
  if (isHex(text, bytes)) return text;
  throw new LakeError("message-invalid", `The path must hold ${bytes} bytes in hexadecimal.`);
}

function numberIn(text: string): number {
  const number = /^[0-9]{1,15}$/.test(text) ? Number(text) : -1;
  if (number >= 0) return number;
  throw new LakeError("message-invalid", "The path must hold a whole number.");
}
