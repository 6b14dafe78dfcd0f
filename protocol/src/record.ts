import type { Address, Hex } from "./hex.ts";
import { leafOf } from "./merkle.ts";
import type { CloseReason, Party } from "./messages.ts";

/** Who signed what about a Session, so that no Router can invent or alter one. */
export interface RecordSignatures {
  /** The last Tick's signature by the session key; null where no Tick was countersigned. */
  readonly user: Hex | null;
  /** The same Tick's countersignature by the Provider. */
  readonly provider: Hex | null;
  /** Seconds of that Tick, which may lie beyond what was charged; 0 where there is none. */
  readonly tickSeconds?: number;
  /** Milliseconds of generating of that Tick; with the Record's own fields it is the Tick again. */
  readonly activeMs?: number;
}

/** What the public sees of a Session: no content, no User. Amounts are decimal strings of wei. */
export interface SessionRecord {
  readonly sessionId: Hex;
  readonly epoch: number;
  readonly model: string;
  readonly manifestDigest: Hex;
  readonly provider: Address;
  readonly builder: Address | null;
  readonly payees: readonly {
    readonly account: Address;
    readonly kind: number;
    readonly weiPerSecond: string;
  }[];
  readonly router: Address;
  /** The User's pseudonym of this epoch. */
  readonly user: Hex;
  /** Unix milliseconds, rounded down to the minute. */
  readonly openedAt: number;
  readonly seconds: number;
  readonly tokens: number;
  readonly requestsAnswered: number;
  readonly requestsFailed: number;
  /** Median time to first token. */
  readonly ttftMs: number;
  /** Thousandths of a token per second while generating. */
  readonly milliTps: number;
  readonly offeredMilliTps: number;
  readonly weiPerSecond: string;
  readonly builderWeiPerSecond: string;
  readonly fundedBy: "allowance" | "deposit" | "both";
  readonly endedBy: Party;
  readonly endReason: CloseReason;
  readonly hardwareClass: string;
  readonly challengesAsked: number;
  readonly challengesPassed: number;
  readonly signatures: RecordSignatures;
}

/** What of a Record says where it stands in a public file. */
export type PlacedRecord = Pick<SessionRecord, "epoch" | "openedAt" | "sessionId">;

/** The order of Records in a public file: by epoch, then opening, then Session. */
export function compareRecords(a: PlacedRecord, b: PlacedRecord): number {
  if (a.epoch !== b.epoch) return a.epoch - b.epoch;
  if (a.openedAt !== b.openedAt) return a.openedAt - b.openedAt;
  return a.sessionId < b.sessionId ? -1 : a.sessionId > b.sessionId ? 1 : 0;
}

/**
 * One line of the public Records file: the RFC 8785 form, without a line end. Written out in the
 * order of the keys, because sorting them for each Record takes longer than checking it; a test
 * holds it equal to a general implementation.
 */
export function recordLine(record: SessionRecord): string {
  return JSON.stringify({
    builder: record.builder,
    builderWeiPerSecond: record.builderWeiPerSecond,
    challengesAsked: record.challengesAsked,
    challengesPassed: record.challengesPassed,
    endReason: record.endReason,
    endedBy: record.endedBy,
    epoch: record.epoch,
    fundedBy: record.fundedBy,
    hardwareClass: record.hardwareClass,
    manifestDigest: record.manifestDigest,
    milliTps: record.milliTps,
    model: record.model,
    offeredMilliTps: record.offeredMilliTps,
    openedAt: record.openedAt,
    payees: record.payees.map(({ account, kind, weiPerSecond }) => ({
      account,
      kind,
      weiPerSecond,
    })),
    provider: record.provider,
    requestsAnswered: record.requestsAnswered,
    requestsFailed: record.requestsFailed,
    router: record.router,
    seconds: record.seconds,
    sessionId: record.sessionId,
    signatures: {
      activeMs: record.signatures.activeMs,
      provider: record.signatures.provider,
      tickSeconds: record.signatures.tickSeconds,
      user: record.signatures.user,
    },
    tokens: record.tokens,
    ttftMs: record.ttftMs,
    user: record.user,
    weiPerSecond: record.weiPerSecond,
  });
}

/** The Merkle leaf of a Record: the double hash of its RFC 8785 bytes. */
export function recordLeaf(record: SessionRecord): Uint8Array {
  return recordLineLeaf(recordLine(record));
}

/** {@link recordLeaf} from the Record's line. */
export function recordLineLeaf(line: string): Uint8Array {
  // Every field is ASCII by its grammar, so bytes and characters are the same.
  const bytes = new Uint8Array(line.length);
  for (let at = 0; at < line.length; at += 1) bytes[at] = line.charCodeAt(at);
  return leafOf(bytes);
}
