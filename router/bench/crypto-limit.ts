import { toHex } from "@lake-travis/protocol";
import { generateKey, nativeSignatures, signerFromKey, systemRandom } from "@lake-travis/platform";

/**
 * What one core's native secp256k1 does of the signature operations of one RFC (RFC and Accept
 * verified, Ticket signed), per second: the limit that the other figures are compared with.
 */
export function measureCryptoLimit(seconds: number): number {
  const signer = signerFromKey(generateKey());
  const digest = systemRandom.bytes(32);
  const signature = signer.sign(digest);
  let rounds = 0;
  const begunAt = performance.now();
  const endAt = begunAt + seconds * 1000;
  while (performance.now() < endAt) {
    for (let index = 0; index < 20; index += 1) {
      const verified = nativeSignatures.recover(digest, signature) === signer.address;
      const again = nativeSignatures.recover(digest, signature) === signer.address;
      if (!verified || !again) throw new Error(`${toHex(digest)} was not verified`);
      signer.sign(digest);
    }
    rounds += 20;
  }
  return (rounds * 1000) / (performance.now() - begunAt);
}
