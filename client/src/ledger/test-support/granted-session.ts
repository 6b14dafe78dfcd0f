import { generateKey } from "@lake-travis/platform";
import type { GrantedSession } from "../spend-guard.ts";

/** A Session that was just granted; ten wei a second unless told otherwise. */
export function grantedSession(some: Partial<GrantedSession> = {}): GrantedSession {
  return {
    sessionId: generateKey(),
    previous: null,
    model: "alice/llama:latest",
    provider: `0x${"1".repeat(40)}`,
    weiPerSecond: 10n,
    minSeconds: 1,
    epoch: 3,
    openedAt: Date.UTC(2026, 0, 31, 12),
    ...some,
  };
}
