/*
 * What sells, from the Router's public record: the Records of the newest settled epochs with their
 * lines of unmet demand, and the Offers that stand now.
 */
import {
  type Address,
  type DemandLine,
  formatHandle,
  LakeError,
  type ListedOffer,
  parseHandle,
  routerPaths,
  type RouterStatus,
  type SessionRecord,
} from "@lake-travis/protocol";
import type { HttpClient } from "@lake-travis/platform";
import { operateLimits } from "./limits.ts";
import type { ModelDemand } from "./plan-models.ts";
import { readOffers } from "./read-market.ts";

/** Sums of one model over the epochs that were read. */
interface Sold {
  seconds: number;
  wei: bigint;
  unservedUsers: number;
}

/** What was read, before it is turned into figures a day. */
export interface RecordSums {
  readonly models: Map<string, Sold>;
  readonly known: Set<string>;
  seconds: number;
  bytes: number;
  epochs: number;
}

const dayMs = 86_400_000;

/** Reads demand from a Router; throws `router-unreachable`. */
export async function readDemand(
  http: HttpClient,
  routerUrl: string,
  account: Address,
): Promise<readonly ModelDemand[]> {
  const timeoutMs = operateLimits.routerMs;
  const url = routerUrl + routerPaths.status;
  const status = (await http.json("GET", url, undefined, { timeoutMs })) as RouterStatus;
  const sums = emptySums();
  const oldest = Math.max(0, status.epoch - operateLimits.demandEpochs);
  for (let epoch = status.epoch - 1; epoch >= oldest; epoch -= 1) {
    if (sums.bytes > operateLimits.demandBytesMax) break;
    await readEpoch(http, `${routerUrl}${routerPaths.epochs}/${epoch}/records`, sums);
  }
  const days = (Math.max(1, sums.epochs) * status.epochLengthMs) / dayMs;
  return demandsOf(sums, days, await readOffers(http, routerUrl), account);
}

/** Nothing read yet. */
export function emptySums(): RecordSums {
  return { models: new Map(), known: new Set(), seconds: 0, bytes: 0, epochs: 0 };
}

/**
 * Adds one line of a public file. Lines of other kinds, and those without a model or a price that
 * could be one, are left out: a wrong line may cost its own figures and no more.
 */
export function addLine(sums: RecordSums, text: string): void {
  const line = parseLine(text);
  const model = modelIn(line.model);
  if (model === undefined) return;
  if (line.kind === "demand") {
    soldOf(sums, model).unservedUsers += countOf(line.unserved);
    return;
  }
  const { sessionId, seconds, weiPerSecond = "" } = line;
  const isPriced = /^[0-9]{1,78}$/.test(weiPerSecond);
  if (sessionId === undefined || !isPriced || sums.known.has(sessionId)) return;
  // Two epochs that were settled together have one file, which is then read twice.
  sums.known.add(sessionId);
  const sold = soldOf(sums, model);
  sold.seconds += countOf(seconds);
  sold.wei += BigInt(weiPerSecond) * BigInt(countOf(seconds));
  sums.seconds += countOf(seconds);
}

/** Turns sums into figures a day, and adds who sells now; models that only stand offered too. */
export function demandsOf(
  sums: RecordSums,
  days: number,
  offers: readonly ListedOffer[],
  account: Address,
): readonly ModelDemand[] {
  const live = offers.map(({ offer }) => offer.message).filter(({ slots }) => slots > 0);
  const meanSeconds = sums.known.size === 0 ? 0 : sums.seconds / sums.known.size;
  const names = new Set([...sums.models.keys(), ...live.map(({ model }) => model)]);
  const demands = [...names].map((model) => {
    const sold = sums.models.get(model) ?? { seconds: 0, wei: 0n, unservedUsers: 0 };
    const sellers = live.filter((offer) => offer.model === model && offer.provider !== account);
    return {
      model,
      secondsPerDay: Math.round(sold.seconds / days),
      // Who got nothing would have stayed as long as others do.
      unservedSecondsPerDay: Math.round((sold.unservedUsers * meanSeconds) / days),
      weiPerSecond: sold.seconds === 0 ? 0n : sold.wei / BigInt(sold.seconds),
      sellers: sellers.length,
    };
  });
  return demands.sort((a, b) => worth(b) - worth(a)).slice(0, operateLimits.demandModelsMax);
}

function worth({ secondsPerDay, unservedSecondsPerDay, weiPerSecond }: ModelDemand): number {
  return (secondsPerDay + unservedSecondsPerDay) * Number(weiPerSecond === 0n ? 1n : weiPerSecond);
}

async function readEpoch(http: HttpClient, url: string, sums: RecordSums): Promise<void> {
  const answer = await http.stream("GET", url, undefined, { timeoutMs: operateLimits.recordsMs });
  // An epoch that is not settled yet has no Records.
  const isThere = answer.status === 200;
  if (isThere) sums.epochs += 1;
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of answer.body) {
    sums.bytes += chunk.length;
    if (!isThere || sums.bytes > operateLimits.demandBytesMax) continue;
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) addLine(sums, line);
    if (rest.length > operateLimits.recordLineMax) throw notRecords(url);
  }
}

function parseLine(text: string): Partial<SessionRecord> & Partial<DemandLine> {
  try {
    const line = JSON.parse(text) as unknown;
    return typeof line === "object" && line !== null ? line : {};
  } catch {
    return {};
  }
}

function modelIn(name: unknown): string | undefined {
  if (typeof name !== "string") return undefined;
  try {
    return formatHandle(parseHandle(name));
  } catch (error) {
    if (error instanceof LakeError) return undefined;
    throw error;
  }
}

function soldOf(sums: RecordSums, model: string): Sold {
  const known = sums.models.get(model);
  if (known !== undefined) return known;
  const made: Sold = { seconds: 0, wei: 0n, unservedUsers: 0 };
  sums.models.set(model, made);
  return made;
}

function countOf(value: number | undefined): number {
  return Number.isSafeInteger(value) && (value ?? 0) > 0 ? (value ?? 0) : 0;
}

function notRecords(url: string): LakeError {
  return new LakeError("router-unreachable", `${url} does not hold Records.`);
}
