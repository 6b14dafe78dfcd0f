/*
 * Reads lines of a Records file as bytes, some ten times as fast as JSON.parse and a check of the
 * result: a file's lines nearly always have the same fields in the same order with the same blanks
 * between them. That order is learnt from a line that was read the slow way; a line that differs in
 * anything is left to the slow way again, which alone decides what is wrong with it. Both ways give
 * the same figures (a property test holds them equal).
 */
import { ByteNames, hashName, hashSeed, hashStep, sameBytes } from "./byte-names.ts";
import {
  type RecordField,
  type RecordFieldName,
  recordFieldNames,
  recordFields,
} from "./record-fields.ts";
import { type JudgedRecord, lenientName } from "./read-record.ts";
import { fillRaw, priceBucketFrom, RawRecord } from "./verdicts/features.ts";
import type { PartyIds } from "./verdicts/epoch-tally.ts";
import { verdictLimits } from "./verdicts/limits.ts";

/** See the head of this file. */
export class RecordScanner {
  /** What the last line said. */
  readonly raw = new RawRecord();
  readonly ids: PartyIds = { model: 0, provider: 0, hardware: 0, user: 0 };
  epoch = 0;
  openedAt = 0;
  /** Where its sessionId stands in the bytes that were scanned, and two hashes of it. */
  sessionFrom = 0;
  sessionTo = 0;
  sessionHash = 0;
  sessionCheck = 0;

  readonly models = new ByteNames(verdictLimits.namesMax);
  readonly providers = new ByteNames(verdictLimits.namesMax);
  readonly hardware = new ByteNames(verdictLimits.namesMax);
  readonly users = new ByteNames(verdictLimits.namesMax);

  #view: DataView = new DataView(new ArrayBuffer(0));
  #template: readonly Step[] = [];
  #end: Uint8Array = new Uint8Array(0);
  readonly #numbers = new Float64Array(recordFieldNames.length);
  readonly #hashes = new Int32Array(recordFieldNames.length);
  readonly #from = new Uint32Array(recordFieldNames.length);
  readonly #to = new Uint32Array(recordFieldNames.length);
  readonly #wei = new Float64Array(4);
  #built = false;

  /** Learns the order of fields from a line that is a right Record. */
  learn(line: string): void {
    const learnt = templateOf(line);
    this.#template = learnt.steps;
    this.#end = learnt.end;
  }

