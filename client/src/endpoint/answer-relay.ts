/*
 * Answers from Providers to their caller, whatever happens to a Provider on the way.
 *
 * Before the caller has seen any text, a failed request is simply sent again elsewhere. Afterwards
 * the next Provider gets the text so far as the beginning of its answer and the caller's stream
 * goes on. Whole events only are passed on, so no text is lost or doubled. What a lost Provider
 * costs is said in `session.ts`.
 */
import { LakeError } from "@lake-travis/protocol";
import { errorFromOpenAi, type JsonObject } from "@lake-travis/protocol/inference";
import { clientLimits } from "../limits.ts";
import { withoutProvider, type Wish } from "../open-by-name.ts";
import type { Session } from "../session.ts";
import {
  type Attempt,
  AttemptFailure,
  type AttemptParts,
  beginAttempt,
  collectAnswer,
  lostAttempt,
} from "./answer-attempt.ts";
import { type AnswerChunk, DeliveredAnswer } from "./delivered-answer.ts";
import { createEventSplitter } from "./event-splitter.ts";
import type { InferenceJob } from "./inference-job.ts";

/** What relaying needs. */
export interface RelayParts extends AttemptParts {
  /** Hears of each move from one Provider to another; never with a prompt or an answer. */
  onMoved(move: AnswerMove): void;
}

/** One move of an answer to another Provider. */
export interface AnswerMove {
  readonly reason: LakeError;
  readonly from: string | undefined;
  readonly to: string;
  /** Whether its caller had already seen a part of it. */
  readonly midAnswer: boolean;
}

/** An answer in one piece. */
export interface WholeAnswer {
  readonly status: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly session: Session;
  readonly moves: number;
}

/** A piece of a streamed answer: whole events as bytes and as what they say. */
export interface AnswerPiece {
  readonly bytes: Uint8Array;
  readonly chunks: readonly AnswerChunk[];
  /** Set on the last piece where the answer could not be brought to its end. */
  readonly failure?: LakeError;
}

/** A streamed answer whose first Provider has begun. */
export interface StreamingAnswer {
  /** The Session that serves it now. */
  readonly session: () => Session;
  readonly moves: () => number;
  readonly pieces: AsyncGenerator<AnswerPiece, void, undefined>;
}

/** Sends a request and reads its whole answer, elsewhere again where a Provider fails. */
export async function relayWhole(job: InferenceJob, parts: RelayParts): Promise<WholeAnswer> {
  const route = new Route(job, parts);
  for (;;) {
    const attempt = await route.next(job.bytes ?? job.body);
    try {
      const bytes = await collectAnswer(attempt.answer);
      const { status } = attempt.answer;
      for (let n = tokensIn(bytes); n > 0; n -= 1) attempt.meter.token(parts.clock.now());
      // A refusal that is passed on is the caller's own mistake.
      attempt.finish(status < 400 ? "answered" : "dropped");
      return { status, bytes, session: attempt.session, moves: route.moves };
    } catch (error) {
      await route.lost(attempt, error);
    }
  }
}

/**
 * Sends a request whose answer streams. What is refused before its first event is returned as a
 * `WholeAnswer` with the Provider's status.
 */
export async function relayStream(
  job: InferenceJob,
  parts: RelayParts,
): Promise<StreamingAnswer | WholeAnswer> {
  const route = new Route(job, parts);
  const first = await route.next(job.bytes ?? job.body);
  if (first.answer.status >= 400) {
    const bytes = await collectAnswer(first.answer);
    first.finish("dropped");
    const { status } = first.answer;
    return { status, bytes, session: first.session, moves: route.moves };
  }
  let session = first.session;
  const onSession = (now: Session): void => void (session = now);
  return {
    session: () => session,
    moves: () => route.moves,
    pieces: streamPieces(job, { route, first, parts, onSession }),
  };
}

/** The way of one request from Provider to Provider. */
class Route {
  readonly #job: InferenceJob;
  readonly #parts: RelayParts;
  #wish: Wish;
  #failure: AttemptFailure | undefined;
  #attempts = 0;
  moves = 0;
  midAnswer = false;

  constructor(job: InferenceJob, parts: RelayParts) {
    this.#job = job;
    this.#parts = parts;
    this.#wish = job.wish;
  }

