import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { LakeError } from "@lake-travis/protocol";
import { askControl, controlPath, serveControl } from "./control-socket.ts";

const folder = mkdtempSync(join(tmpdir(), "lake-control-"));
after(() => rmSync(folder, { recursive: true }));

async function roundTrip(dataDir: string): Promise<void> {
  mkdirSync(dataDir, { recursive: true });
  const pages = (path: string): Promise<unknown> =>
    Promise.resolve(path === "/status" ? { well: true } : undefined);
  const stop = await serveControl(dataDir, pages);
  assert.equal(statSync(controlPath(dataDir)).mode & 0o077, 0, "nobody else may open it");
  assert.deepEqual(await askControl(dataDir, "/status"), { well: true });
  assert.equal(await askControl(dataDir, "/nothing"), null);
  const other = await serveControl(dataDir, pages);
  assert.deepEqual(await askControl(dataDir, "/status"), { well: true }, "a stale one is replaced");
  await other();
  await stop();
}

test("the owner's commands reach the running process", () => roundTrip(join(folder, "data")));

test("a folder whose path is too long for a socket has one elsewhere", () =>
  roundTrip(join(folder, "long".repeat(40))));

test("a folder that others may write in is refused", async () => {
  const shared = join(folder, "shared");
  mkdirSync(shared);
  chmodSync(shared, 0o777);
  await assert.rejects(
    serveControl(shared, () => Promise.resolve(undefined)),
    (error: unknown) => error instanceof LakeError && error.code === "folder-unusable",
  );
});

test("a folder on which nothing runs says what to do", async () => {
  await assert.rejects(
    askControl(join(folder, "nobody"), "/status"),
    (error: unknown) =>
      error instanceof LakeError && error.code === "provider-none" && /up/.test(error.advice ?? ""),
  );
});
