import { type Clock, LakeError } from "@lake-travis/protocol";
import { errorFromOpenAi, type JsonObject } from "@lake-travis/protocol/inference";
import type { StreamedAnswer } from "@lake-travis/platform";
import { limits } from "@lake-travis/protocol";
import type { Wish } from "../open-by-name.ts";
import type { Session } from "../session.ts";
import type { RequestMeter, RequestOutcome } from "../session-meter.ts";
import type { SessionPool } from "../session-pool.ts";
import type { InferenceJob } from "./inference-job.ts";

/** A request at one Provider, from its slot to the end of its answer. */
export interface Attempt {
  readonly session: Session;
  readonly answer: StreamedAnswer;
  readonly meter: RequestMeter;
  /** Gives the slot back and counts how it ended. */
  finish(outcome: RequestOutcome): void;
  /** The same where the Provider failed: nobody else gets this Session. */
  fail(): Promise<void>;
}

/** What an attempt needs beside its job. */
export interface AttemptParts {
  readonly pool: SessionPool;
  readonly clock: Clock;
}

/** A failed attempt: why, at whom, and whether trying again can help. */
export class AttemptFailure extends Error {
  readonly reason: LakeError;
  /** The Session at which it failed; undefined where there was none. */
  readonly session: Session | undefined;
  readonly canRetry: boolean;

  constructor(reason: LakeError, session: Session | undefined, canRetry: boolean) {
    super(reason.message, { cause: reason });
    this.reason = reason;
    this.session = session;
    this.canRetry = canRetry;
  }
}

/**
 * Takes a slot and sends the request. An answer that refuses it is returned as it is where the
 * refusal is the caller's to hear; where another Provider may do better an `AttemptFailure` is
 * thrown. Throws what the pool throws, and the job's own reason once its caller has left.
 */
export async function beginAttempt(
  job: InferenceJob,
  place: { readonly wish: Wish; readonly body: JsonObject | Uint8Array },
  parts: AttemptParts,
): Promise<Attempt> {
  const { clock, pool } = parts;
  const lease = await pool.acquire(place.wish, job.signal);
  const { session } = lease;
  const startedAt = clock.now();
  const stop = linkedSignal([job.signal, session.signal]);
  let meter: RequestMeter | undefined;
  let over = false;
  const end = (outcome: RequestOutcome): boolean => {
    if (over) return false;
    over = true;
    stop.unlink();
    meter?.finish(clock.now(), outcome);
    return true;
  };
  const finish = (outcome: RequestOutcome): void => {
    if (end(outcome)) lease.release();
  };
  const fail = async (): Promise<void> => {
    if (!end("failed")) return;
    // Where the Provider has ended it itself, it was its fault and needs no Close of ours.
    await session.probe();
    await lease.retire();
  };
  try {
    job.spend?.servedBy(session.figures().sessionId);
    const answer = await session.send(job.path, place.body, stop.signal);
    // Only now has the Provider surely seen the request: what it has not must not be counted.
    meter = session.meter.begin(startedAt);
    if (answer.status >= 400) await refuse(answer, { session, job, fail });
    return { session, answer, meter, finish, fail };
  } catch (error) {
    if (error instanceof AttemptFailure) throw error;
    finish("dropped");
    if (job.signal.aborted) throw job.signal.reason;
    throw await lostAttempt(error, session);
  }
}

/** What a broken connection means: asks the Provider once more before it is given up. */
export async function lostAttempt(error: unknown, session: Session): Promise<AttemptFailure> {
  const known = error instanceof LakeError ? error : session.ended;
  if (known !== undefined && !retryable.has(known.code)) {
    return new AttemptFailure(known, session, false);
  }
  await session.probe();
  const reason =
    known ??
    new LakeError("answer-interrupted", "The Provider stopped in the middle of the answer.", {
      cause: error,
    });
  return new AttemptFailure(reason, session, true);
}

/** Failures of one Provider that another one need not share. */
const retryable: ReadonlySet<string> = new Set([
  "provider-unreachable",
  "provider-refused",
  "provider-none",
  "answer-interrupted",
  "engine-failed",
  "session-ended",
  "session-unknown",
  "session-busy",
  "session-proof-missing",
  "session-proof-invalid",
  "ticket-lapsed",
  "tick-not-covered",
  "tick-stale",
  "slots-full",
  "shutting-down",
  "internal",
]);

// A refusal that names the caller's mistake is passed on by the relay; all others end here.
async function refuse(
  answer: StreamedAnswer,
  at: { readonly session: Session; readonly job: InferenceJob; readonly fail: () => Promise<void> },
): Promise<void> {
  const mayBeOurs = answer.status >= 500 || sessionStatuses.has(answer.status);
  if (!mayBeOurs) return;
  const bytes = await collectAnswer(answer);
  const error = errorFromOpenAi(jsonOrNull(bytes), answer.status, "engine-failed");
  await at.fail();
  throw new AttemptFailure(error, at.session, retryable.has(error.code));
}

/** Statuses with which a Provider speaks of the Session and not of the request. */
const sessionStatuses: ReadonlySet<number> = new Set([401, 402, 409, 410]);

/** Reads an answer to its end; throws `answer-interrupted` where it is too large. */
export async function collectAnswer(answer: StreamedAnswer): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of answer.body) {
    total += chunk.length;
    if (total > answerBytesMax) {
      throw new LakeError("answer-interrupted", "The Provider's answer is too large.");
    }
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** An unstreamed answer may hold the vectors of a whole batch of texts. */
const answerBytesMax = 8 * limits.inferenceBodyBytesMax;

function jsonOrNull(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown;
  } catch {
    // Who does not even fail in JSON has failed all the same; the status says enough.
    return null;
  }
}

/** A signal that follows several others until unlinked, so that long-lived ones stay clean. */
function linkedSignal(sources: readonly AbortSignal[]): {
  readonly signal: AbortSignal;
  unlink(): void;
} {
  const controller = new AbortController();
  const listeners = sources.map((source) => {
    const listener = (): void => controller.abort(source.reason);
    if (source.aborted) listener();
    else source.addEventListener("abort", listener, { once: true });
    return { source, listener };
  });
  return {
    signal: controller.signal,
    unlink: () => {
      for (const { source, listener } of listeners) source.removeEventListener("abort", listener);
    },
  };
}
