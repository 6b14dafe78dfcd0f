/*
 * Everything that a Provider answers, as one pure function from Request to Response.
 *
 * Two doors: `/lake/v1/*` for signed messages, `/v1/*` for OpenAI's language. Behind the second one
 * nothing of a body is read before the bearer token of a Session that may be served now was seen.
 */
import { Hono } from "hono";
import type { Clock } from "@lake-travis/protocol";
import { LakeError, providerPaths } from "@lake-travis/protocol";
import { openAiErrorBody } from "@lake-travis/protocol/inference";
import { errorResponse, type Logger } from "@lake-travis/platform";
import type { SessionKeeper } from "../session-keeper.ts";
import type { ServedModel } from "../served-model.ts";
import { addLakeRoutes } from "./lake-routes.ts";
import { addOpenAiRoutes } from "./openai-routes.ts";

/** What the app answers with. */
export interface AppParts {
  readonly keeper: SessionKeeper;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isRouterSignature: (body: Uint8Array, signature: string) => boolean;
  /** The models that are served now, by `builder/name:tag`. */
  readonly models: ReadonlyMap<string, ServedModel>;
}

/** Builds the Provider's HTTP app. */
export function createProviderApp(parts: AppParts): {
  fetch(request: Request): Response | Promise<Response>;
} {
  const app = new Hono();
  addLakeRoutes(app, parts);
  addOpenAiRoutes(app, parts);
  app.notFound((context) =>
    respond(context.req.path, new LakeError("route-not-found", "There is nothing here.")),
  );
  app.onError((error, context) => {
    if (!(error instanceof LakeError)) parts.logger.error({ err: error }, "request failed");
    return respond(context.req.path, error);
  });
  return { fetch: (request) => app.fetch(request) };
}

function respond(path: string, error: unknown): Response {
  if (path.startsWith(providerPaths.accepts.slice(0, 6))) return errorResponse(error);
  return openAiErrorResponse(error);
}

/** A failure in OpenAI's form. */
function openAiErrorResponse(error: unknown): Response {
  const status = error instanceof LakeError ? error.status : 500;
  const headers = status === 429 || status === 503 ? { "retry-after": "1" } : {};
  return Response.json(openAiErrorBody(error), { status, headers });
}
