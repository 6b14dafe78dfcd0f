/*
 * Logarithmic buckets of integers: each octave is cut into 2^subBits equal parts, so a bucket's
 * relative width is at most 2^-subBits. Sums of such counts do not depend on the order of what was
 * counted. Only exact operations are used (powers of two, floor), so that every machine agrees.
 * Source: the HDR histogram, https://github.com/HdrHistogram/HdrHistogram.
 */

/** The bucket of a non-negative safe integer. */
export function logBucket(value: number, subBits: number): number {
  const parts = 1 << subBits;
  if (value < parts) return value;
  const octave = octaveOf(value);
  const shift = octave - subBits;
  const scaled =
    value < 0x1_0000_0000 ? value >>> shift : Math.floor(value / (powers[shift] as number));
  return (shift << subBits) + scaled;
}

/** The smallest integer of a bucket. */
export function bucketFloor(bucket: number, subBits: number): number {
  const parts = 1 << subBits;
  if (bucket < parts) return bucket;
  const shift = (bucket >> subBits) - 1;
  return (parts + (bucket & (parts - 1))) * (powers[shift] as number);
}

/** The middle of a bucket: what its values are taken for. */
export function bucketMiddle(bucket: number, subBits: number): number {
  return Math.floor((bucketFloor(bucket, subBits) + bucketFloor(bucket + 1, subBits) - 1) / 2);
}

/** floor(log2(value)) of a positive safe integer. */
export function octaveOf(value: number): number {
  if (value < 0x1_0000_0000) return 31 - Math.clz32(value);
  return 63 - Math.clz32(Math.floor(value / 0x1_0000_0000));
}

/** Doubles hold these exactly; buckets beyond 2^53 stand for numbers that were shifted. */
const powers = Array.from({ length: 256 }, (_, exponent) => 2 ** exponent);
