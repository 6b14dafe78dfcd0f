import type { Hono } from "hono";
import {
  epochReportPage,
  isHex,
  LakeError,
  type Leaderboard,
  leaderboardCsv,
  leaderboardOf,
  limits,
  routerPaths,
} from "@lake-travis/protocol";
import { projectionLimits } from "../limits.ts";
import type { Projection, RecordQuery } from "../projection/projection.ts";
import type { RequestOrigin } from "./router-app.ts";

/** What is asked of the projection. */
export type PublicRecord = Pick<Projection, "records" | "rollups">;

/** The routes that are answered from what was published: anyone may ask, and nobody waits long. */
export function addPublicRoutes(
  app: Hono<{ Bindings: RequestOrigin }>,
  publicRecord: PublicRecord,
): void {
  app.get(routerPaths.records, async (context) => {
    const { lines, next } = await publicRecord.records(queryIn(context.req.query()));
    // Each line is the canonical JSON that was published: parsing it would only write it again.
    const body = `{"records":[${lines.join(",")}],"next":${JSON.stringify(next)}}`;
    return new Response(body, { headers: { "content-type": "application/json" } });
  });
  app.get(routerPaths.leaderboard, async (context) =>
    context.json(await boardOf(publicRecord, context.req.query())),
  );
  app.get(`${routerPaths.leaderboard}/:table{(models|providers|builders).csv}`, async (context) => {
    const board = await boardOf(publicRecord, context.req.query());
    const table = context.req.param("table").replace(".csv", "") as "models";
    const headers = { "content-type": "text/csv; charset=utf-8" };
    return new Response(leaderboardCsv(board[table]), { headers });
  });
  app.get(`${routerPaths.epochs}/:epoch/report`, async (context) => {
    const epoch = numberIn("The epoch", context.req.param("epoch"));
    const page = epochReportPage(await spanOf(publicRecord, epoch, epoch));
    // The page is one file with its own styles and no scripts.
    const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    const headers = { "content-type": "text/html; charset=utf-8" };
    return new Response(page, { headers: { ...headers, "content-security-policy": policy } });
  });
}

/** The leaderboard of `from` to `to`; without them that of the newest epochs. */
function boardOf(
  publicRecord: PublicRecord,
  { from = "0", to = String(epochMax) }: Readonly<Record<string, string>>,
): Promise<Leaderboard> {
  return spanOf(publicRecord, numberIn("from", from), numberIn("to", to));
}

async function spanOf(
  publicRecord: PublicRecord,
  fromEpoch: number,
  toEpoch: number,
): Promise<Leaderboard> {
  const max = projectionLimits.boardEpochsMax;
  const rollups = await publicRecord.rollups({ fromEpoch, toEpoch, max });
  if (rollups.length > 0) return leaderboardOf(rollups);
  throw new LakeError("content-missing", "No epoch of that time has been settled yet.", {
    advice: "An epoch is published once it is over; ask again then.",
  });
}

/** No epoch is later. */
const epochMax = 999_999_999_999_999;

function queryIn(said: Readonly<Record<string, string>>): RecordQuery {
  const { epoch, model, provider, after, max = "100" } = said;
  const most = numberIn("max", max);
  if (provider !== undefined && !isHex(provider.toLowerCase(), 20)) {
    throw invalid("provider must be an address of 20 bytes.");
  }
  if (model !== undefined && model.length > limits.modelNameMax) {
    throw invalid("model is longer than any name.");
  }
  return {
    max: Math.min(projectionLimits.pageMax, Math.max(1, most)),
    ...(epoch === undefined ? {} : { epoch: numberIn("epoch", epoch) }),
    ...(model === undefined ? {} : { model }),
    ...(provider === undefined ? {} : { provider: provider.toLowerCase() }),
    ...(after === undefined ? {} : { after }),
  };
}

function numberIn(name: string, text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw invalid(`${name} must be a whole number.`);
}

function invalid(sentence: string): LakeError {
  return new LakeError("message-invalid", sentence);
}
