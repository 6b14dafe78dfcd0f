/*
 * The first pass over an epoch's Records: who met whom, and how often each figure fell into which
 * bucket, by line. A line is one Provider's service of one model on one class of hardware. All of
 * it are sums, so the order of Records does not matter.
 */
import { limits } from "../limits.ts";
import {
  absent,
  countsLength,
  featureOffsets,
  happenings,
  happeningsOf,
  type RawRecord,
  writeBuckets,
} from "./features.ts";
import { grown, PairTable } from "./id-table.ts";
import { verdictLimits } from "./limits.ts";

/** The parties of one Record as dense numbers of the caller's own. */
export interface PartyIds {
  model: number;
  provider: number;
  hardware: number;
  user: number;
}

/** What happens in Sessions and is counted by pair, in the order of the pairs' columns. */
export const counted = [
  "empty",
  "gone",
  "failed",
  "lapsed",
  "abandoned",
  "unclosed",
  "unproven",
  "unused",
] as const;

const masks = counted.map((name) => happenings[name]);

/** See the head of this file. */
export class EpochTally {
  /** (model, Provider), then (that, hardware): the second is the line. */
  readonly services = new PairTable(verdictLimits.linesMax);
  readonly lines = new PairTable(verdictLimits.linesMax);
  /** (line, User) and (model, User). */
  readonly pairs = new PairTable(verdictLimits.pairsMax);
  readonly customs = new PairTable(verdictLimits.pairsMax);

  readonly lineCounts: Uint32Array[] = [];
  lineRecords = new Uint32Array(1024);
  lineSeconds = new Float64Array(1024);
  lineAllowance = new Uint32Array(1024);

  pairRecords = new Uint32Array(1024);
  pairSeconds = new Float64Array(1024);
  /** Two bytes per pair and {@link counted}; what is full stays full. */
  pairHappenings = new Uint16Array(1024 * counted.length);

  customRecords = new Uint32Array(1024);
  userRecords = new Uint32Array(1024);
  userSeconds = new Float64Array(1024);
  /** One more than the highest User's number. */
  users = 0;

  /** Of each Record: its pair, its happenings, its failed challenges' and buckets' bytes. */
  size = 0;
  recordPair = new Uint32Array(1024);
  recordBits = new Uint32Array(1024);
  recordBuckets = new Uint8Array(1024 * bucketBytes);

  /** Counts one Record. */
  add(raw: RawRecord, ids: PartyIds): void {
    const line = this.lines.idOf(this.services.idOf(ids.model, ids.provider), ids.hardware);
    const pair = this.pairs.idOf(line, ids.user);
    const custom = this.customs.idOf(ids.model, ids.user);
    this.#makeRoom(line, pair, custom, ids.user);
    const at = this.size;
    const bits = happeningsOf(raw);
    this.recordPair[at] = pair;
    this.recordBits[at] = bits;
    writeBuckets(raw, this.recordBuckets, at * bucketBytes);
    this.#countBuckets(line, at * bucketBytes);
    this.size += 1;
    const seconds = Math.min(raw.seconds, limits.sessionSecondsMax);
    increment(this.lineRecords, line);
    this.lineSeconds[line] = (this.lineSeconds[line] as number) + seconds;
    if ((bits & happenings.allowance) !== 0) increment(this.lineAllowance, line);
    increment(this.pairRecords, pair);
    this.pairSeconds[pair] = (this.pairSeconds[pair] as number) + seconds;
    this.#countHappenings(pair, bits);
    increment(this.customRecords, custom);
    increment(this.userRecords, ids.user);
    this.userSeconds[ids.user] = (this.userSeconds[ids.user] as number) + seconds;
  }

  #countBuckets(line: number, offset: number): void {
    const counts = this.lineCounts[line] as Uint32Array;
    for (let feature = 0; feature < bucketBytes; feature += 1) {
      const bucket = this.recordBuckets[offset + feature] as number;
      if (bucket !== absent) increment(counts, (featureOffsets[feature] as number) + bucket);
    }
  }

  #countHappenings(pair: number, bits: number): void {
    for (let column = 0; column < masks.length; column += 1) {
      if ((bits & (masks[column] as number)) === 0) continue;
      const at = pair * masks.length + column;
      const count = this.pairHappenings[at] as number;
      if (count < 65_535) this.pairHappenings[at] = count + 1;
    }
  }

  #makeRoom(line: number, pair: number, custom: number, user: number): void {
    if (this.size === this.recordPair.length) {
      this.recordPair = grown(this.recordPair);
      this.recordBits = grown(this.recordBits);
      this.recordBuckets = grown(this.recordBuckets);
    }
    if (line === this.lineCounts.length) this.lineCounts.push(new Uint32Array(countsLength));
    if (line >= this.lineRecords.length) {
      this.lineRecords = grown(this.lineRecords);
      this.lineSeconds = grown(this.lineSeconds);
      this.lineAllowance = grown(this.lineAllowance);
    }
    if (pair >= this.pairRecords.length) {
      this.pairRecords = grown(this.pairRecords);
      this.pairSeconds = grown(this.pairSeconds);
      this.pairHappenings = grown(this.pairHappenings);
    }
    if (custom >= this.customRecords.length) this.customRecords = grown(this.customRecords);
    while (user >= this.userRecords.length) {
      this.userRecords = grown(this.userRecords);
      this.userSeconds = grown(this.userSeconds);
    }
    this.users = Math.max(this.users, user + 1);
  }
}

/** Bytes of buckets per Record: one per figure. */
export const bucketBytes = featureOffsets.length;

function increment(array: Uint32Array, at: number): void {
  array[at] = (array[at] as number) + 1;
}
