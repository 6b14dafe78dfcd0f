import type { Challenge, ChallengeAnswer, Clock, Hex } from "@lake-travis/protocol";
import type { Engine } from "@lake-travis/protocol/inference";
import type { Logger } from "@lake-travis/platform";
import { modelOf } from "./core/open-session.ts";
import type { SessionBook } from "./core/session-book.ts";

/** What a {@link ChallengeDesk} works with. */
export interface ChallengeDeskParts {
  readonly book: SessionBook;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The engine that serves a model now, by `builder/name:tag`. */
  readonly engineOf: (model: string) => Engine | undefined;
  /** Called when an answer waits, which has a deadline. */
  readonly onNews: () => void;
}

/** Challenges of one Router that are answered or being answered; it asks one a Session. */
const challengesMax = 256;

/** Hands the Router's challenges to the engine processes that serve, and keeps their answers. */
export class ChallengeDesk {
  readonly #parts: ChallengeDeskParts;
  readonly #asked = new Set<Hex>();
  readonly #answers = new Map<Hex, ChallengeAnswer>();

  constructor(parts: ChallengeDeskParts) {
    this.#parts = parts;
  }

  /** Answers that the Router has not heard. */
  get answers(): readonly ChallengeAnswer[] {
    return [...this.#answers.values()];
  }

  /** Lets the engine processes answer; one that cannot, or not in time, is silent. */
  take(challenges: readonly Challenge[]): void {
    for (const challenge of challenges) {
      if (this.#asked.has(challenge.nonce) || this.#asked.size >= challengesMax) continue;
      this.#asked.add(challenge.nonce);
      void this.#answer(challenge);
    }
  }

  /** Forgets answers that the Router has heard. */
  confirm(answers: readonly ChallengeAnswer[]): void {
    for (const { nonce } of answers) this.#answers.delete(nonce);
  }

  async #answer({ sessionId, nonce, answerBy }: Challenge): Promise<void> {
    const { book, clock, logger, onNews, engineOf } = this.#parts;
    const deadline = new AbortController();
    const cancel = clock.after(Math.max(0, answerBy - clock.now()), () => {
      deadline.abort(new Error("the deadline has passed"));
    });
    try {
      const session = book.sessions.get(sessionId);
      const line = session === undefined ? undefined : book.lines.get(session.lineId);
      const engine = line === undefined ? undefined : engineOf(modelOf(line));
      const digest = await engine?.prove?.(nonce, deadline.signal);
      if (digest === undefined) return;
      this.#answers.set(nonce, { sessionId, nonce, digest });
      onNews();
    } catch (error) {
      logger.warn({ err: error, sessionId }, "a challenge stays unanswered");
    } finally {
      cancel();
      // A Router that asks again meanwhile is asking the same.
      clock.after(askedMs, () => this.#asked.delete(nonce));
    }
  }
}

/** Longer than a Router repeats a challenge. */
const askedMs = 30_000;
