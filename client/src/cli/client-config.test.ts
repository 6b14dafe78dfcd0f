import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { LakeError, parseMor } from "@lake-travis/protocol";
import {
  readConfig,
  removeSetting,
  settingRules,
  writeEndpointKey,
  writeSetting,
} from "./client-config.ts";

const folder = mkdtempSync(join(tmpdir(), "lake-config-"));
const path = join(folder, "config.yaml");
after(() => rmSync(folder, { recursive: true }));

const isOneSentence = (error: unknown): boolean =>
  error instanceof LakeError &&
  ["config-invalid", "argument-invalid"].includes(error.code) &&
  !error.message.includes("\n");

describe("the configuration", () => {
  it("is empty where there is no file", () => assert.deepEqual(readConfig(path), {}));

  it("reads every setting, in YAML or JSON", () => {
    const settings = {
      router: "https://router.example",
      wallet: { kind: "rpc", url: "http://127.0.0.1:8550" },
      maxPrice: 0.5,
      dailyLimit: "2.25",
      idleSeconds: 5,
      aliases: { "gpt-4o": "alice/llama:8b" },
      keys: [{ name: "laptop", sha256: `0x${"a".repeat(64)}`, dailyLimit: 1 }],
    };
    writeFileSync(path, JSON.stringify(settings));
    const config = readConfig(path);
    assert.equal(config.maxPrice, parseMor("0.5"));
    assert.equal(config.dailyLimit, parseMor("2.25"));
    assert.deepEqual(config.wallet, settings.wallet);
    assert.equal(config.keys?.[0]?.dailyLimit, parseMor("1"));
    writeFileSync(path, "# mine\nmaxPrice: 0.5\naliases:\n  small: lake/travis-tiny\n");
    assert.deepEqual(readConfig(path).aliases, { small: "lake/travis-tiny" });
  });

  it("is changed without losing what else is in it", () => {
    writeFileSync(path, "# mine\nmaxPrice: 0.5 # dear enough\n");
    writeSetting(path, "dailyLimit", "2");
    writeEndpointKey(path, "laptop", { sha256: `0x${"b".repeat(64)}`, dailyLimit: "0.1" });
    writeEndpointKey(path, "phone", { sha256: `0x${"c".repeat(64)}` });
    writeEndpointKey(path, "laptop", undefined);
    removeSetting(path, "dailyLimit");
    const text = readFileSync(path, "utf8");
    assert.match(text, /^# mine\nmaxPrice: 0\.5 # dear enough\n/);
    assert.deepEqual(
      readConfig(path).keys?.map(({ name }) => name),
      ["phone"],
    );
    assert.equal(readConfig(path).dailyLimit, undefined);
  });

  it("says in one sentence what is wrong, and leaves the file as it is", () => {
    const broken = [
      "{: bad",
      "a: b: c",
      "[]",
      "3",
      "unknown: 1",
      "maxPrice: dear",
      "maxPrice: -1",
      "port: 70000",
      "router: nowhere",
      "wallet: mine",
      "wallet: {kind: rpc}",
      "wallet: {kind: page, url: 'http://x'}",
      "keys: [{name: a}]",
      "keys: {}",
      "aliases: {a: 'Not A Handle'}",
      "a: &a [1,1]\nb: [*a,*a]",
      "\u0000",
      "x".repeat(300_000),
    ];
    for (const text of broken) {
      writeFileSync(path, text);
      assert.throws(() => readConfig(path), isOneSentence, text.slice(0, 40));
      assert.throws(() => writeSetting(path, "maxPrice", "1"), isOneSentence);
      assert.equal(readFileSync(path, "utf8"), text);
      assert.ok(!existsSync(`${path}.new`));
    }
  });

  it("survives any text", () => {
    const names = fc.constantFrom(...Object.keys(settingRules), "other");
    const line = fc
      .tuple(names, fc.oneof(fc.json({ maxDepth: 3 }), fc.string()))
      .map(([name, value]) => `${name}: ${value}`);
    const anyText = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.array(line).map((l) => l.join("\n")),
    );
    fc.assert(
      fc.property(anyText, (text) => {
        writeFileSync(path, text);
        try {
          readConfig(path);
        } catch (error) {
          assert.ok(isOneSentence(error), String(error));
        }
      }),
      { numRuns: 400 },
    );
  });
});
