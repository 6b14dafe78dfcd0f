/*
 * What the epoch's Records say against Users. Pseudonyms do not link epochs, so this is all that
 * can be known of a User. Two kinds: things that happen to it more often than to others at the
 * same Providers (it vanishes, leaves Sessions open, lets Tickets lapse), and flooding (far more
 * Sessions than others have, and hardly anything in them).
 */
import type { EpochTally } from "./epoch-tally.ts";
import { bucketBytes, counted } from "./epoch-tally.ts";
import { absent } from "./features.ts";
import { damped, surpriseEvidence } from "./fixed-log.ts";
import {
  type HappeningRates,
  lineRateWithout,
  pairCount,
  pairWeight,
  peerRate,
  userHappeningEvidence,
} from "./happening-rates.ts";
import { tailOffsets } from "./line-norms.ts";
import { logBucket } from "./log-bucket.ts";
import { evidenceMax, tails } from "./rules.ts";
import { TailCounts } from "./tail-surprise.ts";

/** Happenings that can be a User's doing, as places in {@link counted}. */
export const userColumns = (["failed", "lapsed", "abandoned", "unclosed", "unused"] as const).map(
  (name) => counted.indexOf(name),
);

/** Evidence by User and {@link userColumns}, in 1024ths of a bit. */
export function userHappenings(tally: EpochTally, rates: HappeningRates): Float64Array {
  const width = userColumns.length;
  const happened = new Float64Array(tally.users * width);
  const expected = new Float64Array(tally.users * width);
  const network = userColumns.map((column) => peerRate(rates, column, undefined));
  for (let pair = 0; pair < tally.pairs.size; pair += 1) {
    const user = tally.pairs.seconds[pair] as number;
    const line = tally.pairs.firsts[pair] as number;
    const records = tally.pairRecords[pair] as number;
    const weight = pairWeight(tally, pair);
    for (let index = 0; index < width; index += 1) {
      const column = userColumns[index] as number;
      const at = user * width + index;
      const count = tally.pairHappenings[pair * counted.length + column] as number;
      happened[at] = (happened[at] as number) + count;
      const own = count === 0 ? 0 : pairCount(tally, pair, column);
      const place = line * counted.length + column;
      const rate = lineRateWithout(rates, place, line, network[index] as number, weight, own);
      expected[at] = (expected[at] as number) + records * rate;
    }
  }
  const evidence = new Float64Array(tally.users * width);
  for (let at = 0; at < evidence.length; at += 1) {
    if (happened[at] === 0) continue;
    evidence[at] = userHappeningEvidence({
      happened: happened[at] as number,
      sessions: tally.userRecords[Math.floor(at / width)] as number,
      expected: expected[at] as number,
    });
  }
  return evidence;
}

/** Evidence by User that it floods, in 1024ths of a bit. */
export function floodEvidence(
  tally: EpochTally,
  surprisesOf: (line: number) => Uint16Array,
): Float64Array {
  const small = smallness(tally, surprisesOf);
  const among = new TailCounts();
  const bucketOf = (user: number): number => logBucket(tally.userRecords[user] as number, 2);
  for (let user = 0; user < tally.users; user += 1) {
    if ((tally.userRecords[user] as number) > 0) among.add(bucketOf(user));
  }
  among.close();
  const evidence = new Float64Array(tally.users);
  for (let user = 0; user < tally.users; user += 1) {
    const records = tally.userRecords[user] as number;
    if (records < floodRecordsMin) continue;
    const many = among.surpriseOf(bucketOf(user));
    const mean = Math.floor((small[user] as number) / records);
    const tiny = surpriseEvidence(mean, damped(records, smallRecordsMax));
    evidence[user] = Math.min(evidenceMax, Math.floor(Math.min(4 * many, tiny + many)));
  }
  return evidence;
}

const floodRecordsMin = 8;
const smallRecordsMax = 24;
const shortSessions = tails.findIndex(({ name }) => name === "short-sessions");
const shortAnswers = tails.findIndex(({ name }) => name === "short-answers");

/** Sum by User of how surprisingly small its Sessions are. */
function smallness(tally: EpochTally, surprisesOf: (line: number) => Uint16Array): Float64Array {
  const sums = new Float64Array(tally.users);
  const sessionsAt = tailOffsets[shortSessions] as number;
  const answersAt = tailOffsets[shortAnswers] as number;
  for (let record = 0; record < tally.size; record += 1) {
    const pair = tally.recordPair[record] as number;
    const surprises = surprisesOf(tally.pairs.firsts[pair] as number);
    const seconds = tally.recordBuckets[record * bucketBytes + 4] as number;
    const tokens = tally.recordBuckets[record * bucketBytes + 5] as number;
    // No seconds, no answer: as small as it gets.
    const short = surprises[sessionsAt + (seconds === absent ? 0 : seconds)] as number;
    const few = surprises[answersAt + (tokens === absent ? 0 : tokens)] as number;
    const user = tally.pairs.seconds[pair] as number;
    sums[user] = (sums[user] as number) + Math.floor((short + few) / 2);
  }
  return sums;
}
