import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import type { Hex } from "@lake-travis/protocol";
import { SignatureThreads } from "./signature-threads.ts";
import { generateKey, nativeSignatures, signerFromKey } from "./signatures.ts";

const key = generateKey();
const signer = signerFromKey(key);
const junk: Hex = `0x${"0".repeat(130)}`;

for (const threads of [0, 1, 2]) {
  describe(`${threads} signature threads`, () => {
    it("answer what is asked at once as the main thread would", async () => {
      const work = new SignatureThreads({ privateKey: key, threads });
      const digests = Array.from({ length: 50 }, () => randomBytes(32));
      const signatures = await Promise.all(digests.map((digest) => work.sign(digest)));
      assert.deepEqual(
        signatures,
        digests.map((digest) => signer.sign(digest)),
      );
      const asked = digests.map((digest, index) => {
        const signature = index % 5 === 0 ? junk : (signatures[index] as Hex);
        return { digest, signature };
      });
      const found = await Promise.all(asked.map((a) => work.recover(a.digest, a.signature)));
      assert.deepEqual(
        found,
        asked.map((a) => nativeSignatures.recover(a.digest, a.signature)),
      );
      assert.equal(found[0], undefined);
      assert.equal(found[1], signer.address);
      await work.close();
    });

    it("finish what was asked when they are closed meanwhile", async () => {
      const work = new SignatureThreads({ privateKey: key, threads });
      const asked = Array.from({ length: 20 }, () => work.sign(randomBytes(32)));
      await new Promise((resolve) => setImmediate(resolve));
      await work.close();
      const late = work.sign(randomBytes(32));
      for (const signature of await Promise.all([...asked, late])) {
        assert.equal(signature.length, 132);
      }
    });
  });
}
