/*
 * The second pass: what a Record itself shows, put together with what its parties' Records show.
 *
 * Each kind of evidence gives a party's part, scaled by how far this Record bears it out, and a
 * part of its own that is bounded: what one Record shows alone never fails it, however odd. The
 * strongest kind counts whole, the second half.
 */
import type { EpochEvidence } from "./epoch-evidence.ts";
import { bucketBytes, counted, type EpochTally } from "./epoch-tally.ts";
import { absent, happenings } from "./features.ts";
import { bit } from "./fixed-log.ts";
import { tailOffsets } from "./line-norms.ts";
import { tails, thresholds } from "./rules.ts";
import { userColumns } from "./user-evidence.ts";
import { type Reason, reasons, type Verdict } from "./verdict.ts";

/** Judges the Records of one epoch, one by one, after everything has been weighed. */
export class RecordJudge {
  readonly #tally: EpochTally;
  readonly #evidence: EpochEvidence;
  /** What epochs before hold against each line's Provider, in 1024ths of a bit. */
  readonly #history: Float64Array;
  readonly #provider = new Strongest();
  readonly #user = new Strongest();

  constructor(tally: EpochTally, evidence: EpochEvidence, history: Float64Array) {
    this.#tally = tally;
    this.#evidence = evidence;
    this.#history = history;
  }

  /** The verdict on the Record that was added as number `record`. */
  judge(record: number, sessionId: string): Verdict {
    const { pairs, recordPair, recordBits } = this.#tally;
    const pair = recordPair[record] as number;
    const line = pairs.firsts[pair] as number;
    const user = pairs.seconds[pair] as number;
    const bits = recordBits[record] as number;
    this.#provider.clear();
    this.#user.clear();
    this.#weighTails(record, line);
    this.#weighHappenings(bits, line);
    this.#weighUser(bits, user, line);
    this.#provider.take(washPairing, this.#evidence.pairings[pair] as number);
    const history = this.#history[line] as number;
    // Old suspicion adds to new one; alone it accuses nobody.
    const before = Math.min(history, this.#provider.total());
    return this.#conclude(sessionId, before);
  }

  #weighTails(record: number, line: number): void {
    const surprises = this.#evidence.surprises[line] as Uint16Array;
    const buckets = this.#tally.recordBuckets;
    for (let index = 0; index < tails.length; index += 1) {
      const { feature, records } = tails[index] as (typeof tails)[number];
      const bucket = buckets[record * bucketBytes + feature] as number;
      if (bucket === absent || records === 0) continue;
      const own = surprises[(tailOffsets[index] as number) + bucket] as number;
      const party = this.#evidence.lineTails[line * tails.length + index] as number;
      this.#provider.take(index, party * borneOut(own) + Math.min(own, ownMax));
    }
  }

  #weighHappenings(bits: number, line: number): void {
    const { lineHappenings, happeningSurprises } = this.#evidence;
    for (let column = 0; column < counted.length; column += 1) {
      const at = line * counted.length + column;
      const party = lineHappenings[at] as number;
      const name = counted[column] as (typeof counted)[number];
      const seen = (bits & happenings[name]) !== 0;
      const reason = happeningReasons + column;
      if (seen) {
        const own = usersOwn.has(column) ? 0 : (happeningSurprises[at] as number);
        this.#provider.take(reason, party + Math.min(own, seenMax));
      } else this.#provider.take(reason, party * (unseenShare[name] / 8));
    }
  }

  #weighUser(bits: number, user: number, line: number): void {
    const { userHappenings, happeningSurprises, floods } = this.#evidence;
    for (let index = 0; index < userColumns.length; index += 1) {
      const column = userColumns[index] as number;
      const party = userHappenings[user * userColumns.length + index] as number;
      const seen = (bits & happenings[counted[column] as (typeof counted)[number]]) !== 0;
      const own = happeningSurprises[line * counted.length + column] as number;
      const mine = usersOwn.has(column) ? own : 0;
      this.#user.take(
        happeningReasons + column,
        seen ? party + Math.min(mine, seenMax) : party / 4,
      );
    }
    this.#user.take(flooding, floods[user] as number);
  }

  #conclude(sessionId: string, history: number): Verdict {
    const byProvider = this.#provider.total() + history;
    const byUser = this.#user.total();
    const most = Math.max(byProvider, byUser);
    const score = Math.floor((most * 100) / bit);
    const word = most >= thresholds.fail ? "fail" : most >= thresholds.review ? "review" : "pass";
    if (word === "pass") return { sessionId, verdict: word, fault: "none", score, reasons: [] };
    const side = byProvider >= byUser ? this.#provider : this.#user;
    const found = side.reasons();
    if (side === this.#provider && history >= bit) found.push("earlier-epochs");
    const fault = side === this.#provider ? "provider" : "user";
    return { sessionId, verdict: word, fault, score, reasons: found };
  }
}

/** What one Record may add by itself. */
const ownMax = 5 * bit;
const seenMax = 7 * bit;

const happeningReasons = tails.length;
const flooding = reasons.indexOf("flooding");
const washPairing = reasons.indexOf("wash-pairing");
/** Evidence below this is no reason. */
const reasonMin = 3 * bit;

/** Happenings that are the User's own doing as far as one Record shows. */
const usersOwn = new Set(
  (["lapsed", "abandoned", "unclosed", "unused"] as const).map((name) => counted.indexOf(name)),
);

/** Eighths of a line's evidence that fall on a Record in which it did not happen. */
const unseenShare = {
  empty: 2,
  gone: 3,
  failed: 3,
  lapsed: 2,
  abandoned: 1,
  unclosed: 1,
  unproven: 6,
  unused: 1,
} as const;

/** How far a Record bears out what its line is suspected of: from a quarter to all of it. */
function borneOut(own: number): number {
  if (own >= 2 * bit) return 1;
  if (own >= bit) return 0.75;
  return own >= bit / 2 ? 0.5 : 0.25;
}

/** The kinds of evidence of one side, and the two strongest. */
class Strongest {
  readonly #kinds = new Float64Array(reasons.length);
  #best = 0;
  #second = 0;
  #bestReason = -1;

  clear(): void {
    if (this.#bestReason < 0) return;
    this.#kinds.fill(0);
    this.#best = 0;
    this.#second = 0;
    this.#bestReason = -1;
  }

  take(reason: number, evidence: number): void {
    if (evidence <= (this.#kinds[reason] as number)) return;
    this.#kinds[reason] = evidence;
    if (reason === this.#bestReason) this.#best = Math.max(this.#best, evidence);
    else if (evidence > this.#best) {
      this.#second = this.#best;
      this.#best = evidence;
      this.#bestReason = reason;
    } else if (evidence > this.#second) this.#second = evidence;
  }

  total(): number {
    return Math.floor(this.#best + this.#second / 2);
  }

  reasons(): Reason[] {
    return reasons.filter((_, index) => (this.#kinds[index] as number) >= reasonMin);
  }
}
