import type { Context, Hono } from "hono";
import {
  acceptType,
  closeType,
  heartbeatSignatureHeader,
  isHex,
  LakeError,
  limits as protocolLimits,
  openType,
  providerPaths,
  rfcType,
  signedFromJson,
  signedToJson,
  type TickReceipt,
  ticketType,
  tickType,
} from "@lake-travis/protocol";
import { parseJson, readBytes } from "@lake-travis/platform";
import { limits } from "../limits.ts";
import type { AppParts } from "./provider-app.ts";

/** Adds the paths of signed messages: Accepts, openings, Ticks, Closes. */
export function addLakeRoutes(app: Hono, parts: AppParts): void {
  const { keeper, clock } = parts;
  const admit = createRateLimit(() => clock.now());

  app.post(providerPaths.accepts, async (context) => {
    admit();
    const bytes = await readBytes(context.req.raw, protocolLimits.controlBodyBytesMax);
    const body = objectOf(parseJson(bytes));
    const { offerHash } = body;
    if (!isHex(offerHash, 32)) {
      throw new LakeError("message-invalid", "'offerHash' must be 32 lower-case bytes.");
    }
    const signature = context.req.header(heartbeatSignatureHeader);
    const fromRouter = signature !== undefined && parts.isRouterSignature(bytes, signature);
    const rfc = signedFromJson(rfcType, body["rfc"]);
    const accept = await keeper.accept({ rfc, offerHash, fromRouter });
    return context.json(signedToJson(acceptType, accept));
  });

  app.post(providerPaths.sessions, async (context) => {
    const body = await readControl(context);
    const opened = await keeper.open({
      ticket: signedFromJson(ticketType, body["ticket"]),
      open: signedFromJson(openType, body["open"]),
      tick: signedFromJson(tickType, body["tick"]),
    });
    return context.json(opened);
  });

  app.post(`${providerPaths.sessions}/:sessionId/ticks`, async (context) => {
    const tick = signedFromJson(tickType, await readControl(context));
    requireSameSession(context, tick.message.sessionId);
    return context.json(receiptToJson(await keeper.tick(tick)));
  });

  app.post(`${providerPaths.sessions}/:sessionId/close`, async (context) => {
    const close = signedFromJson(closeType, await readControl(context));
    requireSameSession(context, close.message.sessionId);
    return context.json(receiptToJson(await keeper.close(close)));
  });
}

/** The JSON form of a {@link TickReceipt}. */
function receiptToJson(receipt: TickReceipt): Record<string, unknown> {
  return {
    countersignature: receipt.countersignature,
    successor: receipt.successor === null ? null : signedToJson(ticketType, receipt.successor),
    ended: receipt.ended === null ? null : signedToJson(closeType, receipt.ended),
    counted: receipt.counted,
  };
}

async function readControl(context: Context): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await readBytes(context.req.raw, protocolLimits.controlBodyBytesMax);
  return objectOf(parseJson(bytes));
}

function objectOf(json: unknown): Readonly<Record<string, unknown>> {
  if (typeof json !== "object" || json === null) {
    throw new LakeError("body-invalid", "The body must be a JSON object.");
  }
  return json as Readonly<Record<string, unknown>>;
}

function requireSameSession(context: Context, sessionId: string): void {
  if (context.req.param("sessionId") !== sessionId) {
    throw new LakeError("audience-wrong", "The message is for another Session than the path.");
  }
}

// Anybody may knock here, so that a flood costs its sender more than the signatures cost us.
function createRateLimit(now: () => number): () => void {
  let second = 0;
  let count = 0;
  return () => {
    const current = Math.floor(now() / 1_000);
    if (current !== second) count = 0;
    second = current;
    count += 1;
    if (count > limits.acceptsPerSecondMax) {
      throw new LakeError("rate-limited", "Too many Accepts are asked for.");
    }
  };
}
