/*
 * The book with its hands: every change is in the journal before anyone hears of it, and what the
 * Router has to know is kept until the Router has confirmed it.
 */
import { createHash } from "node:crypto";
import {
  type Accept,
  type ChallengeAnswer,
  type Close,
  type CloseReason,
  type Clock,
  closeReasons,
  type CountersignedTick,
  type EndNotice,
  type HeartbeatReply,
  type Hex,
  LakeError,
  type Offer,
  type Random,
  type Signed,
  type SessionOpened,
  type SessionOpening,
  type Tick,
  type TickReceipt,
} from "@lake-travis/protocol";
import type { Engine } from "@lake-travis/protocol/inference";
import type { Logger } from "@lake-travis/platform";
import { ChallengeDesk } from "./challenge-desk.ts";
import { continueWithTick, lineAwaiting } from "./core/continue-line.ts";
import {
  attachSuccessor,
  closeByProvider,
  closeByRouter,
  closeByUser,
  dueEndings,
  refusalOfLine,
  releaseLines,
} from "./core/end-session.ts";
import { grantAccept, type GrantRequest } from "./core/grant-accept.ts";
import { modelOf, openSession } from "./core/open-session.ts";
import { receiveTick } from "./core/receive-tick.ts";
import {
  addOffer,
  forgetExpired,
  type Line,
  type OwnOffer,
  type ServedSession,
  type SessionBook,
} from "./core/session-book.ts";
import { countAt } from "./core/session-count.ts";
import type { AppendFile } from "./journal/append-file.ts";
import {
  acceptedEntry,
  closedEntry,
  continuedEntry,
  entriesOf,
  type JournalEntry,
  offeredEntry,
  openedEntry,
  type Restored,
  tickedEntry,
} from "./journal/book-journal.ts";
import { limits } from "./limits.ts";

/** What a {@link SessionKeeper} works with. */
export interface KeeperParts {
  readonly book: SessionBook;
  readonly journal: AppendFile;
  readonly restored: Restored;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Called when the Router should hear soon: a Session opened or ended. */
  readonly onNews: () => void;
  /** The engine that serves a model now; without it no challenge is answered. */
  readonly engineOf?: (model: string) => Engine | undefined;
  /** Hears of each Session that has ended, once its Close is durable. */
  readonly onEnded?: (session: ServedSession) => void;
}

/** What one Heartbeat reports. */
export interface Report {
  readonly connected: readonly Hex[];
  readonly ticks: readonly CountersignedTick[];
  readonly closes: readonly Signed<Close>[];
  readonly challengeAnswers: readonly ChallengeAnswer[];
  /** More waits than one Heartbeat holds. */
  readonly hasMore: boolean;
}

