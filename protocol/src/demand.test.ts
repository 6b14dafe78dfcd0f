import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { demandLineOf, demandUsersMin, priceBucketWei } from "./demand.ts";
import { publicLine } from "./public-line.ts";

describe("demand", () => {
  it("buckets prices by powers of two", () => {
    const check = (wei: bigint, bucket: bigint): void => assert.equal(priceBucketWei(wei), bucket);
    check(0n, 0n);
    check(1n, 1n);
    check(1_023n, 512n);
    check(1_024n, 1_024n);
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 256n - 1n }), (wei) => {
        const bucket = priceBucketWei(wei);
        assert.ok(bucket <= wei && wei < bucket * 2n);
      }),
    );
  });

  it("leaves out counts in which a lone User would show", () => {
    const bucket = { epoch: 1, model: "lake/tiny", priceBucketWei: "512" };
    const reasons = { "slots-full": 4, "provider-none": 2 };
    assert.equal(
      demandLineOf({ ...bucket, asked: demandUsersMin - 1, unserved: 2, reasons }),
      undefined,
    );
    const line = demandLineOf({ ...bucket, asked: 9, unserved: 5, reasons });
    assert.deepEqual(line?.reasons, { "slots-full": 4 });
    assert.equal(line.unserved, 5);
    assert.equal(demandLineOf({ ...bucket, asked: 9, unserved: 2, reasons: {} })?.unserved, 0);
    assert.match(publicLine("demand", line), /^\{"asked":9,"epoch":1,"kind":"demand",/);
  });
});
