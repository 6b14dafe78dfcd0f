import {
  type Address,
  formatHandle,
  LakeError,
  limits,
  parseHandle,
  type RequestForCompute,
  rfcType,
  signMessage,
  toHex,
  zeroBytes32,
} from "@lake-travis/protocol";
import { generateKey, signerFromKey } from "@lake-travis/platform";
import { checkGrant } from "./check-grant.ts";
import type { HeldDelegation } from "./delegation.ts";
import { openSession, type Session, type SessionContext } from "./session.ts";

/** What a User wishes of a Session. */
export interface Wish {
  /** A handle; `@sha256:` pins the manifest. */
  readonly model: string;
  /** The whole price, Provider and Builders. */
  readonly maxWeiPerSecond: bigint;
  /** Thousandths of a token per second; 0: any speed. */
  readonly minMilliTps: number;
  /** Wished time to first token; 0: any. */
  readonly maxLatencyMs: number;
  readonly maxSeconds: number;
}

/** A Router that the client asks, and in whose name. */
export interface Asking extends SessionContext {
  readonly routerAccount: Address;
  readonly delegation: HeldDelegation;
}

/** How long an RFC may wait for a free slot. */
const rfcPatienceMs = 30_000;
/** A Provider may vanish between Ticket and connection; then the Router is asked once more. */
const connectAttemptsMax = 2;

/**
 * Asks the Router for a Session by model name, checks its answer and connects to the Provider.
 * Throws the Router's refusal (`model-unknown`, `mor-missing`, `price-cap-too-low`, ...).
 */
export async function openByName(
  wish: Wish,
  asking: Asking,
  signal?: AbortSignal,
): Promise<Session> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openOnce(wish, asking, signal);
    } catch (error) {
      const away = error instanceof LakeError && error.code === "provider-unreachable";
      if (!away || attempt >= connectAttemptsMax) throw error;
    }
  }
}

async function openOnce(wish: Wish, asking: Asking, signal?: AbortSignal): Promise<Session> {
  const { clock, delegation, domainSeparator, random, router } = asking;
  const handle = parseHandle(wish.model);
  const key = signerFromKey(generateKey());
  const rfc: RequestForCompute = {
    router: asking.routerAccount,
    delegationHash: delegation.hash,
    sessionKey: key.address,
    model: formatHandle(handle),
    manifestDigest: handle.digest ?? zeroBytes32,
    maxWeiPerSecond: wish.maxWeiPerSecond,
    minMilliTps: wish.minMilliTps,
    maxLatencyMs: wish.maxLatencyMs,
    maxSeconds: Math.min(wish.maxSeconds, limits.sessionSecondsMax),
    nonce: toHex(random.bytes(32)),
    deadline: clock.now() + rfcPatienceMs,
    wishHash: zeroBytes32,
  };
  const signed = signMessage(domainSeparator, rfcType, rfc, delegation.delegate);
  const grant = await router.requestCompute(signed, signal);
  await checkGrant(grant, rfc, asking);
  return openSession(grant, key, asking);
}
