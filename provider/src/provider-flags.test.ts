import assert from "node:assert/strict";
import { test } from "node:test";
import { LakeError } from "@lake-travis/protocol";
import { readFlags } from "./provider-flags.ts";

const needed = {
  deployment: "d.json",
  "data-dir": "/d",
  router: "http://127.0.0.1:1/",
  account: `0x${"Ab".repeat(20)}`,
  model: "lake/travis-tiny",
  "wei-per-second": "7",
};

function flags(changes: Record<string, string | undefined> = {}): string[] {
  return Object.entries({ ...needed, ...changes }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  );
}

test("flags are read with their defaults", () => {
  const read = readFlags([...flags(), "--holder", "http://a/", "--holder", "http://b"]);
  assert.equal(read.router, "http://127.0.0.1:1");
  assert.equal(read.account, needed.account.toLowerCase());
  assert.deepEqual(read.models, [{ model: "lake/travis-tiny", weiPerSecond: 7n }]);
  assert.deepEqual([read.host, read.port, read.slots, read.minSeconds], ["127.0.0.1", 0, 4, 1]);
  assert.deepEqual(read.holders, ["http://a", "http://b"]);
});

test("an engine may be an npm package, looked for under the data folder", () => {
  const named = (engine: string | undefined): unknown => readFlags(flags({ engine })).enginePackage;
  assert.equal(named(undefined), undefined);
  assert.deepEqual(named("package:@a/b"), { name: "@a/b", folder: "/d" });
});

test("several models have a price each, in order", () => {
  const { models } = readFlags([...flags(), "--model", "lake/digits", "--wei-per-second", "9"]);
  assert.deepEqual(models[1], { model: "lake/digits", weiPerSecond: 9n });
});

test("each flag that is wrong is named in one sentence", () => {
  const check = (changes: Record<string, string | undefined>, expected: RegExp): void =>
    assert.throws(
      () => readFlags(flags(changes)),
      (error) => error instanceof LakeError && expected.test(error.message) && error.status === 400,
    );
  check({ account: undefined }, /--account is missing/);
  check({ account: "0x12" }, /--account must be/);
  check({ model: undefined }, /--model is missing/);
  check({ "wei-per-second": undefined }, /--wei-per-second must be given once for each/);
  check({ model: "Not A Handle" }, /not a model handle/);
  check({ "wei-per-second": "-1" }, /--wei-per-second/);
  check({ "wei-per-second": "1e3" }, /--wei-per-second must be/);
  check({ port: "70000" }, /--port must be/);
  check({ slots: "0" }, /--slots must be/);
  check({ router: "nowhere" }, /--router must be a URL/);
  check({ colour: "red" }, /colour/);
  check({ engine: "llama" }, /--engine must be package:/);
  check({ engine: "package:" }, /--engine must be package:/);
  check({ engine: "package:a", "engine-url": "http://a" }, /cannot both compute/);
});
