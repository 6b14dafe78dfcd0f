import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { LakeError } from "@lake-travis/protocol";
import { openAppendFile } from "./append-file.ts";

const folder = mkdtempSync(join(tmpdir(), "lake-append-"));
after(() => rmSync(folder, { recursive: true }));

test("what was appended is read back in order, also when it was appended at once", async () => {
  const path = join(folder, "order.jsonl");
  const { file } = await openAppendFile(path);
  await Promise.all(Array.from({ length: 100 }, (_, n) => file.append({ n })));
  await file.close();
  const { entries, file: again } = await openAppendFile(path);
  assert.deepEqual(
    entries,
    Array.from({ length: 100 }, (_, n) => ({ n })),
  );
  assert.equal(again.bytes, readFileSync(path).length);
  await again.close();
});

test("a torn last line is dropped and does not spoil the next one", async () => {
  const path = join(folder, "torn.jsonl");
  const { file } = await openAppendFile(path);
  await file.append({ n: 1 });
  await file.close();
  appendFileSync(path, '{"n":2,"te');
  const torn = await openAppendFile(path);
  assert.deepEqual(torn.entries, [{ n: 1 }]);
  await torn.file.append({ n: 3 });
  await torn.file.close();
  const { entries, file: last } = await openAppendFile(path);
  assert.deepEqual(entries, [{ n: 1 }, { n: 3 }]);
  await last.close();
});

test("a rewrite replaces everything, and appending goes on behind it", async () => {
  const path = join(folder, "rewrite.jsonl");
  const { file } = await openAppendFile(path);
  await file.append({ n: 1 });
  await file.rewrite([{ n: 10 }]);
  await file.append({ n: 11 });
  await file.close();
  assert.equal(readFileSync(path, "utf8"), '{"n":10}\n{"n":11}\n');
});

test("damage in the middle is told, not skipped", async () => {
  const path = join(folder, "damaged.jsonl");
  appendFileSync(path, '{"n":1}\n{"n":\n{"n":3}\n');
  await assert.rejects(
    openAppendFile(path),
    (error) => error instanceof LakeError && error.code === "journal-corrupt",
  );
});
