import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TypedDataEncoder, type TypedDataField } from "ethers";
import fc from "fast-check";
import { LakeError } from "./errors.ts";
import { anyMessage, messageTypes } from "./test-support/any-message.ts";
import { type Address, toHex } from "./hex.ts";
import {
  digestOf,
  type Fields,
  messageFromJson,
  messageToJson,
  type MessageType,
  signedFromJson,
} from "./message.ts";
import * as messages from "./messages.ts";

function ethersTypes(type: MessageType<Fields>): Record<string, TypedDataField[]> {
  const found: Record<string, TypedDataField[]> = {};
  const visit = (one: MessageType<Fields>): void => {
    found[one.name] = Object.entries(one.fields).map(([name, field]) => {
      if (typeof field === "string") return { name, type: field };
      if ("textMax" in field) return { name, type: "string" };
      const inner = "list" in field ? field.list : field.struct;
      visit(inner);
      return { name, type: "list" in field ? `${inner.name}[]` : inner.name };
    });
  };
  visit(type);
  return found;
}

const computeContract: Address = `0x${"c0".repeat(20)}`;
const domain = { name: "Lake Travis", version: "1", chainId: 31337 };
const separator = messages.domainSeparatorOf({ chainId: 31337, computeContract });

describe("messages", () => {
  it("has every message of the design", () => {
    const names = messageTypes.map((type) => type.name);
    for (const name of ["Delegation", "RequestForCompute", "Ticket", "Tick", "Settlement"]) {
      assert.ok(names.includes(name), name);
    }
  });

  for (const type of messageTypes) {
    it(`${type.name}: digest equals ethers', JSON round-trips`, () => {
      fc.assert(
        fc.property(anyMessage(type), (message) => {
          const expected = TypedDataEncoder.hash(
            { ...domain, verifyingContract: computeContract },
            ethersTypes(type),
            message,
          );
          assert.equal(toHex(digestOf(separator, type, message)), expected);
          const json: unknown = JSON.parse(JSON.stringify(messageToJson(type, message)));
          assert.deepEqual(messageFromJson(type, json), message);
        }),
        { numRuns: 50 },
      );
    });
  }
});

function refuses(json: unknown, pattern: RegExp): void {
  assert.throws(
    () => messageFromJson(messages.tickType, json),
    (error) =>
      error instanceof LakeError && error.code === "message-invalid" && pattern.test(error.message),
  );
}

describe("hostile messages", () => {
  const tick = {
    sessionId: `0x${"00".repeat(32)}`,
    seconds: 2,
    requestsAnswered: 0,
    requestsFailed: 0,
    tokens: 0,
    ttftMs: 0,
    activeMs: 0,
  };

  it("reads the honest one", () => {
    assert.equal(messageFromJson(messages.tickType, tick).seconds, 2);
  });

  it("names what is wrong with the others", () => {
    refuses(null, /must be a JSON object/);
    refuses([], /must be a JSON object/);
    refuses({ ...tick, extra: 1 }, /no field 'extra'/);
    refuses({ ...tick, seconds: -1 }, /Tick.seconds/);
    refuses({ ...tick, seconds: 1.5 }, /Tick.seconds/);
    refuses({ ...tick, seconds: 2 ** 32 }, /Tick.seconds/);
    refuses({ ...tick, seconds: "2" }, /Tick.seconds/);
    refuses({ ...tick, seconds: undefined }, /Tick.seconds/);
    refuses({ ...tick, tokens: 2 ** 53 }, /Tick.tokens/);
    refuses({ ...tick, sessionId: `0x${"AB".repeat(32)}` }, /lower-case/);
    refuses({ ...tick, sessionId: "0x00" }, /32 lower-case bytes/);
    refuses({ ...tick, __proto__: undefined, constructor: 1 }, /no field 'constructor'/);
  });

  it("bounds integers, texts and lists", () => {
    const payee = { account: `0x${"11".repeat(20)}`, kind: 0, weiPerSecond: "1" };
    const read = (change: object): unknown =>
      messageFromJson(messages.payeeType, { ...payee, ...change });
    assert.throws(() => read({ weiPerSecond: (1n << 256n).toString() }), LakeError);
    assert.throws(() => read({ weiPerSecond: "9".repeat(1_000_000) }), LakeError);
    assert.throws(() => read({ weiPerSecond: "01" }), LakeError);
    assert.throws(() => read({ weiPerSecond: 1 }), LakeError);
    assert.throws(() => signedFromJson(messages.payeeType, { message: payee }), LakeError);
    assert.throws(
      () => signedFromJson(messages.payeeType, { message: payee, signature: "0x00" }),
      LakeError,
    );
  });
});
