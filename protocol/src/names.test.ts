import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LakeError } from "./errors.ts";
import { formatHandle, parseHandle } from "./names.ts";

describe("names", () => {
  it("reads every part of a handle", () => {
    const digest = "ab".repeat(32);
    const check = (text: string, expected: string): void =>
      assert.equal(formatHandle(parseHandle(text)), expected);
    check("lake/travis-tiny", "lake/travis-tiny:latest");
    check("lake/travis-tiny:q8_0", "lake/travis-tiny:q8_0");
    check(`a/b:c@sha256:${digest}`, "a/b:c");
    assert.equal(parseHandle(`a/b@sha256:${digest}`).digest, `0x${digest}`);
    assert.equal(parseHandle("a/b").digest, undefined);
  });

  it("refuses what could be taken for something else", () => {
    const bad = [
      "",
      "lake",
      "Lake/tiny",
      "lake/tiny:",
      "lake//tiny",
      "lake/tiny/x",
      "../tiny",
      "lake/.tiny",
      "lake/tiny.",
      "lаke/tiny",
      "lake/tiny@sha256:12",
      "lake/tiny ",
      `lake/${"x".repeat(65)}`,
      `lake/${"x".repeat(100_000)}`,
    ];
    for (const text of bad) {
      assert.throws(
        () => parseHandle(text),
        (error) => error instanceof LakeError && error.code === "handle-invalid",
        text.slice(0, 40),
      );
    }
  });
});
