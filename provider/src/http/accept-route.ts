import type { Hono } from "hono";
import {
  acceptType,
  heartbeatSignatureHeader,
  isHex,
  LakeError,
  limits as protocolLimits,
  providerPaths,
  rfcType,
  signedFromJson,
  signedToJson,
} from "@lake-travis/protocol";
import { parseJson, readBytes, tellableError } from "@lake-travis/platform";
import { limits } from "../limits.ts";
import type { AppParts } from "./provider-app.ts";

/**
 * Adds the Router's liveness check: for one RFC, or for several in one body, which are answered one
 * by one, each with its Accept or with why not.
 */
export function addAcceptRoute(app: Hono, parts: AppParts): void {
  const { clock } = parts;
  const admit = createRateLimit(() => clock.now());

  app.post(providerPaths.accepts, async (context) => {
    admit(1);
    const bytes = await readBytes(context.req.raw, protocolLimits.acceptBatchBytesMax);
    const body = objectOf(parseJson(bytes));
    const signature = context.req.header(heartbeatSignatureHeader);
    const fromRouter = signature !== undefined && parts.isRouterSignature(bytes, signature);
    // Routers have staked: what they ask is bounded by the slots that there are.
    if (fromRouter) admit(-1);
    const { requests } = body;
    if (requests === undefined) return context.json(await acceptOne(parts, body, fromRouter));
    const max = protocolLimits.acceptBatchMax;
    if (!Array.isArray(requests) || requests.length === 0 || requests.length > max) {
      throw new LakeError("message-invalid", `'requests' must be a list of 1 to ${max} RFCs.`);
    }
    if (!fromRouter) admit(requests.length - 1);
    const answers = await Promise.all(
      requests.map((request: unknown) =>
        acceptOne(parts, request, fromRouter).catch((error: unknown) => refusalOf(parts, error)),
      ),
    );
    return context.json({ answers });
  });
}

async function acceptOne(parts: AppParts, json: unknown, fromRouter: boolean): Promise<object> {
  const { rfc, offerHash } = objectOf(json);
  if (!isHex(offerHash, 32)) {
    throw new LakeError("message-invalid", "'offerHash' must be 32 lower-case bytes.");
  }
  const signed = signedFromJson(rfcType, rfc);
  return signedToJson(
    acceptType,
    await parts.keeper.accept({ rfc: signed, offerHash, fromRouter }),
  );
}

function refusalOf({ logger }: AppParts, error: unknown): object {
  const told = tellableError(error);
  if (told.code === "internal") logger.error({ err: error }, "RequestFailed");
  return told.toBody();
}

function objectOf(json: unknown): Readonly<Record<string, unknown>> {
  if (typeof json !== "object" || json === null) {
    throw new LakeError("body-invalid", "The body must be a JSON object.");
  }
  return json as Readonly<Record<string, unknown>>;
}

// Anybody may knock here, so that a flood costs its sender more than the signatures cost us.
function createRateLimit(now: () => number): (accepts: number) => void {
  let second = 0;
  let count = 0;
  return (accepts) => {
    const current = Math.floor(now() / 1_000);
    if (current !== second) count = 0;
    second = current;
    count += accepts;
    if (count > limits.acceptsPerSecondMax) {
      throw new LakeError("rate-limited", "Too many Accepts are asked for.");
    }
  };
}
