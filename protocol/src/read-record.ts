/*
 * Reads one line of a Records file. The published file is read strictly: every field, nothing
 * else, in the closed grammar. The judge is asked about other people's files as well, so it also
 * takes names and digests of another shape (without blanks, of bounded length), wei as numbers,
 * and Records without `payees` and `signatures`, which it does not need.
 */
import { LakeError } from "./errors.ts";
import {
  type RecordField,
  type RecordFieldName,
  recordFieldNames,
  recordFields,
  recordParts,
} from "./record-fields.ts";
import { recordLimits } from "./record-limits.ts";
import type { SessionRecord } from "./record.ts";

/** A Record as far as the judge needs it. */
export type JudgedRecord = Omit<SessionRecord, "payees" | "signatures">;

/** Reads a published Record; throws `message-invalid` and names the field that is wrong. */
export function readRecord(value: unknown): SessionRecord {
  const record = asObject(value);
  requireFields(record, true);
  for (const name of recordFieldNames) checkStrict(name, recordFields[name], record[name]);
  checkPayees(record["payees"]);
  checkSignatures(record["signatures"]);
  checkTogether(record);
  return record as unknown as SessionRecord;
}

/** Reads a Record for judging; throws `message-invalid` and names the field that is wrong. */
export function readJudgedRecord(value: unknown): JudgedRecord {
  const record = asObject(value);
  requireFields(record, false);
  const read: Record<string, unknown> = {};
  for (const name of recordFieldNames) {
    read[name] = checkLenient(name, recordFields[name], record[name]);
  }
  checkTogether(read);
  return read as unknown as JudgedRecord;
}

/** What the judge takes for a name or digest: no blanks, so no sentence. */
export const lenientName = /^[A-Za-z0-9._:/@+-]{1,200}$/;

const optional = new Set(["payees", "signatures"]);
const known = new Set<string>([...recordFieldNames, ...optional]);

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong("a Record is a JSON object");
  }
  return value as Record<string, unknown>;
}

function requireFields(record: Record<string, unknown>, strict: boolean): void {
  for (const name of Object.keys(record)) {
    if (!known.has(name)) throw wrong(`${quoted(name)} is no field of a Record`);
  }
  for (const name of known) {
    if (!(name in record) && (strict || !optional.has(name))) throw wrong(`${name} is missing`);
  }
}

function checkStrict(name: string, field: RecordField, value: unknown): void {
  if (field.kind === "wei") {
    if (typeof value !== "string" || !recordParts.wei.test(value)) {
      throw wrong(`${name} is no decimal amount of wei`);
    }
    return;
  }
  checkLenient(name, field, value);
  if (field.kind === "integer" && (value as number) % (field.multipleOf ?? 1) !== 0) {
    throw wrong(`${name} is not rounded down to ${field.multipleOf ?? 1}`);
  }
  if (field.kind === "text" && value !== null && !field.pattern.test(value as string)) {
    throw wrong(`${name} has not the form that it must have`);
  }
}

function checkLenient(name: string, field: RecordField, value: unknown): unknown {
  switch (field.kind) {
    case "integer":
      if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= field.max) {
        return value;
      }
      throw wrong(`${name} is no whole number from 0 to ${field.max}`);
    case "text":
      if (value === null && field.nullable === true) return value;
      if (typeof value === "string" && lenientName.test(value)) return value;
      throw wrong(`${name} is no name or digest`);
    case "wei": {
      const decimal = Number.isSafeInteger(value) ? String(value) : value;
      if (typeof decimal === "string" && recordParts.wei.test(decimal)) return decimal;
      throw wrong(`${name} is no decimal amount of wei`);
    }
    case "word":
      if (typeof value === "string" && field.words.includes(value)) return value;
      throw wrong(`${name} is none of ${field.words.join(", ")}`);
  }
}

function checkTogether(record: Partial<Record<RecordFieldName, unknown>>): void {
  if ((record.challengesPassed as number) > (record.challengesAsked as number)) {
    throw wrong("challengesPassed is above challengesAsked");
  }
}

function checkPayees(value: unknown): void {
  if (!Array.isArray(value) || value.length > recordLimits.payeesMax) {
    throw wrong("payees is no short list");
  }
  for (const payee of value as unknown[]) {
    const { account, kind, weiPerSecond, ...rest } = asObject(payee);
    const right =
      matches(account, recordParts.account) &&
      matches(weiPerSecond, recordParts.wei) &&
      (kind === 0 || kind === 1 || kind === 2) &&
      Object.keys(rest).length === 0;
    if (!right) throw wrong("payees holds something that is no payee");
  }
}

function checkSignatures(value: unknown): void {
  const { user, provider, tickSeconds, activeMs, ...rest } = asObject(value);
  const right =
    (user === null || matches(user, recordParts.signature)) &&
    (provider === null || matches(provider, recordParts.signature)) &&
    isCount(tickSeconds, recordLimits.secondsMax) &&
    isCount(activeMs, recordLimits.activeMsMax) &&
    Object.keys(rest).length === 0;
  if (!right) throw wrong("signatures holds something that is no signature of a Tick");
}

function matches(value: unknown, pattern: RegExp): boolean {
  return typeof value === "string" && pattern.test(value);
}

function isCount(value: unknown, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 40));
}

function wrong(what: string): LakeError {
  return new LakeError("message-invalid", `Not a Record: ${what}.`);
}