  /** The next attempt that a Provider takes; throws once it makes no sense to try further. */
  async next(body: JsonObject | Uint8Array): Promise<Attempt> {
    for (;;) {
      this.#attempts += 1;
      try {
        const attempt = await this.#begin(body);
        this.#noteMove(attempt);
        return attempt;
      } catch (error) {
        if (!(error instanceof AttemptFailure)) throw error;
        this.#note(error);
      }
    }
  }

  /** Notes that an attempt was lost on the way; throws where trying again cannot help. */
  async lost(attempt: Attempt, error: unknown): Promise<void> {
    if (this.#job.signal.aborted) {
      attempt.finish("dropped");
      throw this.#job.signal.reason;
    }
    if (error instanceof AttemptFailure) await attempt.fail();
    else attempt.finish("failed");
    const failure =
      error instanceof AttemptFailure ? error : await lostAttempt(error, attempt.session);
    this.#note(failure);
  }

  async #begin(body: JsonObject | Uint8Array): Promise<Attempt> {
    const place = { wish: this.#wish, body };
    try {
      return await beginAttempt(this.#job, place, this.#parts);
    } catch (error) {
      // Nobody else serves it: the one that failed may be back by now.
      const nobodyElse = error instanceof LakeError && this.#wish !== this.#job.wish;
      if (!nobodyElse || !elsewhereCodes.has(error.code)) throw error;
      this.#wish = this.#job.wish;
      return beginAttempt(this.#job, { ...place, wish: this.#wish }, this.#parts);
    }
  }

  #note(failure: AttemptFailure): void {
    if (!failure.canRetry || this.#attempts > clientLimits.failoversMax) throw failure.reason;
    this.#failure = failure;
    const { session } = failure;
    // A Provider that still takes Ticks in this Session only lost a connection.
    const isWell = session !== undefined && session.ended === undefined;
    const onlyConnection = isWell && failure.reason.code === "answer-interrupted";
    if (session === undefined || onlyConnection) return;
    this.#wish = withoutProvider(this.#wish, session.figures().provider);
  }

  #noteMove(attempt: Attempt): void {
    if (this.#failure === undefined) return;
    this.moves += 1;
    this.#parts.onMoved({
      reason: this.#failure.reason,
      from: this.#failure.session?.figures().provider,
      to: attempt.session.figures().provider,
      midAnswer: this.midAnswer,
    });
    this.#failure = undefined;
  }
}

/** With these the Router says that nobody else is there. */
const elsewhereCodes: ReadonlySet<string> = new Set([
  "provider-none",
  "provider-unreachable",
  "speed-not-offered",
  "price-cap-too-low",
  "slots-full",
]);

interface Streaming {
  readonly route: Route;
  readonly first: Attempt;
  readonly parts: RelayParts;
  readonly onSession: (session: Session) => void;
}

async function* streamPieces(
  job: InferenceJob,
  streaming: Streaming,
): AsyncGenerator<AnswerPiece, void, undefined> {
  const { parts, route } = streaming;
  const delivered = new DeliveredAnswer(job.streams ?? "chat", job.body);
  let attempt = streaming.first;
  try {
    for (;;) {
      try {
        yield* eventsOf(attempt, delivered, { isFirst: attempt === streaming.first, parts });
        attempt.finish("answered");
        return;
      } catch (error) {
        await route.lost(attempt, error);
      }
      if (delivered.isFinished) return;
      if (delivered.isFull && delivered.hasBegun) {
        const chunk = delivered.fullChunk();
        yield { bytes: eventBytes(chunk), chunks: [chunk] };
        return;
      }
      requireContinuable(delivered);
      route.midAnswer = delivered.hasBegun;
      attempt = await route.next(delivered.continuation());
      streaming.onSession(attempt.session);
      await requireContinues(attempt, delivered);
      yield { bytes: commentBytes(attempt.session, route.moves), chunks: [] };
    }
  } catch (error) {
    if (job.signal.aborted && !(job.signal.reason instanceof LakeError)) return;
    yield failurePiece(error);
  } finally {
    // Reached without an end when the caller has left.
    attempt.finish("dropped");
  }
}