  /** Reads a line; false where it does not fit what was learnt and must be read the slow way. */
  scan(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.#template.length === 0) return false;
    if (this.#view.buffer !== bytes.buffer || this.#view.byteOffset !== bytes.byteOffset) {
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    let at = from;
    for (const step of this.#template) {
      const { length } = step.before;
      // So that no value of this line is looked for behind its end.
      if (at + length >= to) return false;
      if (!sameBytes(this.#view, at, step.beforeView, 0, length)) return false;
      at += length;
      at = this.#value(step, bytes, at);
      if (at < 0 || at > to) return false;
    }
    at = literal(bytes, at, this.#end);
    if (at !== to) return false;
    return this.#finish();
  }

  /** Takes a Record that was read the slow way, as if its bytes had been scanned. */
  take(record: JudgedRecord): void {
    fillRaw(this.raw, record);
    this.epoch = record.epoch;
    this.openedAt = record.openedAt;
    this.ids.model = numberOf(this.models, record.manifestDigest);
    this.ids.provider = numberOf(this.providers, record.provider);
    this.ids.hardware = numberOf(this.hardware, record.hardwareClass);
    this.ids.user = numberOf(this.users, record.user);
    const session = asciiBytes(record.sessionId);
    const view = new DataView(session.buffer);
    this.#hashSession(view, 0, session.length, hashName(view, 0, session.length));
  }

  #value(step: Step, bytes: Uint8Array, at: number): number {
    switch (step.kind) {
      case "integer":
        return this.#integer(step, bytes, at);
      case "text":
        return this.#text(step, bytes, at);
      case "wei":
        return this.#amount(step, bytes, at);
      case "word":
        return this.#word(step, bytes, at);
      case "skip":
        return skipJson(bytes, at, 0);
    }
  }

  #integer(step: Step, bytes: Uint8Array, from: number): number {
    let at = from;
    let value = 0;
    for (let byte = bytes[at]; isDigit(byte); byte = bytes[at]) {
      value = value * 10 + (byte - 48);
      at += 1;
    }
    const digits = at - from;
    if (digits === 0 || digits > 15 || (digits > 1 && bytes[from] === 48)) return -1;
    if (value > step.max) return -1;
    this.#numbers[step.field] = value;
    return at;
  }

  #text(step: Step, bytes: Uint8Array, from: number): number {
    if (step.nullable && bytes[from] === 110) {
      this.#built = false;
      return literal(bytes, from, nullBytes);
    }
    if (bytes[from] !== 34) return -1;
    const view = this.#view;
    let at = from + 1;
    let hash = hashSeed;
    // No line ends before its bytes do, so two may always be read.
    for (let pair = view.getUint16(at, true); namePairs[pair] === 1;) {
      hash = hashStep(hash, pair);
      at += 2;
      pair = view.getUint16(at, true);
    }
    const odd = bytes[at] as number;
    if (namePairs[odd | (firstName << 8)] === 1) {
      hash = hashStep(hash, odd);
      at += 1;
    }
    const length = at - from - 1;
    if (bytes[at] !== 34 || length === 0 || length > 200) return -1;
    this.#hashes[step.field] = hash;
    this.#from[step.field] = from + 1;
    this.#to[step.field] = at;
    if (step.nullable) this.#built = true;
    return at + 1;
  }

  /** Decimal wei as two limbs of 13 digits, so that sums are exact. */
  #amount(step: Step, bytes: Uint8Array, from: number): number {
    if (bytes[from] !== 34) return -1;
    let at = from + 1;
    while (isDigit(bytes[at])) at += 1;
    const digits = at - from - 1;
    if (bytes[at] !== 34 || digits === 0 || digits > 26) return -1;
    if (digits > 1 && bytes[from + 1] === 48) return -1;
    const middle = Math.max(from + 1, at - 13);
    this.#wei[step.limb] = decimal(bytes, from + 1, middle);
    this.#wei[step.limb + 1] = decimal(bytes, middle, at);
    return at + 1;
  }

