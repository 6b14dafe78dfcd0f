import assert from "node:assert/strict";
import { test } from "node:test";
import { LakeError } from "./errors.ts";
import { zeroBytes32 } from "./hex.ts";
import { routingWishFromJson, routingWishHash } from "./routing-wish.ts";

const provider = `0x${"ab".repeat(20)}` as const;

test("no wish hashes to zero, a wish to the same however its fields are ordered", () => {
  assert.equal(routingWishHash(undefined), zeroBytes32);
  const one = routingWishFromJson({ sort: "price", only: [provider] });
  const other = routingWishFromJson({ only: [provider], sort: "price" });
  assert.equal(routingWishHash(one), routingWishHash(other));
  assert.notEqual(routingWishHash(one), routingWishHash({ sort: "price" }));
  assert.notEqual(routingWishHash({}), zeroBytes32);
});

for (const [value, said] of [
  [null, /must be an object/],
  [[], /must be an object/],
  [{ surprise: 1 }, /not known/],
  [{ only: "0x" }, /wish\.only must be a list/],
  [{ order: ["0xAB"] }, /wish\.order must be a list/],
  [{ ignore: Array.from({ length: 33 }, () => provider) }, /at most 32/],
  [{ sort: "luck" }, /wish\.sort must be one of/],
] as const) {
  test(`refuses ${JSON.stringify(value).slice(0, 40)}`, () => {
    assert.throws(
      () => routingWishFromJson(value),
      (error) => error instanceof LakeError && said.test(error.message),
    );
  });
}
