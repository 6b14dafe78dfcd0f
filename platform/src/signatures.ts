import { createRequire } from "node:module";
import { randomBytes } from "node:crypto";
import {
  type Hex,
  keccak256,
  LakeError,
  fromHex,
  type Signatures,
  type Signer,
  toHex,
} from "@lake-travis/protocol";
import { createLibauthSecp256k1 } from "./libauth-secp256k1.ts";

/** The primitive operations that a secp256k1 library has to give. */
export interface Secp256k1 {
  /** 64 bytes r, s (low s) and the recovery bit. */
  sign(digest: Uint8Array, key: Uint8Array): { signature: Uint8Array; recovery: number };
  /** The uncompressed public key (65 bytes); throws where there is none. */
  recover(signature: Uint8Array, recovery: number, digest: Uint8Array): Uint8Array;
  /** The uncompressed public key (65 bytes) of a private one; throws where that is not valid. */
  publicKey(key: Uint8Array): Uint8Array;
}

// Half the group's order: a larger s is the same signature written twice, which we refuse.
const halfOrder = fromHex("0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");

const secp256k1 = loadNative() ?? (await createLibauthSecp256k1());

/** secp256k1 by the native library, or by WebAssembly where that is not built for this machine. */
export const nativeSignatures: Signatures = {
  recover(digest, signature) {
    const address = recoverAddress(digest, fromHex(signature));
    return address === undefined ? undefined : toHex(address);
  },
};

/** The 20 bytes of who signed a digest; undefined where nobody did (high s included). */
export function recoverAddress(digest: Uint8Array, signature: Uint8Array): Uint8Array | undefined {
  const recovery = (signature[64] ?? 0) - 27;
  if (signature.length !== 65 || (recovery !== 0 && recovery !== 1)) return undefined;
  if (Buffer.compare(signature.subarray(32, 64), halfOrder) > 0) return undefined;
  try {
    return addressOf(secp256k1.recover(signature.subarray(0, 64), recovery, digest));
  } catch {
    // The library throws for any r and s that lie on no curve point: not a signature.
    return undefined;
  }
}

/** A signer for a private key of 32 bytes; throws `argument-invalid` where it is none. */
export function signerFromKey(privateKey: Hex): Signer {
  const key = keyFromHex(privateKey);
  const address = toHex(addressOf(secp256k1.publicKey(key)));
  return { address, sign: (digest) => toHex(signWithKey(digest, key)) };
}

/** The bytes of a private key; throws `argument-invalid` where it is none. */
export function keyFromHex(privateKey: Hex): Uint8Array {
  const key = fromHex(privateKey);
  if (key.length !== 32) throw notAKey();
  try {
    secp256k1.publicKey(key);
  } catch (cause) {
    throw notAKey(cause);
  }
  return key;
}

/** The 65 bytes of a signature over a digest. */
export function signWithKey(digest: Uint8Array, key: Uint8Array): Uint8Array {
  const { signature, recovery } = secp256k1.sign(digest, key);
  const bytes = new Uint8Array(65);
  bytes.set(signature, 0);
  bytes[64] = 27 + recovery;
  return bytes;
}

/** A fresh private key of 32 random bytes. */
export function generateKey(): Hex {
  return toHex(randomBytes(32));
}

function addressOf(publicKey: Uint8Array): Uint8Array {
  return keccak256(publicKey.subarray(1)).subarray(12);
}

function notAKey(cause?: unknown): LakeError {
  return new LakeError("argument-invalid", "This is not a secp256k1 private key of 32 bytes.", {
    advice: "Give 0x and 64 hexadecimal digits.",
    cause,
  });
}

interface NativeBinding {
  ecdsaSign(digest: Uint8Array, key: Uint8Array): { signature: Uint8Array; recid: number };
  ecdsaRecover(s: Uint8Array, recid: number, d: Uint8Array, compressed: boolean): Uint8Array;
  publicKeyCreate(key: Uint8Array, compressed: boolean): Uint8Array;
}

// The package's main entry falls back silently to JavaScript, forty times slower; its `bindings`
// entry throws instead, and the WebAssembly one is the better second choice.
function loadNative(): Secp256k1 | undefined {
  let native: NativeBinding;
  try {
    native = createRequire(import.meta.url)("secp256k1/bindings") as NativeBinding;
  } catch {
    return undefined;
  }
  return {
    sign(digest, key) {
      const { signature, recid } = native.ecdsaSign(digest, key);
      return { signature, recovery: recid };
    },
    recover: (signature, recovery, digest) =>
      native.ecdsaRecover(signature, recovery, digest, false),
    publicKey: (key) => native.publicKeyCreate(key, false),
  };
}
