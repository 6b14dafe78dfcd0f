import { type Address, closeReasons, type Hex } from "@lake-travis/protocol";
import { modelOf } from "./core/open-session.ts";
import type { SessionBook } from "./core/session-book.ts";
import { countAt } from "./core/session-count.ts";
import type { HeartbeatLoop } from "./heartbeat.ts";
import type { ModelShelf, ShelvedModel } from "./model-shelf.ts";
import type { OfferPublisher } from "./offer-publisher.ts";

/** How a running Provider stands. Times are unix milliseconds, prices decimal wei per second. */
export interface NodeSnapshot {
  readonly account: Address;
  readonly signingKey: Address;
  readonly endpoint: string;
  readonly tlsFingerprint: Hex;
  readonly routerUrl: string;
  /** Whether the Router answered the last Heartbeat. */
  readonly isRouterHeard: boolean;
  readonly startedAt: number;
  readonly now: number;
  /** Why no new Session may begin at all, such as a shutdown; null as a rule. */
  readonly refusal: string | null;
  readonly models: readonly ModelSnapshot[];
  readonly sessions: readonly SessionSnapshot[];
}

/** How one served model stands. */
export interface ModelSnapshot {
  readonly model: string;
  readonly manifestDigest: Hex;
  readonly engineClass: string;
  readonly hardwareClass: string;
  readonly weiPerSecond: string;
  readonly slots: number;
  readonly openSessions: number;
  /** Requests that are being answered, and that wait for a slot. */
  readonly running: number;
  readonly waiting: number;
  /** Thousandths of a token per second: as offered, as measured alone and with all slots busy. */
  readonly offeredMilliTps: number;
  readonly milliTpsAlone: number;
  readonly milliTpsFull: number;
  readonly ttftMs: number;
  readonly loadedAt: number;
  readonly offerHash: Hex | null;
  /** Whether the Offer stands, and whether the Router said that it holds it. */
  readonly isOffered: boolean;
  readonly isHeldByRouter: boolean;
  /** Why the engine cannot serve now; null while it can. */
  readonly trouble: string | null;
}

/** One open Session. It names no User, for the Provider knows none. */
export interface SessionSnapshot {
  readonly sessionId: Hex;
  readonly model: string;
  readonly startedAt: number;
  /** Seconds that the User has signed. */
  readonly seconds: number;
  readonly requestsAnswered: number;
  readonly requestsFailed: number;
  readonly tokens: number;
  /** Why it has ended and only waits for its successor; null while it is open. */
  readonly closing: string | null;
}

type Place = Pick<
  NodeSnapshot,
  "account" | "signingKey" | "endpoint" | "tlsFingerprint" | "routerUrl" | "startedAt" | "now"
>;

/** Reads everything together, in one turn of the loop. */
export function snapshotOf(
  place: Place,
  parts: {
    readonly book: SessionBook;
    readonly heartbeat: HeartbeatLoop;
    readonly publisher: OfferPublisher;
    readonly shelf: ModelShelf;
  },
): NodeSnapshot {
  const { book, heartbeat, publisher, shelf } = parts;
  return {
    ...place,
    isRouterHeard: heartbeat.isHeard,
    refusal: book.refusal?.message ?? null,
    models: shelf.models.map((model) => modelSnapshot(model, shelf, publisher)),
    sessions: [...book.lines.values()].map((line) => {
      const { sessionId, startedAt, lastTick, tally, close } = line.current;
      const { requestsAnswered, requestsFailed, tokens } = countAt(tally, place.now);
      return {
        sessionId,
        model: modelOf(line),
        startedAt,
        seconds: lastTick.tick.seconds,
        requestsAnswered,
        requestsFailed,
        tokens,
        closing: close === undefined ? null : (closeReasons[close.message.reason] ?? "finished"),
      };
    }),
  };
}

function modelSnapshot(
  { measured, served, weiPerSecond }: ShelvedModel,
  shelf: ModelShelf,
  publisher: OfferPublisher,
): ModelSnapshot {
  const { handle, manifestDigest, engine } = measured.wanted;
  const { engineClass, hardwareClass, slots } = engine.description;
  const own = publisher.offers.find(({ signed }) => signed.message.model === handle);
  return {
    model: handle,
    manifestDigest,
    engineClass,
    hardwareClass,
    weiPerSecond: weiPerSecond.toString(),
    slots,
    openSessions: shelf.openSessionsOf(handle),
    running: served.queue.running,
    waiting: served.queue.waiting,
    offeredMilliTps: own?.signed.message.milliTps ?? 0,
    milliTpsAlone: measured.speed.milliTpsAlone,
    milliTpsFull: measured.speed.milliTpsFull,
    ttftMs: measured.speed.ttftMs,
    loadedAt: served.createdAtSeconds * 1_000,
    offerHash: own?.hash ?? null,
    isOffered: shelf.isOffered(handle),
    isHeldByRouter: own !== undefined && publisher.isHeld(own.hash),
    trouble: engine.trouble ?? null,
  };
}
