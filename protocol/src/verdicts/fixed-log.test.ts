import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { bit, excessEvidence, log2Of, surpriseEvidence } from "./fixed-log.ts";
import { bucketFloor, bucketMiddle, logBucket, octaveOf } from "./log-bucket.ts";

const positive = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

describe("whole-number logarithms", () => {
  it("are within two thousandths of a bit of the real ones", () => {
    fc.assert(
      fc.property(positive, (value) => {
        assert.ok(Math.abs(log2Of(value) / bit - Math.log2(value)) < 0.002);
        assert.ok(2 ** octaveOf(value) <= value && value < 2 ** (octaveOf(value) + 1));
      }),
    );
  });

  it("give the evidence of the Chernoff bounds", () => {
    const divergence = 30 * (0.3 * Math.log2(0.3 / 0.1) + 0.7 * Math.log2(0.7 / 0.9));
    assert.ok(Math.abs(excessEvidence(9, 30, 100_000) / bit - divergence) < 0.1);
    assert.equal(excessEvidence(3, 30, 100_000), 0);
    const nats = 20 * (2 - 1 - Math.log(2));
    assert.ok(Math.abs((surpriseEvidence(2_954, 20) / bit) * Math.LN2 - nats) < 0.2);
    assert.equal(surpriseEvidence(1_000, 20), 0);
  });
});

describe("logarithmic buckets", () => {
  it("hold what falls between their floors, and are narrow", () => {
    fc.assert(
      fc.property(positive, fc.integer({ min: 1, max: 8 }), (value, subBits) => {
        const bucket = logBucket(value, subBits);
        const [floor, next] = [bucketFloor(bucket, subBits), bucketFloor(bucket + 1, subBits)];
        assert.ok(floor <= value && value < next);
        assert.ok(next - floor <= Math.max(1, floor / 2 ** subBits));
        assert.ok(bucketMiddle(bucket, subBits) >= floor);
      }),
    );
  });
});
