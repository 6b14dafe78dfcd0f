import type { Hex } from "../hex.ts";
import type { JudgedRecord } from "../read-record.ts";
import type { Baseline } from "./baseline.ts";
import { EpochJudge } from "./epoch-judge.ts";
import { fillRaw, RawRecord } from "./features.ts";
import type { Verdict } from "./verdict.ts";

/** What {@link judgeEpoch} finds. */
export interface JudgedEpoch {
  /** One for each Record, in the same order. */
  readonly verdicts: readonly Verdict[];
  /** One for each Record that was held, in the same order; none of them is `review`. */
  readonly heldVerdicts: readonly Verdict[];
  /** What the next epoch takes over. */
  readonly baseline: Baseline;
}

/**
 * Judges the Records of an epoch, and once more those that were held for review in the one before:
 * they fail if their Provider is found suspect again, and pass if not.
 */
export function judgeEpoch(options: {
  readonly epoch: number;
  readonly records: readonly JudgedRecord[];
  readonly held?: readonly JudgedRecord[];
  readonly baseline: Baseline;
}): JudgedEpoch {
  const ids = new PartyNumbers();
  const judge = new EpochJudge(options.epoch, ids);
  const raw = new RawRecord();
  for (const record of options.records) {
    fillRaw(raw, record);
    judge.add(raw, ids.of(record));
  }
  judge.weigh(options.baseline);
  const verdicts = options.records.map(({ sessionId }, at) => judge.judge(at, sessionId));
  const held = options.held ?? [];
  const found = held.length === 0 ? new Map<string, number>() : judge.providerEvidence();
  return {
    verdicts,
    heldVerdicts: held.map(({ sessionId, provider }) =>
      heldVerdict(sessionId, found.get(provider) ?? 0),
    ),
    baseline: judge.next(),
  };
}

/** Evidence in the epoch after by which a held Record fails: as much as makes one lose its say. */
const heldFailsFrom = 1_000;

function heldVerdict(sessionId: Hex, score: number): Verdict {
  return score >= heldFailsFrom
    ? { sessionId, verdict: "fail", fault: "provider", score, reasons: ["earlier-epochs"] }
    : { sessionId, verdict: "pass", fault: "none", score, reasons: [] };
}

/** Numbers for names in the order in which they are first seen. */
class PartyNumbers {
  readonly #models = new Map<string, number>();
  readonly #providers = new Map<string, number>();
  readonly #hardware = new Map<string, number>();
  readonly #users = new Map<string, number>();
  readonly #names: { models: string[]; providers: string[]; hardware: string[] } = {
    models: [],
    providers: [],
    hardware: [],
  };

  of(record: JudgedRecord): { model: number; provider: number; hardware: number; user: number } {
    return {
      model: numberOf(this.#models, record.manifestDigest, this.#names.models),
      provider: numberOf(this.#providers, record.provider, this.#names.providers),
      hardware: numberOf(this.#hardware, record.hardwareClass, this.#names.hardware),
      user: numberOf(this.#users, record.user, undefined),
    };
  }

  modelOf(id: number): string {
    return this.#names.models[id] as string;
  }

  providerOf(id: number): string {
    return this.#names.providers[id] as string;
  }

  hardwareOf(id: number): string {
    return this.#names.hardware[id] as string;
  }
}

function numberOf(known: Map<string, number>, name: string, names: string[] | undefined): number {
  const number = known.get(name);
  if (number !== undefined) return number;
  const next = known.size;
  known.set(name, next);
  names?.push(name);
  return next;
}
