import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { LakeError } from "@lake-travis/protocol";
import { generateKey, signerFromKey } from "@lake-travis/platform";
import { chooseWallet } from "./choose-wallet.ts";
import { addressOfKeystore, openKeystore, writeKeystore } from "./keystore.ts";
import type { Terminal } from "./terminal.ts";

const folder = mkdtempSync(join(tmpdir(), "lake-keystore-"));
after(() => rmSync(folder, { recursive: true }));
const passphrase = "nobody guesses this";

/** A terminal at which nobody sits. */
const nobody: Terminal = {
  isInteractive: false,
  say: () => undefined,
  show: () => undefined,
  ask: () => Promise.reject(new LakeError("argument-invalid", "Nobody is here to answer.")),
  askHidden: () => Promise.reject(new LakeError("argument-invalid", "Nobody is here to answer.")),
  confirm: () => Promise.resolve(false),
};

async function refuses(work: Promise<unknown>, code: LakeError["code"]): Promise<void> {
  await assert.rejects(work, (error: unknown) => error instanceof LakeError && error.code === code);
}

test("a key comes back from its keystore, and from nothing else", async () => {
  const path = join(folder, "wallet.json");
  const key = generateKey();
  const address = await writeKeystore(path, key, passphrase);
  assert.equal(address, signerFromKey(key).address);
  assert.equal(addressOfKeystore(path), address);
  assert.equal(await openKeystore(path, passphrase), key);
  assert.equal(statSync(path).mode & 0o077, 0);
  assert.doesNotMatch(readFileSync(path, "utf8"), new RegExp(key.slice(2), "i"));
  await refuses(openKeystore(path, "something else"), "passphrase-wrong");
  await refuses(writeKeystore(path, generateKey(), passphrase), "argument-invalid");
  assert.equal(await openKeystore(path, passphrase), key, "a wallet is never overwritten");
});

test("a keystore that is none is named", async () => {
  const path = join(folder, "broken.json");
  await refuses(openKeystore(path, passphrase), "keystore-invalid");
  writeFileSync(path, '{"version":3');
  await refuses(openKeystore(path, passphrase), "keystore-invalid");
  assert.throws(() => addressOfKeystore(path), LakeError);
});

test("a wallet is made, imported or named, and never in the clear", async () => {
  const passphraseFile = join(folder, "passphrase");
  writeFileSync(passphraseFile, `${passphrase}\n`);
  const place = join(folder, "new.json");
  const made = await chooseWallet({ keystore: place, passphraseFile }, nobody, folder);
  assert.equal(made.account, addressOfKeystore(place));
  const again = await chooseWallet({ keystore: place }, nobody, folder);
  assert.deepEqual(again, made);
  const keyFile = join(folder, "raw.key");
  const key = generateKey();
  writeFileSync(keyFile, key);
  const keystore = join(folder, "imported.json");
  const flags = { keystore, walletKeyFile: keyFile, passphraseFile };
  const imported = await chooseWallet(flags, nobody, folder);
  assert.equal(imported.account, signerFromKey(key).address);
  await refuses(chooseWallet(flags, nobody, folder), "argument-invalid");
  const account = `0x${"AB".repeat(20)}`;
  const cold = await chooseWallet({ account }, nobody, folder);
  assert.deepEqual(cold, { account: account.toLowerCase(), keystore: undefined });
  await refuses(chooseWallet({ account: "0x12" }, nobody, folder), "argument-invalid");
  await refuses(chooseWallet({ account, keystore: place }, nobody, folder), "argument-invalid");
});

test("a short passphrase, or none without a terminal, makes no wallet", async () => {
  const passphraseFile = join(folder, "short");
  writeFileSync(passphraseFile, "short\n");
  const keystore = join(folder, "never.json");
  await refuses(chooseWallet({ keystore, passphraseFile }, nobody, folder), "argument-invalid");
  await refuses(chooseWallet({ keystore }, nobody, folder), "argument-invalid");
  await refuses(openKeystore(keystore, passphrase), "keystore-invalid");
});
