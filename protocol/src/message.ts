/*
 * One table per message gives its EIP-712 type string, its digest, its JSON form and the check of
 * what arrives from outside, so that the four cannot drift apart.
 *
 * Method: the encoder writes each field into one 32-byte word of a fixed layout, as EIP-712 says
 * (https://eips.ethereum.org/EIPS/eip-712), and hashes once. A library that interprets the type
 * tree at each call takes some fifty times as long; it is the oracle of the differential test.
 */
import { LakeError } from "./errors.ts";
import { type Address, type Hex, isHex, writeHex } from "./hex.ts";
import { keccak256 } from "./keccak.ts";

/** What one field of a message may be. Integers up to 64 bits are numbers, wider ones bigints. */
export type Field =
  | "address"
  | "bytes32"
  | "uint8"
  | "uint32"
  | "uint64"
  | "uint256"
  | { readonly textMax: number }
  | { readonly list: MessageType<Fields>; readonly lengthMax: number }
  | { readonly struct: MessageType<Fields> };

/** The fields of a message in the order of its type string. */
export interface Fields {
  readonly [name: string]: Field;
}

type ValueOf<F> = F extends "address"
  ? Address
  : F extends "bytes32"
    ? Hex
    : F extends "uint256"
      ? bigint
      : F extends "uint8" | "uint32" | "uint64"
        ? number
        : F extends { readonly textMax: number }
          ? string
          : F extends { readonly list: MessageType<infer I> }
            ? readonly ValuesOf<I>[]
            : F extends { readonly struct: MessageType<infer I> }
              ? ValuesOf<I>
              : never;

/** The values that a table of fields describes. */
export type ValuesOf<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> };

/** The TypeScript type of the messages of a {@link MessageType}. */
export type MessageOf<T> = T extends MessageType<infer F> ? ValuesOf<F> : never;

/** One kind of message: its name, its fields and its type hash. */
export interface MessageType<F extends Fields> {
  readonly name: string;
  readonly fields: F;
  /** `Name(type field,...)` with referenced types behind it, as EIP-712's encodeType. */
  readonly typeString: string;
  readonly typeHash: Uint8Array;
  /** The fields as a list, since every message walks through them several times. */
  readonly entries: readonly (readonly [string, Field])[];
}

/** A message with the signature over its EIP-712 digest (65 bytes r, s, v with low s). */
export interface Signed<M> {
  readonly message: M;
  readonly signature: Hex;
}

/** Describes one kind of message from its table of fields. */
export function defineMessage<const F extends Fields>(name: string, fields: F): MessageType<F> {
  const typeString = ownTypeString(name, fields) + referencedTypeStrings(fields);
  const typeHash = keccak256(utf8(typeString));
  return { name, fields, typeString, typeHash, entries: Object.entries(fields) };
}

/** EIP-712's hashStruct: 32 bytes. */
export function hashStruct<F extends Fields>(
  type: MessageType<F>,
  message: ValuesOf<F>,
): Uint8Array {
  const words = new Uint8Array(32 * (type.entries.length + 1));
  words.set(type.typeHash, 0);
  let offset = 32;
  for (const [name, field] of type.entries) {
    encodeField(field, message[name], words, offset);
    offset += 32;
  }
  return keccak256(words);
}

/** EIP-712's signing digest under a domain separator of 32 bytes. */
export function digestOf<F extends Fields>(
  domainSeparator: Uint8Array,
  type: MessageType<F>,
  message: ValuesOf<F>,
): Uint8Array {
  const preimage = new Uint8Array(66);
  preimage[0] = 0x19;
  preimage[1] = 0x01;
  preimage.set(domainSeparator, 2);
  preimage.set(hashStruct(type, message), 34);
  return keccak256(preimage);
}

/** The JSON form: bigints as decimal strings, all else as it is, fields in the table's order. */
export function messageToJson<F extends Fields>(
  type: MessageType<F>,
  message: ValuesOf<F>,
): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const [name, field] of type.entries) json[name] = fieldToJson(field, message[name]);
  return json;
}

/**
 * Reads and checks a message from JSON: exactly the fields of the table, each of its type and
 * within its bound. Throws `message-invalid` naming the first field that is not.
 */
export function messageFromJson<F extends Fields>(
  type: MessageType<F>,
  json: unknown,
): ValuesOf<F> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new LakeError("message-invalid", `${type.name} must be a JSON object.`);
  }
  const source = json as Record<string, unknown>;
  for (const name of Object.keys(source)) {
    if (!Object.hasOwn(type.fields, name)) {
      throw new LakeError("message-invalid", `${type.name} has no field '${name.slice(0, 40)}'.`);
    }
  }
  const values: Record<string, unknown> = {};
  for (const [name, field] of type.entries) {
    const value = Object.hasOwn(source, name) ? source[name] : undefined;
    values[name] = fieldFromJson(field, value, type.name, name);
  }
  return values as ValuesOf<F>;
}

/** The JSON form of a signed message. */
export function signedToJson<F extends Fields>(
  type: MessageType<F>,
  signed: Signed<ValuesOf<F>>,
): { message: Record<string, unknown>; signature: Hex } {
  return { message: messageToJson(type, signed.message), signature: signed.signature };
}

