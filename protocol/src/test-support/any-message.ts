/* Any valid message of any type, for property tests. */
import fc from "fast-check";
import { type Hex, toHex } from "../hex.ts";
import type { Field, Fields, MessageType, ValuesOf } from "../message.ts";
import * as messages from "../messages.ts";

const exported: readonly unknown[] = Object.values(messages);

/** Every message type of the protocol. */
export const messageTypes = exported.filter(
  (value): value is MessageType<Fields> =>
    typeof value === "object" && value !== null && "typeHash" in value,
);

const hex = (bytes: number): fc.Arbitrary<Hex> =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(toHex);

function arbitraryField(field: Field): fc.Arbitrary<unknown> {
  if (field === "address") return hex(20);
  if (field === "bytes32") return hex(32);
  if (field === "uint256") return fc.bigInt({ min: 0n, max: (1n << 256n) - 1n });
  if (field === "uint8") return fc.nat(0xff);
  if (field === "uint32") return fc.nat(0xffff_ffff);
  if (field === "uint64") return fc.maxSafeNat();
  if ("textMax" in field) return fc.string({ unit: "grapheme", maxLength: 20 });
  if ("struct" in field) return anyMessage(field.struct);
  return fc.array(anyMessage(field.list), { maxLength: field.lengthMax });
}

/** Any valid message of a type. */
export function anyMessage(type: MessageType<Fields>): fc.Arbitrary<ValuesOf<Fields>> {
  const entries = Object.entries(type.fields).map(([name, f]) => [name, arbitraryField(f)]);
  return fc.record(Object.fromEntries(entries) as Record<string, fc.Arbitrary<never>>, {
    noNullPrototype: true,
  });
}