async function* eventsOf(
  attempt: Attempt,
  delivered: DeliveredAnswer,
  options: { readonly isFirst: boolean; readonly parts: RelayParts },
): AsyncGenerator<AnswerPiece, void, undefined> {
  const split = createEventSplitter();
  const { clock } = options.parts;
  for await (const bytes of attempt.answer.body) {
    const block = split(bytes);
    if (block === undefined) continue;
    const chunks: AnswerChunk[] = [];
    const stop = readBlock(block.events, (chunk) => {
      const adapted = options.isFirst ? chunk : delivered.adapt(chunk);
      if (adapted === undefined) return;
      chunks.push(adapted);
      for (let n = delivered.note(adapted); n > 0; n -= 1) attempt.meter.token(clock.now());
    });
    if (options.isFirst) {
      const own = stop === undefined ? block.bytes : encoder.encode(block.text.slice(0, stop.at));
      if (own.length > 0) yield { bytes: own, chunks };
    } else if (chunks.length > 0) yield { bytes: eventBytes(...chunks), chunks };
    if (stop?.failure !== undefined) {
      throw new AttemptFailure(stop.failure, attempt.session, true);
    }
    if (stop !== undefined) return;
  }
  if (!delivered.isFinished) {
    throw new LakeError("answer-interrupted", "The Provider stopped in the middle of the answer.");
  }
}

/** Hands over the chunks of a block up to its end of stream or failure, if it has one. */
function readBlock(
  events: readonly { readonly payload: string; readonly at: number }[],
  take: (chunk: AnswerChunk) => void,
): { readonly at: number; readonly failure?: LakeError } | undefined {
  for (const { at, payload } of events) {
    if (payload === "[DONE]") return { at };
    const chunk = JSON.parse(payload) as AnswerChunk & { readonly error?: unknown };
    if (chunk.error !== undefined && chunk.error !== null) {
      return { at, failure: errorFromOpenAi(chunk, 502, "engine-failed") };
    }
    take(chunk);
  }
  return undefined;
}

function requireContinuable(delivered: DeliveredAnswer): void {
  const { obstacle } = delivered;
  if (obstacle === undefined) return;
  throw new LakeError(
    "answer-interrupted",
    `The Provider was lost in the middle of an answer that cannot go on elsewhere: ${obstacle}.`,
    { advice: "Ask again." },
  );
}

/** An engine that would begin a new answer instead of going on is not listened to. */
async function requireContinues(attempt: Attempt, delivered: DeliveredAnswer): Promise<void> {
  const { headers, status } = attempt.answer;
  if (status >= 400) {
    const text = new TextDecoder().decode(await collectAnswer(attempt.answer));
    throw errorFromOpenAi(JSON.parse(text), status, "answer-interrupted");
  }
  // A plain completion goes on with its prompt by its nature.
  if (!delivered.hasBegun || delivered.kind === "completion") return;
  if (headers[continuesHeader] === "1") return;
  throw new LakeError("answer-interrupted", "The next Provider cannot go on with the answer.", {
    advice: "Ask again.",
  });
}

/** With this a Provider says that its engine goes on with the answer that it was sent. */
const continuesHeader = "lake-continues";

/** What a caller is sent where an answer could not be brought to its end. */
function failurePiece(error: unknown): AnswerPiece {
  const failure =
    error instanceof LakeError
      ? error
      : new LakeError("answer-interrupted", "The Provider stopped in the middle of the answer.", {
          advice: "Ask again.",
          cause: error,
        });
  return { bytes: new Uint8Array(), chunks: [], failure };
}

const encoder = new TextEncoder();

function eventBytes(...chunks: readonly AnswerChunk[]): Uint8Array {
  return encoder.encode(chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join(""));
}

/** A comment that readers of events skip, for whoever looks at the stream itself. */
function commentBytes(session: Session, moves: number): Uint8Array {
  const { provider, sessionId } = session.figures();
  return encoder.encode(`: lake-moved ${moves} session=${sessionId} provider=${provider}\n\n`);
}

function tokensIn(bytes: Uint8Array): number {
  try {
    const text = new TextDecoder().decode(bytes);
    const { usage } = JSON.parse(text) as { usage?: { completion_tokens?: unknown } };
    const tokens = usage?.completion_tokens;
    // The Provider says how many; a count beyond what fits into its answer is not believed.
    return typeof tokens === "number" ? Math.max(0, Math.min(tokens, bytes.length)) : 0;
  } catch {
    // What is not JSON is passed on as it is; it has no tokens to count.
    return 0;
  }
}
