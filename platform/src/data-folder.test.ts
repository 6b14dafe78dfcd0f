import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { LakeError } from "@lake-travis/protocol";
import { folderError, openDataFolder } from "./data-folder.ts";
import { loadOrCreateKey, readKey } from "./key-file.ts";

const root = mkdtempSync(join(tmpdir(), "lake-folder-"));
after(() => rmSync(root, { recursive: true }));

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof LakeError && error.code === code;
}

describe("openDataFolder", () => {
  it("makes the folder for its owner alone and gives it back", async () => {
    const path = join(root, "a", "b");
    const folder = await openDataFolder(path);
    assert.equal(statSync(path).mode & 0o777, 0o700);
    folder.close();
    (await openDataFolder(path)).close();
  });

  it("refuses a folder that another process holds, and takes over from a dead one", async () => {
    const path = join(root, "held");
    (await openDataFolder(path)).close();
    writeFileSync(join(path, "lock"), String(process.ppid));
    await assert.rejects(openDataFolder(path), hasCode("folder-locked"));
    const dead = spawnSync(process.execPath, ["-e", ""]).pid;
    writeFileSync(join(path, "lock"), String(dead));
    (await openDataFolder(path)).close();
    writeFileSync(join(path, "lock"), "torn");
    (await openDataFolder(path)).close();
  });

  it("says what to do where it cannot write", async () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    await assert.rejects(openDataFolder(join(file, "sub")), hasCode("folder-unusable"));
    const full = folderError("/data", Object.assign(new Error(), { code: "ENOSPC" }));
    assert.equal(full.code, "disk-full");
    assert.match(full.advice ?? "", /Free some disk space/);
  });
});

describe("key files", () => {
  it("are made once, for their owner alone", () => {
    const path = join(root, "wallet.key");
    const key = loadOrCreateKey(path);
    assert.equal(loadOrCreateKey(path), key);
    assert.equal(readKey(path), key);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it("are named where they hold no key", () => {
    const path = join(root, "odd.key");
    writeFileSync(path, "hunter2");
    assert.throws(() => readKey(path), /does not hold a private key/);
    assert.throws(() => readKey(join(root, "none.key")), /cannot be read/);
  });
});