  #word(step: Step, bytes: Uint8Array, at: number): number {
    if (bytes[at] !== 34) return -1;
    for (let index = 0; index < step.words.length; index += 1) {
      const word = step.words[index] as Uint8Array;
      if (bytes[at + 1 + word.length] !== 34) continue;
      const end = literal(bytes, at + 1, word);
      if (end < 0) continue;
      this.#numbers[step.field] = index;
      return end + 1;
    }
    return -1;
  }

  #finish(): boolean {
    const { raw } = this;
    const numbers = this.#numbers;
    raw.asked = numbers[fieldAt.challengesAsked] as number;
    raw.passed = numbers[fieldAt.challengesPassed] as number;
    if (raw.passed > raw.asked) return false;
    raw.seconds = numbers[fieldAt.seconds] as number;
    raw.tokens = numbers[fieldAt.tokens] as number;
    raw.answered = numbers[fieldAt.requestsAnswered] as number;
    raw.failed = numbers[fieldAt.requestsFailed] as number;
    raw.ttftMs = numbers[fieldAt.ttftMs] as number;
    raw.milliTps = numbers[fieldAt.milliTps] as number;
    raw.offeredMilliTps = numbers[fieldAt.offeredMilliTps] as number;
    raw.endedBy = numbers[fieldAt.endedBy] as number;
    raw.endReason = numbers[fieldAt.endReason] as number;
    raw.fundedBy = numbers[fieldAt.fundedBy] as number;
    raw.built = this.#built;
    raw.priceBucket = sumBucket(this.#wei);
    this.epoch = numbers[fieldAt.epoch] as number;
    this.openedAt = numbers[fieldAt.openedAt] as number;
    this.ids.model = this.#named(this.models, fieldAt.manifestDigest);
    this.ids.provider = this.#named(this.providers, fieldAt.provider);
    this.ids.hardware = this.#named(this.hardware, fieldAt.hardwareClass);
    this.ids.user = this.#named(this.users, fieldAt.user);
    const session = fieldAt.sessionId;
    const hash = (this.#hashes[session] as number) >>> 0;
    const [from, to] = [this.#from[session] as number, this.#to[session] as number];
    this.#hashSession(this.#view, from, to, hash);
    return true;
  }

  #named(names: ByteNames, field: number): number {
    const hash = (this.#hashes[field] as number) >>> 0;
    return names.idOf(this.#view, this.#from[field] as number, this.#to[field] as number, hash);
  }

  #hashSession(bytes: DataView, from: number, to: number, hash: number): void {
    let check = 0;
    for (let place = from; place + 1 < to; place += 2) {
      check = Math.imul(check ^ bytes.getUint16(place, true), 0x9e3779b1) ^ (check >>> 15);
    }
    this.sessionFrom = from;
    this.sessionTo = to;
    this.sessionHash = hash;
    this.sessionCheck = check >>> 0;
  }
}

interface Step {
  readonly kind: RecordField["kind"] | "skip";
  /** Place in `recordFieldNames`; -1 for what is skipped. */
  readonly field: number;
  /** The bytes before the value: separator, name and colon. */
  readonly before: Uint8Array;
  readonly beforeView: DataView;
  readonly max: number;
  readonly nullable: boolean;
  readonly words: readonly Uint8Array[];
  /** Where its limbs are. */
  readonly limb: number;
}

const fieldAt = Object.fromEntries(
  recordFieldNames.map((name, index) => [name, index]),
) as Readonly<Record<RecordFieldName, number>>;

const nullBytes = asciiBytes("null");
/** Which pairs of bytes may stand in a name. */
const namePairs = new Uint8Array(65_536);
const firstName = 48;
{
  const isName = (byte: number): boolean => lenientName.test(String.fromCharCode(byte));
  const names = Array.from({ length: 128 }, (_, byte) => byte).filter(isName);
  for (const first of names) for (const second of names) namePairs[first | (second << 8)] = 1;
}

/** The fields of a line in their order, with the bytes between them. */
function templateOf(line: string): { readonly steps: readonly Step[]; readonly end: Uint8Array } {
  const bytes = asciiBytes(line);
  const steps: Step[] = [];
  let from = 0;
  for (const name of Object.keys(JSON.parse(line) as object)) {
    const marker = `"${name}"`;
    let value = line.indexOf(marker, from) + marker.length;
    while (bytes[value] === 58 || isBlank(bytes[value])) value += 1;
    // Anything else between two values, such as a field that is there twice, is not to be learnt.
    const plain = /^[{,] *"[A-Za-z]+" *: *$/.test(line.slice(from, value));
    steps.push(stepOf(name, bytes.slice(from, value)));
    from = plain ? skipJson(bytes, value, 0) : -1;
    if (from < 0) return { steps: [], end: bytes };
  }
  return { steps, end: bytes.slice(from) };
}

function stepOf(name: string, before: Uint8Array): Step {
  const field = recordFieldNames.indexOf(name as RecordFieldName);
  const known: RecordField | undefined = recordFields[name as RecordFieldName];
  return {
    kind: known?.kind ?? "skip",
    field,
    before,
    beforeView: new DataView(before.buffer, before.byteOffset, before.length),
    max: known?.kind === "integer" ? known.max : 0,
    nullable: known?.kind === "text" && known.nullable === true,
    words: known?.kind === "word" ? known.words.map(asciiBytes) : [],
    limb: name === "weiPerSecond" ? 0 : 2,
  };
}

/** The place behind `expected` where the bytes are that; -1 where they are not. */
function literal(bytes: Uint8Array, from: number, expected: Uint8Array): number {
  for (let index = 0; index < expected.length; index += 1) {
    if (bytes[from + index] !== expected[index]) return -1;
  }
  return from + expected.length;
}

const depthMax = 4;

/** The place behind a JSON value; -1 where there is none or where it holds an escape. */
function skipJson(bytes: Uint8Array, from: number, depth: number): number {
  const first = bytes[from];
  if (first === 34) {
    let place = from + 1;
    for (let byte = bytes[place]; byte !== undefined && byte !== 34; byte = bytes[place]) {
      if (byte < 32 || byte > 126 || byte === 92) return -1;
      place += 1;
    }
    return bytes[place] === 34 ? place + 1 : -1;
  }
  if (first === 123 || first === 91) return skipList(bytes, from, depth);
  if (first === 110) return literal(bytes, from, nullBytes);
  let place = from;
  while (isDigit(bytes[place])) place += 1;
  const leading = bytes[from] === 48 && place - from > 1;
  return place === from || leading ? -1 : place;
}

function skipList(bytes: Uint8Array, from: number, depth: number): number {
  if (depth === depthMax) return -1;
  const isObject = bytes[from] === 123;
  const close = isObject ? 125 : 93;
  let place = skipBlanks(bytes, from + 1);
  if (bytes[place] === close) return place + 1;
  for (;;) {
    if (isObject) {
      if (bytes[place] !== 34) return -1;
      place = skipJson(bytes, place, depth);
      if (place < 0) return -1;
      place = skipBlanks(bytes, place);
      if (bytes[place] !== 58) return -1;
      place = skipBlanks(bytes, place + 1);
    }
    place = skipJson(bytes, place, depth + 1);
    if (place < 0) return -1;
    place = skipBlanks(bytes, place);
    if (bytes[place] === close) return place + 1;
    if (bytes[place] !== 44) return -1;
    place = skipBlanks(bytes, place + 1);
  }
}

function skipBlanks(bytes: Uint8Array, from: number): number {
  let place = from;
  while (isBlank(bytes[place])) place += 1;
  return place;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 32;
}

function isDigit(byte: number | undefined): byte is number {
  return byte !== undefined && byte >= 48 && byte <= 57;
}

function decimal(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let place = from; place < to; place += 1)
    value = value * 10 + ((bytes[place] as number) - 48);
  return value;
}

const limbBase = 10_000_000_000_000;

/** The price bucket of two amounts together. */
function sumBucket(wei: Float64Array): number {
  let low = (wei[1] as number) + (wei[3] as number);
  let high = (wei[0] as number) + (wei[2] as number);
  if (low >= limbBase) {
    low -= limbBase;
    high += 1;
  }
  const head = high > 0 ? high : low;
  if (head === 0) return 0;
  let digits = 0;
  let lead = head;
  for (let rest = head; rest >= 1; rest = Math.floor(rest / 10)) {
    digits += 1;
    if (rest < 1000 && lead >= 1000) lead = rest;
  }
  if (high === 0) {
    while (lead < 100) lead *= 10;
    return priceBucketFrom(digits, lead);
  }
  const missing = Math.max(0, 3 - digits);
  lead = lead * 10 ** missing + Math.floor(low / 10 ** (13 - missing));
  return priceBucketFrom(digits + 13, lead);
}

function numberOf(names: ByteNames, name: string): number {
  const bytes = asciiBytes(name);
  const view = new DataView(bytes.buffer);
  return names.idOf(view, 0, bytes.length, hashName(view, 0, bytes.length));
}

function asciiBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place += 1) bytes[place] = text.charCodeAt(place);
  return bytes;
}
