import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  genesisBaseline,
  judgeEpoch,
  LakeError,
  recordLine,
  type Verdict,
} from "@lake-travis/protocol";
import { anyRecord, linesOf } from "../test-support/any-record.ts";
import { judgeFile } from "./judge-file.ts";

const folder = mkdtempSync(join(tmpdir(), "lake-judge-test-"));
after(() => rmSync(folder, { recursive: true }));

async function judgeText(text: string, anyOrder = false): Promise<Verdict[]> {
  const path = join(folder, "records.jsonl");
  writeFileSync(path, text);
  const verdicts: Verdict[] = [];
  await judgeFile({
    path,
    baseline: genesisBaseline,
    anyOrder,
    onVerdict: (verdict) => void verdicts.push(verdict),
  });
  return verdicts;
}

async function refusalOf(text: string): Promise<string> {
  let verdicts = 0;
  const path = join(folder, "records.jsonl");
  writeFileSync(path, text);
  const onVerdict = (): undefined => void (verdicts += 1);
  const judged = judgeFile({ path, baseline: genesisBaseline, onVerdict });
  const error: unknown = await judged.catch((caught: unknown) => caught);
  assert.ok(error instanceof LakeError);
  assert.equal(error.code, "records-invalid");
  assert.equal(verdicts, 0, "nothing is half-judged");
  return error.message;
}

const records = [1, 2, 3, 4, 5].map((number) => anyRecord(number, { seconds: number * 20 }));
const [first = "", second = "", third = ""] = records.map(recordLine);

describe("judging a file", () => {
  it("finds the same as judging the Records themselves", async () => {
    const verdicts = await judgeText(linesOf(records));
    const { verdicts: expected } = judgeEpoch({ epoch: 7, records, baseline: genesisBaseline });
    assert.deepEqual(verdicts, expected);
  });

  it("needs neither payees nor signatures, nor the canonical order of fields", async () => {
    const bare = records.map((record) => {
      const { payees: _, signatures: __, ...rest } = record;
      return `${JSON.stringify(rest, null, 1).replaceAll("\n", "")}\n`;
    });
    assert.deepEqual(await judgeText(bare.join("")), await judgeText(linesOf(records)));
  });

  it("passes over what stands behind the Records of a published file", async () => {
    const text = `${linesOf(records)}{"account":"0x1","cumulative":"1","kind":"credit"}\n`;
    assert.equal((await judgeText(text)).length, records.length);
    assert.match(await refusalOf(`${text}${recordLine(anyRecord(9))}\n`), /^Line 7 /);
  });

  it("judges epoch by epoch where a file holds several", async () => {
    const later = records.map((_, at) => anyRecord(100 + at, { epoch: 8 }));
    assert.equal((await judgeText(linesOf([...records, ...later]))).length, 10);
  });

  const bad: readonly (readonly [string, string, RegExp])[] = [
    ["cut off", `${first}\n${second.slice(0, 200)}`, /^Line 2 .*cut off/],
    ["a repeated Session", `${first}\n${second}\n${first}\n`, /^Line 3 .*line 1/],
    ["an extra field", `${first.slice(0, -1)},"prompt":"hello"}\n`, /^Line 1 .*prompt/],
    ["a field too few", `${first.replace('"seconds":20,', "")}\n`, /^Line 1 .*seconds is missing/],
    ["a negative number", `${first}\n${second.replace(":40,", ":-40,")}\n`, /^Line 2 .*seconds/],
    ["an absurd number", `${first}\n${second.replace(":40,", ":4e9,")}\n`, /^Line 2 .*seconds/],
    ["a fraction", `${first}\n${second.replace(":40,", ":40.5,")}\n`, /^Line 2 .*seconds/],
    ["an unknown word", `${first.replace('"finished"', '"bored"')}\n`, /^Line 1 .*endReason/],
    ["a sentence", `${first.replace("gpu-test", "tell me a joke")}\n`, /^Line 1 .*hardwareClass/],
    ["negative wei", `${first}\n${second.replace(/"900"}$/, '"-900"}')}\n`, /^Line 2 /],
    ["an empty line", `${first}\n\n${second}\n`, /^Line 2 /],
    ["a list", `${first}\n[]\n`, /^Line 2 /],
    [
      "more passed than asked",
      `${third.replace('Passed":0', 'Passed":1')}\n`,
      /^Line 1 .*challenges/,
    ],
  ];
  for (const [name, text, expected] of bad) {
    it(`names the line of ${name}`, async () => assert.match(await refusalOf(text), expected));
  }

  it("names the line that is out of order, unless any order is asked for", async () => {
    const late = anyRecord(9, { openedAt: 1_800_000_060_000 });
    const text = linesOf([late, ...records]);
    assert.match(await refusalOf(text), /^Line 2 .*earlier/);
    assert.equal((await judgeText(text, true)).length, 6);
  });
});
