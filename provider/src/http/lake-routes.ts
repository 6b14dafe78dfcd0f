import type { Context, Hono } from "hono";
import {
  closeType,
  LakeError,
  limits as protocolLimits,
  openType,
  providerPaths,
  signedFromJson,
  signedToJson,
  type TickReceipt,
  ticketType,
  tickType,
} from "@lake-travis/protocol";
import { parseJson, readBytes } from "@lake-travis/platform";
import { addAcceptRoute } from "./accept-route.ts";
import type { AppParts } from "./provider-app.ts";

/** Adds the paths of signed messages: Accepts, openings, Ticks, Closes. */
export function addLakeRoutes(app: Hono, parts: AppParts): void {
  const { keeper } = parts;
  addAcceptRoute(app, parts);

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
    notice: receipt.notice,
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