/** Opens, ticks and ends Sessions, durably. */
export class SessionKeeper {
  readonly #parts: KeeperParts;
  readonly #connected = new Set<Hex>();
  readonly #ticked = new Map<Hex, CountersignedTick>();
  readonly #closed = new Map<Hex, Signed<Close>>();
  /** One for each line; aborted when its Session ends, which stops its running answers. */
  readonly #stops = new Map<string, AbortController>();
  /** Tokens by hash, only to repeat the answer to a repeated opening. */
  readonly #tokens = new Map<string, string>();
  /** The Router's word that a Session will end soon, for its User's next receipt. */
  readonly #notices = new Map<Hex, EndNotice>();
  readonly #challenges: ChallengeDesk;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    const { book, restored, engineOf = () => undefined } = parts;
    this.#challenges = new ChallengeDesk({ ...parts, engineOf });
    for (const session of book.sessions.values()) {
      const isNews = session.close === undefined || restored.unreported.has(session.sessionId);
      if (!isNews) continue;
      this.#connected.add(session.sessionId);
      this.#ticked.set(session.sessionId, session.lastTick);
      if (session.close !== undefined) this.#closed.set(session.sessionId, session.close);
    }
  }

  /** The lines that are open now for one model, named `builder/name:tag`. */
  *lineIdsOf(model: string): Generator<string> {
    for (const line of this.#parts.book.lines.values()) {
      if (modelOf(line) === model) yield line.lineId;
    }
  }

  /** Signs an Offer, keeps it and makes it known to the book. */
  async offer(offer: Offer): Promise<OwnOffer> {
    const own = addOffer(this.#parts.book, offer);
    await this.#write(offeredEntry(own));
    return own;
  }

  /** Answers the Router's liveness check; see {@link grantAccept}. */
  async accept(request: GrantRequest): Promise<Signed<Accept>> {
    const grant = grantAccept(this.#parts.book, request, this.#now());
    await this.#write(acceptedEntry(grant));
    return grant.accept;
  }

  /** Opens a Session, or continues one; see {@link openSession}. */
  async open(opening: SessionOpening): Promise<SessionOpened> {
    const { book, random } = this.#parts;
    const fresh = Buffer.from(random.bytes(32)).toString("base64url");
    const opened = openSession(book, { ...opening, tokenHash: hashToken(fresh) }, this.#now());
    const { line } = opened;
    const session = line.current;
    // A continued line keeps its token: requests under way and later ones use the same.
    const token = this.#tokens.get(line.tokenHash) ?? fresh;
    if (!opened.repeated) {
      this.#tokens.set(line.tokenHash, token);
      await this.#keepOpened(session, line);
    }
    return {
      sessionId: session.sessionId,
      token,
      countersignature: session.lastTick.countersignature,
      slots: line.offer.signed.message.slots,
    };
  }

  /**
   * Takes a Tick and countersigns it once it is durable; see {@link receiveTick}. The first Tick
   * for a successor's Session continues the line.
   */
  async tick(signed: Signed<Tick>): Promise<TickReceipt> {
    const { book } = this.#parts;
    const now = this.#now();
    const line = lineAwaiting(book, signed.message.sessionId);
    if (line !== undefined) {
      const session = continueWithTick(book, line, signed, now);
      await this.#keepOpened(session, line);
      return this.#receipt(session, session.lastTick.countersignature);
    }
    const { session, countersignature, isNew } = receiveTick(book, signed, now);
    if (isNew) {
      await this.#write(tickedEntry(session));
      this.#ticked.set(session.sessionId, session.lastTick);
    }
    return this.#receipt(session, countersignature);
  }

  /** Takes a User's Close and stops what runs in the Session; see {@link closeByUser}. */
  async close(signed: Signed<Close>): Promise<TickReceipt> {
    const session = closeByUser(this.#parts.book, signed, this.#now());
    await this.#ended(session);
    return this.#receipt(session, session.lastTick.countersignature);
  }

  /** Ends one Session from our side. */
  async end(session: ServedSession, reason: CloseReason): Promise<void> {
    closeByProvider(this.#parts.book, session, { reason, now: this.#now() });
    await this.#ended(session);
  }

  /** Ends every open Session from our side, or those of one model. */
  async endAll(reason: CloseReason, model?: string): Promise<void> {
    const all = [...this.#parts.book.lines.values()];
    const lines = all.filter((line) => model === undefined || modelOf(line) === model);
    await Promise.all(lines.map((line) => this.end(line.current, reason)));
  }

  /** Ends what has run out, frees lines and forgets what is old. */
  async sweep(): Promise<void> {
    const { book, journal } = this.#parts;
    const now = this.#now();
    await Promise.all(
      dueEndings(book, now).map(({ session, reason }) => this.end(session, reason)),
    );
    for (const lineId of releaseLines(book, now)) this.#stopLine(lineId);
    forgetExpired(book, now);
    for (const tokenHash of this.#tokens.keys()) {
      if (!book.linesByToken.has(tokenHash)) this.#tokens.delete(tokenHash);
    }
    if (journal.bytes > limits.journalBytesMax) {
      await journal.rewrite(entriesOf(book, new Set(this.#closed.keys())));
    }
  }

  /**
   * The line of a bearer token; throws `session-proof-missing` or `session-proof-invalid`, or why
   * the line may not be served now.
   */
  lineOf(authorization: string | null): Line {
    const token = /^Bearer ([\w-]{43})$/i.exec(authorization ?? "")?.[1];
    if (token === undefined) {
      throw new LakeError("session-proof-missing", "This needs the bearer token of a Session.", {
        advice: "Open a Session with a Ticket first.",
      });
    }
    const line = this.#parts.book.linesByToken.get(hashToken(token));
    if (line === undefined) {
      throw new LakeError("session-proof-invalid", "This token belongs to no Session here.", {
        advice: "Open another Session.",
      });
    }
    const refusal = refusalOfLine(line, this.#now());
    if (refusal !== undefined) throw refusal;
    return line;
  }

  /** Aborted when the line's Session ends and is not continued. */
  stopSignal(line: Line): AbortSignal {
    let controller = this.#stops.get(line.lineId);
    if (controller === undefined) {
      controller = new AbortController();
      this.#stops.set(line.lineId, controller);
    }
    return controller.signal;
  }

  /** What the Router has to hear; `confirm` forgets it once the Router has. */
  report(): { readonly report: Report; readonly confirm: () => Promise<void> } {
    const connected = [...this.#connected].slice(0, limits.reportsPerBeatMax);
    const ticks = [...this.#ticked.values()].slice(0, limits.reportsPerBeatMax);
    const closes = [...this.#closed.values()]
      // A Close goes no earlier than the opening and the last Tick of its Session.
      .filter(({ message }) => isTold(message.sessionId, connected, this.#connected))
      .filter(({ message }) => isTickTold(message.sessionId, ticks, this.#ticked))
      .slice(0, limits.reportsPerBeatMax);
    const challengeAnswers = this.#challenges.answers.slice(0, limits.reportsPerBeatMax);
    const confirm = async (): Promise<void> => {
      this.#challenges.confirm(challengeAnswers);
      for (const sessionId of connected) this.#connected.delete(sessionId);
      for (const tick of ticks) {
        const { sessionId } = tick.tick;
        if (this.#ticked.get(sessionId) === tick) this.#ticked.delete(sessionId);
      }
      for (const { message } of closes) this.#closed.delete(message.sessionId);
      const told = closes.map(({ message }) =>
        this.#write({ type: "reported", sessionId: message.sessionId }),
      );
      await Promise.all(told);
    };
    const max = limits.reportsPerBeatMax;
    const hasMore =
      this.#connected.size > max || this.#ticked.size > max || this.#closed.size > max;
    return { report: { connected, ticks, closes, challengeAnswers, hasMore }, confirm };
  }

  /** Does what the Router's answer to a Heartbeat says. One bad item does not stop the others. */
  async applyReply(
    reply: Pick<HeartbeatReply, "ended" | "successors"> &
      Partial<Pick<HeartbeatReply, "notices" | "challenges">>,
  ): Promise<void> {
    const { book, logger } = this.#parts;
    this.#challenges.take(reply.challenges ?? []);
    for (const notice of reply.notices ?? []) {
      const session = book.sessions.get(notice.sessionId);
      if (session?.close === undefined && session !== undefined) {
        this.#notices.set(notice.sessionId, notice);
      }
    }
    for (const successor of reply.successors) {
      await this.#guarded(async () => {
        const session = attachSuccessor(book, successor, this.#now());
        if (session?.successor === undefined) return;
        await this.#write(continuedEntry(session.sessionId, session.successor));
        await this.#ended(session, "router");
        logger.info({ sessionId: session.sessionId }, "successor received");
      });
    }
    for (const close of reply.ended) {
      await this.#guarded(async () => {
        const session = closeByRouter(book, close, this.#now());
        if (session !== undefined) await this.#ended(session, "router");
      });
    }
  }

  async #keepOpened(session: ServedSession, line: Line): Promise<void> {
    const { sessionId } = session;
    this.#connected.add(sessionId);
    this.#ticked.set(sessionId, session.lastTick);
    await this.#write(openedEntry(session, line));
    this.#parts.logger.info({ sessionId, continued: sessionId !== line.lineId }, "session opened");
    this.#parts.onNews();
  }

  async #guarded(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof LakeError)) throw error;
      this.#parts.logger.warn({ code: error.code }, error.message);
    }
  }

  #receipt(session: ServedSession, countersignature: Hex): TickReceipt {
    return {
      countersignature,
      successor: session.successor?.ticket ?? null,
      ended: session.close ?? null,
      notice: this.#noticeOf(session),
      counted: countAt(session.tally, this.#now()),
    };
  }

  #noticeOf({ sessionId }: ServedSession): TickReceipt["notice"] {
    const notice = this.#notices.get(sessionId);
    return notice === undefined ? null : { endsAt: notice.endsAt, reason: notice.reason };
  }

  async #ended(session: ServedSession, by: "us" | "router" = "us"): Promise<void> {
    const { close, sessionId } = session;
    const { book, logger, onNews } = this.#parts;
    if (close === undefined) return;
    this.#notices.delete(sessionId);
    if (!book.lines.has(session.lineId)) this.#stopLine(session.lineId);
    await this.#write(closedEntry(close, session.closedAt));
    // The Router need not be told what it said itself.
    if (by === "router") await this.#write({ type: "reported", sessionId });
    else this.#closed.set(sessionId, close);
    const reason = closeReasons[close.message.reason];
    const { seconds } = session.lastTick.tick;
    logger.info(
      { sessionId, reason, seconds, ...countAt(session.tally, this.#now()) },
      "session ended",
    );
    this.#parts.onEnded?.(session);
    if (by === "us") onNews();
  }

  #stopLine(lineId: string): void {
    const ended = new LakeError("session-ended", "The Session ended before the answer did.");
    this.#stops.get(lineId)?.abort(ended);
    this.#stops.delete(lineId);
  }

  #write(entry: JournalEntry): Promise<void> {
    return this.#parts.journal.append(entry);
  }

  #now(): number {
    return this.#parts.clock.now();
  }
}

/** The SHA-256 of a bearer token, which is all that is kept of it. */
function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function isTold(sessionId: Hex, now: readonly Hex[], open: ReadonlySet<Hex>): boolean {
  return !open.has(sessionId) || now.includes(sessionId);
}

function isTickTold(
  sessionId: Hex,
  now: readonly CountersignedTick[],
  open: ReadonlyMap<Hex, CountersignedTick>,
): boolean {
  return !open.has(sessionId) || now.some(({ tick }) => tick.sessionId === sessionId);
}
