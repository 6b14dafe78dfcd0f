import { createRequire } from "node:module";
import { randomBytes } from "node:crypto";

interface NativeBinding {
  ecdsaSign(digest: Uint8Array, key: Uint8Array): { signature: Uint8Array; recid: number };
  ecdsaRecover(s: Uint8Array, recid: number, d: Uint8Array, compressed: boolean): Uint8Array;
}

/**
 * What one core's native secp256k1, called bare, does of the signature operations of one RFC (the
 * signers of RFC and Accept recovered, Ticket signed), per second: the limit that the other figures
 * are compared with. Messages carry no public key, so to verify one is to recover its signer.
 */
export function measureCryptoLimit(seconds: number): number {
  const load = createRequire(import.meta.resolve("@lake-travis/platform"));
  const native = load("secp256k1/bindings") as NativeBinding;
  const key = randomBytes(32);
  const digest = randomBytes(32);
  const { signature, recid } = native.ecdsaSign(digest, key);
  const expected = Buffer.from(native.ecdsaRecover(signature, recid, digest, false));
  let rounds = 0;
  const begunAt = performance.now();
  const endAt = begunAt + seconds * 1000;
  while (performance.now() < endAt) {
    for (let index = 0; index < 20; index += 1) {
      const first = native.ecdsaRecover(signature, recid, digest, false);
      const second = native.ecdsaRecover(signature, recid, digest, false);
      const signed = native.ecdsaSign(digest, key);
      if (first[1] !== expected[1] || second[1] !== expected[1] || signed.recid !== recid) {
        throw new Error("a signature was not verified");
      }
    }
    rounds += 20;
  }
  return (rounds * 1000) / (performance.now() - begunAt);
}
