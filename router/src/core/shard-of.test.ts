import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Address } from "@lake-travis/protocol";
import { shardOf } from "./shard-of.ts";

const address = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes): Address => `0x${Buffer.from(bytes).toString("hex")}`);

describe("shardOf", () => {
  it("moves a User only to the shard that is new", () => {
    fc.assert(
      fc.property(address, fc.integer({ min: 1, max: 20 }), (user, count) => {
        const [before, after] = [shardOf(user, count), shardOf(user, count + 1)];
        assert.ok(before < count);
        assert.ok(after === before || after === count);
      }),
    );
  });

  it("gives each shard about its share", () => {
    const counts = [0, 0, 0, 0];
    for (let index = 0; index < 2_000; index += 1) {
      const shard = shardOf(`0x${index.toString(16).padStart(40, "0")}`, counts.length);
      counts[shard] = (counts[shard] ?? 0) + 1;
    }
    for (const count of counts) assert.ok(count > 400 && count < 600, counts.join(" "));
  });
});
