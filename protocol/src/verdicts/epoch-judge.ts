/*
 * Verdicts for one epoch: count every Record, weigh, then judge every Record. See
 * `docs/verdicts.md` for the method and its sources.
 *
 * The formula is verdict(e) = f(rules, the epoch's Records, baseline(e - 1)). The epoch's own
 * Records are read as well because pseudonyms do not link epochs: what a User did can be known
 * from no other epoch's Records.
 */
import { assert } from "../errors.ts";
import type { Baseline } from "./baseline.ts";
import { type EpochEvidence, lineTotal, weighEpoch } from "./epoch-evidence.ts";
import { EpochTally, type PartyIds } from "./epoch-tally.ts";
import type { RawRecord } from "./features.ts";
import { bit } from "./fixed-log.ts";
import type { LineKeys } from "./line-norms.ts";
import { nextBaseline } from "./next-baseline.ts";
import { RecordJudge } from "./record-judge.ts";
import type { Verdict } from "./verdict.ts";

/** The names behind a caller's numbers. */
export interface PartyNames {
  modelOf(id: number): string;
  providerOf(id: number): string;
  hardwareOf(id: number): string;
}

interface Weighed {
  readonly baseline: Baseline;
  readonly evidence: EpochEvidence;
  readonly judge: RecordJudge;
}

/** See the head of this file. */
export class EpochJudge {
  readonly #epoch: number;
  readonly #names: PartyNames;
  readonly #tally = new EpochTally();
  #weighed: Weighed | undefined;

  constructor(epoch: number, names: PartyNames) {
    this.#epoch = epoch;
    this.#names = names;
  }

  /** How many Records were added. */
  get size(): number {
    return this.#tally.size;
  }

  /** Counts a Record. */
  add(raw: RawRecord, ids: PartyIds): void {
    this.#tally.add(raw, ids);
  }

  /** Weighs what was counted, once, after the last Record and before the first verdict. */
  weigh(baseline: Baseline): void {
    const evidence = weighEpoch(this.#tally, this.#keys(), baseline);
    const before = new Map(baseline.providers.map((each) => [each.provider, each.suspicion]));
    const history = Float64Array.from(this.#providers(), (provider) =>
      Math.floor((Math.min(historyMax, before.get(provider) ?? 0) * bit) / 100),
    );
    const judge = new RecordJudge(this.#tally, evidence, history);
    this.#weighed = { baseline, evidence, judge };
  }

  /** The verdict on the Record that was added as number `record`. */
  judge(record: number, sessionId: string): Verdict {
    return this.#found().judge.judge(record, sessionId);
  }

  /** What the next epoch takes over. */
  next(): Baseline {
    const { evidence, baseline } = this.#found();
    const tally = this.#tally;
    const paired = new Float64Array(tally.lineCounts.length);
    evidence.pairings.forEach((found, pair) => {
      const line = tally.pairs.firsts[pair] as number;
      paired[line] = Math.max(paired[line] as number, found);
    });
    return nextBaseline({
      epoch: this.#epoch,
      before: baseline,
      evidence,
      providers: this.#providers(),
      paired,
    });
  }

  /** The strongest evidence against each Provider in this epoch, in hundredths of a bit. */
  providerEvidence(): Map<string, number> {
    const { evidence } = this.#found();
    const found = new Map<string, number>();
    this.#providers().forEach((provider, line) => {
      const hundredths = Math.floor((lineTotal(evidence, line) * 100) / bit);
      found.set(provider, Math.max(found.get(provider) ?? 0, hundredths));
    });
    return found;
  }

  #found(): Weighed {
    assert(this.#weighed !== undefined, "a verdict was asked for before the epoch was weighed");
    return this.#weighed;
  }

  #keys(): LineKeys[] {
    const { lines, services } = this.#tally;
    return this.#tally.lineCounts.map((_, line) => {
      const model = this.#names.modelOf(services.firsts[lines.firsts[line] as number] as number);
      const hardware = this.#names.hardwareOf(lines.seconds[line] as number);
      return {
        network: "network",
        model: `model:${model}`,
        hardware: `hardware:${hardware}`,
        both: `both:${model}|${hardware}`,
      };
    });
  }

  #providers(): string[] {
    const { lines, services } = this.#tally;
    return this.#tally.lineCounts.map((_, line) =>
      this.#names.providerOf(services.seconds[lines.firsts[line] as number] as number),
    );
  }
}

/** Hundredths of a bit that epochs before may add to a verdict. */
const historyMax = 600;
