import { createHash } from "node:crypto";
import { LakeError, toHex } from "@lake-travis/protocol";
import type { EndpointKey } from "../ledger/spend-guard.ts";

/**
 * Which bearer key a request carries. Without configured keys everybody on this machine may ask,
 * and whatever a client sends as its key is ignored, since OpenAI's clients insist on sending one.
 * Throws `endpoint-key-wrong`.
 */
export function createKeyCheck(
  keys: readonly EndpointKey[],
): (headers: Headers) => EndpointKey | null {
  const byHash = new Map(keys.map((key) => [key.sha256.toLowerCase(), key]));
  return (headers) => {
    if (byHash.size === 0) return null;
    const bearer = /^Bearer +(\S+)$/i.exec(headers.get("authorization") ?? "")?.[1] ?? "";
    // The lookup is by hash, so its timing tells nothing of a key.
    const key = byHash.get(toHex(createHash("sha256").update(bearer).digest()));
    if (key !== undefined) return key;
    throw new LakeError("endpoint-key-wrong", "This endpoint does not know that API key.", {
      advice: "Send a key from the configuration as 'Authorization: Bearer <key>'.",
    });
  };
}
