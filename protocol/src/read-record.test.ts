import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import canonicalize from "canonicalize";
import fc from "fast-check";
import { leafOf } from "./merkle.ts";
import { recordLeaf, recordLine } from "./record.ts";
import { recordFieldNames, recordFields, recordJsonSchema } from "./record-fields.ts";
import { readJudgedRecord, readRecord } from "./read-record.ts";
import { anyRecord } from "./test-support/any-record.ts";

describe("a public Record", () => {
  it("is read back as it was written", () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        const json: unknown = JSON.parse(JSON.stringify(record));
        assert.deepEqual(readRecord(json), JSON.parse(JSON.stringify(record)));
      }),
    );
  });

  it("is written in the RFC 8785 form", () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        assert.equal(recordLine(record), canonicalize(record));
        const leaf = leafOf(Buffer.from(recordLine(record)));
        assert.deepEqual(Buffer.from(recordLeaf(record)), Buffer.from(leaf));
      }),
    );
  });

  it("has no field in which a prompt, an answer, a User's address or an IP fits", () => {
    const secrets = [
      "What is my name?",
      "Sure! Here is the answer.",
      `0x${"ab".repeat(20)} `,
      "203.0.113.7",
      "2001:db8::1",
      "hello\nworld",
      "naïve",
    ];
    // These name what is public anyway: accounts that are paid, and digests.
    const accounts = new Set(["provider", "builder", "router"]);
    const [record] = fc.sample(anyRecord, { numRuns: 1, seed: 1 });
    for (const name of recordFieldNames) {
      const tried = accounts.has(name) ? secrets : [...secrets, `0x${"ab".repeat(20)}`];
      for (const secret of tried) {
        const changed = { ...record, [name]: secret };
        assert.throws(() => readRecord(changed), /Not a Record/, `${name}: ${secret}`);
      }
    }
    for (const place of ["payees", "signatures"]) {
      assert.throws(() => readRecord({ ...record, [place]: { note: secrets[0] } }), /Not a Record/);
    }
    assert.throws(() => readRecord({ ...record, note: "hello" }), /"note" is no field/);
  });

  it("is named by its field where a figure is absurd", () => {
    const [record] = fc.sample(anyRecord, { numRuns: 1, seed: 2 });
    for (const name of recordFieldNames) {
      if (recordFields[name].kind !== "integer") continue;
      for (const value of [-1, 0.5, 2 ** 53, Number.NaN, "1", null]) {
        assert.throws(() => readRecord({ ...record, [name]: value }), new RegExp(name));
        assert.throws(() => readJudgedRecord({ ...record, [name]: value }), new RegExp(name));
      }
    }
    assert.throws(() => readRecord({ ...record, openedAt: 60_001 }), /openedAt/);
  });

  it("is described by the JSON schema in the documentation", () => {
    const path = new URL("../../docs/record.schema.json", import.meta.url);
    const schema: unknown = JSON.parse(readFileSync(path, "utf8"));
    assert.deepEqual(schema, JSON.parse(JSON.stringify(recordJsonSchema())));
  });
});
