import { instantiateSecp256k1, type RecoveryId } from "@bitauth/libauth";
import type { Secp256k1 } from "./signatures.ts";

/** secp256k1 by libauth's WebAssembly, for machines that the native library is not built for. */
export async function createLibauthSecp256k1(): Promise<Secp256k1> {
  const wasm = await instantiateSecp256k1();
  return {
    sign(digest, key) {
      const result = wasm.signMessageHashRecoverableCompact(key, digest);
      if (typeof result === "string") throw new Error(result);
      return { signature: result.signature, recovery: result.recoveryId };
    },
    recover(signature, recovery, digest) {
      const result = wasm.recoverPublicKeyUncompressed(signature, recovery as RecoveryId, digest);
      if (typeof result === "string") throw new Error(result);
      return result;
    },
    publicKey(key) {
      const result = wasm.derivePublicKeyUncompressed(key);
      if (typeof result === "string") throw new Error(result);
      return result;
    },
  };
}
