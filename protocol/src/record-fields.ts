/*
 * The closed grammar of each field of a Record. One table gives the JSON schema, the strict reader
 * of published files and the lenient one of the judge, so that the three cannot drift apart.
 *
 * No field can hold a sentence: texts are hexadecimal digests, names of the Model Registry, slugs
 * of short words, or one of a few words. That is how no prompt, answer or address gets in.
 */
import { closeReasons, parties } from "./messages.ts";
import { recordLimits } from "./record-limits.ts";

/** What one field of a Record may be. */
export type RecordField =
  | { readonly kind: "integer"; readonly max: number; readonly multipleOf?: number }
  | { readonly kind: "text"; readonly pattern: RegExp; readonly nullable?: boolean }
  /** A decimal string of wei. */
  | { readonly kind: "wei" }
  | { readonly kind: "word"; readonly words: readonly string[] };

const integer = (max: number): RecordField => ({ kind: "integer", max });
const text = (pattern: RegExp): RecordField => ({ kind: "text", pattern });
const digest = text(/^0x[0-9a-f]{64}$/);
const account = text(/^0x[0-9a-f]{40}$/);
const part = "[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?";

/** The fields of a Record but `payees` and `signatures`, in the order of the documentation. */
export const recordFields = {
  sessionId: digest,
  epoch: integer(recordLimits.epochMax),
  model: text(new RegExp(`^${part}/${part}:${part}$`)),
  manifestDigest: digest,
  provider: account,
  builder: { kind: "text", pattern: /^0x[0-9a-f]{40}$/, nullable: true },
  router: account,
  user: digest,
  openedAt: { kind: "integer", max: recordLimits.openedAtMax, multipleOf: 60_000 },
  seconds: integer(recordLimits.secondsMax),
  tokens: integer(recordLimits.tokensMax),
  requestsAnswered: integer(recordLimits.requestsMax),
  requestsFailed: integer(recordLimits.requestsMax),
  ttftMs: integer(recordLimits.ttftMsMax),
  milliTps: integer(recordLimits.milliTpsMax),
  offeredMilliTps: integer(recordLimits.milliTpsMax),
  weiPerSecond: { kind: "wei" },
  builderWeiPerSecond: { kind: "wei" },
  fundedBy: { kind: "word", words: ["allowance", "deposit", "both"] },
  endedBy: { kind: "word", words: parties },
  endReason: { kind: "word", words: closeReasons },
  // Words of at most 16 characters: neither an address nor an IP fits.
  hardwareClass: text(/^[A-Za-z0-9]{1,16}(?:[-_+][A-Za-z0-9]{1,16}){0,7}$/),
  challengesAsked: integer(recordLimits.challengesMax),
  challengesPassed: integer(recordLimits.challengesMax),
} as const satisfies Readonly<Record<string, RecordField>>;

/** The name of a field that {@link recordFields} describes. */
export type RecordFieldName = keyof typeof recordFields;

/** The names of {@link recordFields} in order. */
export const recordFieldNames = Object.keys(recordFields) as readonly RecordFieldName[];

/** What a Record's `payees` and `signatures` are made of. */
export const recordParts = {
  account: /^0x[0-9a-f]{40}$/,
  signature: /^0x[0-9a-f]{130}$/,
  wei: /^(?:0|[1-9][0-9]{0,25})$/,
} as const;

/** The JSON schema (draft 2020-12) of one line of a Records file. */
export function recordJsonSchema(): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  for (const name of recordFieldNames) properties[name] = schemaOf(recordFields[name]);
  const count = (maximum: number): object => ({ type: "integer", minimum: 0, maximum });
  const signature = { type: ["string", "null"], pattern: recordParts.signature.source };
  const payee = {
    account: { type: "string", pattern: recordParts.account.source },
    kind: count(2),
    weiPerSecond: { type: "string", pattern: recordParts.wei.source },
  };
  properties["payees"] = {
    type: "array",
    maxItems: recordLimits.payeesMax,
    items: closed(payee),
  };
  properties["signatures"] = closed({
    user: signature,
    provider: signature,
    tickSeconds: count(recordLimits.secondsMax),
    activeMs: count(recordLimits.activeMsMax),
  });
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "A Record of Lake Travis: what the public sees of a Session",
    ...closed(properties),
  };
}

function closed(properties: Record<string, unknown>): object {
  return {
    type: "object",
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}

function schemaOf(field: RecordField): object {
  switch (field.kind) {
    case "integer": {
      const { multipleOf } = field;
      const steps = multipleOf === undefined ? {} : { multipleOf };
      return { type: "integer", minimum: 0, maximum: field.max, ...steps };
    }
    case "text": {
      const type = field.nullable === true ? ["string", "null"] : "string";
      return { type, pattern: field.pattern.source };
    }
    case "wei":
      return { type: "string", pattern: recordParts.wei.source };
    case "word":
      return { enum: field.words };
  }
}