/** Reads a signed message from JSON; the signature's shape is checked, not yet its signer. */
export function signedFromJson<F extends Fields>(
  type: MessageType<F>,
  json: unknown,
): Signed<ValuesOf<F>> {
  const source = (json ?? {}) as { message?: unknown; signature?: unknown };
  if (!isHex(source.signature, 65)) {
    throw new LakeError("message-invalid", `${type.name} needs a signature of 65 bytes.`);
  }
  return { message: messageFromJson(type, source.message), signature: source.signature };
}

// Part of every JavaScript platform though not of the language's own library.
declare const TextEncoder: new () => { encode(text: string): Uint8Array };

const encoder = new TextEncoder();

function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

function solidityType(field: Field): string {
  if (typeof field === "string") return field;
  if ("textMax" in field) return "string";
  return "list" in field ? `${field.list.name}[]` : field.struct.name;
}

function ownTypeString(name: string, fields: Fields): string {
  const members = Object.entries(fields).map(([key, field]) => `${solidityType(field)} ${key}`);
  return `${name}(${members.join(",")})`;
}

function referencedTypeStrings(fields: Fields): string {
  const found = new Map<string, string>();
  for (const field of Object.values(fields)) {
    if (typeof field === "string" || "textMax" in field) continue;
    const inner = "list" in field ? field.list : field.struct;
    found.set(inner.name, ownTypeString(inner.name, inner.fields));
  }
  const sorted = [...found.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([, text]) => text).join("");
}

function encodeField(field: Field, value: unknown, words: Uint8Array, offset: number): void {
  if (field === "bytes32") writeHex(value as string, words, offset);
  else if (field === "address") writeHex(value as string, words, offset + 12);
  else if (field === "uint256") writeBigint(value as bigint, words, offset);
  else if (typeof field === "string") writeNumber(value as number, words, offset);
  else if ("textMax" in field) words.set(keccak256(utf8(value as string)), offset);
  else if ("struct" in field) {
    words.set(hashStruct(field.struct, value as ValuesOf<Fields>), offset);
  } else words.set(hashList(field.list, value as readonly ValuesOf<Fields>[]), offset);
}

function hashList(type: MessageType<Fields>, items: readonly ValuesOf<Fields>[]): Uint8Array {
  const words = new Uint8Array(32 * items.length);
  items.forEach((item, index) => words.set(hashStruct(type, item), 32 * index));
  return keccak256(words);
}

function writeNumber(value: number, words: Uint8Array, offset: number): void {
  let rest = value;
  for (let at = offset + 31; rest > 0; at -= 1) {
    words[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function writeBigint(value: bigint, words: Uint8Array, offset: number): void {
  let rest = value;
  // Six bytes at a time: arithmetic with bigints costs a hundred times that with numbers.
  for (let end = offset + 31; rest > 0n; end -= 6) {
    let part = Number(rest & 0xffff_ffff_ffffn);
    rest >>= 48n;
    for (let at = end; part > 0; at -= 1) {
      words[at] = part % 256;
      part = Math.floor(part / 256);
    }
  }
}

function fieldToJson(field: Field, value: unknown): unknown {
  if (field === "uint256") return String(value);
  if (typeof field === "string" || "textMax" in field) return value;
  if ("struct" in field) return messageToJson(field.struct, value as ValuesOf<Fields>);
  return (value as readonly ValuesOf<Fields>[]).map((item) => messageToJson(field.list, item));
}

const integerMax = { uint8: 0xff, uint32: 0xffff_ffff, uint64: Number.MAX_SAFE_INTEGER } as const;
const uint256Max = (1n << 256n) - 1n;

function fieldFromJson(field: Field, value: unknown, type: string, name: string): unknown {
  const wanted = mismatchOf(field, value);
  if (wanted !== undefined) {
    throw new LakeError("message-invalid", `${type}.${name} must be ${wanted}.`);
  }
  if (field === "uint256") return BigInt(value as string);
  if (typeof field === "string" || "textMax" in field) return value;
  if ("struct" in field) return messageFromJson(field.struct, value);
  return (value as unknown[]).map((item) => messageFromJson(field.list, item));
}

/** What a field should have been; undefined where it is. */
function mismatchOf(field: Field, value: unknown): string | undefined {
  if (field === "address") return isHex(value, 20) ? undefined : "20 lower-case bytes";
  if (field === "bytes32") return isHex(value, 32) ? undefined : "32 lower-case bytes";
  if (field === "uint256") return isUint256(value) ? undefined : "a uint256 as a decimal string";
  if (typeof field === "string") {
    const ok = Number.isSafeInteger(value) && (value as number) >= 0;
    return ok && (value as number) <= integerMax[field] ? undefined : `a ${field}`;
  }
  if ("textMax" in field) {
    const ok = typeof value === "string" && value.length <= field.textMax && value.isWellFormed();
    return ok ? undefined : `a string of at most ${field.textMax} characters`;
  }
  if ("struct" in field) return undefined;
  const ok = Array.isArray(value) && value.length <= field.lengthMax;
  return ok ? undefined : `a list of at most ${field.lengthMax}`;
}

function isUint256(value: unknown): boolean {
  // 78 decimal digits hold 2^256 - 1; the bound keeps BigInt() from chewing on a megabyte.
  if (typeof value !== "string" || !/^(0|[1-9][0-9]{0,77})$/.test(value)) return false;
  return value.length < 78 || BigInt(value) <= uint256Max;
}
