import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SigningKey, Wallet } from "ethers";
import fc from "fast-check";
import { fromHex, type Hex, LakeError, toHex } from "@lake-travis/protocol";
import { createLibauthSecp256k1 } from "./libauth-secp256k1.ts";
import { generateKey, nativeSignatures, signerFromKey } from "./signatures.ts";

const digests = fc.uint8Array({ minLength: 32, maxLength: 32 });
const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

describe("signatures", () => {
  it("are ethers' to the byte, and recover their signer", () => {
    const key = generateKey();
    const signer = signerFromKey(key);
    assert.equal(signer.address, new Wallet(key).address.toLowerCase());
    fc.assert(
      fc.property(digests, (digest) => {
        const signature = signer.sign(digest);
        assert.equal(signature, new SigningKey(key).sign(digest).serialized);
        assert.equal(nativeSignatures.recover(digest, signature), signer.address);
      }),
      { numRuns: 30 },
    );
  });

  it("refuse the second way of writing one, and what is none", () => {
    const signer = signerFromKey(generateKey());
    const digest = new Uint8Array(32).fill(7);
    const bytes = fromHex(signer.sign(digest));
    const high = order - BigInt(toHex(bytes.subarray(32, 64)));
    const flipped = new Uint8Array(bytes);
    flipped.set(fromHex(`0x${high.toString(16).padStart(64, "0")}`), 32);
    flipped[64] = bytes[64] === 27 ? 28 : 27;
    const none: Hex[] = [
      toHex(flipped),
      `0x${"00".repeat(65)}`,
      `0x${"ff".repeat(65)}`,
      toHex(bytes.subarray(0, 64)),
      toHex(Uint8Array.from([...bytes.subarray(0, 64), 29])),
    ];
    for (const signature of none)
      assert.equal(nativeSignatures.recover(digest, signature), undefined);
  });

  it("are the same by WebAssembly, for machines without the native library", async () => {
    const wasm = await createLibauthSecp256k1();
    const key = generateKey();
    fc.assert(
      fc.property(digests, (digest) => {
        const { signature, recovery } = wasm.sign(digest, fromHex(key));
        const written = toHex(Uint8Array.from([...signature, 27 + recovery]));
        assert.equal(written, signerFromKey(key).sign(digest));
        assert.deepEqual(wasm.recover(signature, recovery, digest), wasm.publicKey(fromHex(key)));
      }),
      { numRuns: 20 },
    );
  });

  it("say what is wrong with a key", () => {
    for (const key of ["0x", `0x${"00".repeat(32)}`, `0x${"ff".repeat(32)}`] as const) {
      assert.throws(
        () => signerFromKey(key),
        (error) => error instanceof LakeError && error.code === "argument-invalid",
      );
    }
  });
});
