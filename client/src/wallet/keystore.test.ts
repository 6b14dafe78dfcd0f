import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Wallet } from "ethers";
import { LakeError } from "@lake-travis/protocol";
import { generateKey, signerFromKey } from "@lake-travis/platform";
import { addressInKeystore, readKeystore, writeKeystore } from "./keystore.ts";

const folder = mkdtempSync(join(tmpdir(), "lake-keystore-"));
const passphrase = "a lake in the hills";
after(() => rmSync(folder, { recursive: true }));

function hasCode(code: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof LakeError && error.code === code && !error.message.includes("\n");
}

describe("the keystore", () => {
  const path = join(folder, "wallet.json");
  const key = generateKey();

  it("keeps a key that other wallets can open, readable by its owner alone", async () => {
    const address = await writeKeystore(path, key, passphrase);
    assert.equal(address, signerFromKey(key).address);
    assert.equal(addressInKeystore(path), address);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.ok(!readFileSync(path, "utf8").includes(key.slice(2)));
    assert.equal(await readKeystore(path, passphrase), key);
    const elsewhere = await Wallet.fromEncryptedJson(readFileSync(path, "utf8"), passphrase);
    assert.equal(elsewhere.privateKey, key);
  });

  it("overwrites no file", async () => {
    const before = readFileSync(path);
    await assert.rejects(
      writeKeystore(path, generateKey(), passphrase),
      hasCode("argument-invalid"),
    );
    assert.deepEqual(readFileSync(path), before);
  });

  it("says what is wrong with a passphrase or a file, and changes nothing", async () => {
    await assert.rejects(readKeystore(path, "another passphrase"), hasCode("passphrase-wrong"));
    await assert.rejects(readKeystore(join(folder, "none"), passphrase), hasCode("wallet-missing"));
    const text = readFileSync(path, "utf8");
    const damaged = [
      text.slice(0, 200),
      "",
      "{}",
      "null",
      "[]",
      text.replace('"version":3', '"version":2'),
      text.replace('"scrypt"', '"rot13"'),
      text.replace('"n":131072', '"n":1073741824'),
      text.replace('"n":131072', '"n":"many"'),
      text.replace(/"ciphertext":"[^"]+"/, '"ciphertext":"zz"'),
    ];
    for (const each of damaged) {
      const file = join(folder, "damaged.json");
      writeFileSync(file, each);
      await assert.rejects(readKeystore(file, passphrase), hasCode("keystore-invalid"), each);
      assert.equal(readFileSync(file, "utf8"), each);
    }
  });
});
