import {
  type Address,
  formatHandle,
  limits,
  LakeError,
  parseHandle,
  type RequestForCompute,
  rfcType,
  type RoutingWish,
  routingWishHash,
  type Signer,
  signMessage,
  type TicketGrant,
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
  /** Which Providers, and what to put first. */
  readonly routing?: RoutingWish;
}

/** A Router that the client asks, and in whose name. */
export interface Asking extends SessionContext {
  readonly routerAccount: Address;
  /** The newest one: it is renewed while the client runs. */
  readonly delegation: () => HeldDelegation;
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
  let current = wish;
  for (let attempt = 1; ; attempt += 1) {
    const key = signerFromKey(generateKey());
    const grant = await requestGrant(current, key, asking, signal);
    try {
      return await openSession(grant, key, asking);
    } catch (error) {
      const away = error instanceof LakeError && error.code === "provider-unreachable";
      if (!away || attempt >= connectAttemptsMax) throw error;
      current = withoutProvider(current, grant.offer.message.provider);
    }
  }
}

/** The same wish, but not at this Provider. */
export function withoutProvider(wish: Wish, provider: Address): Wish {
  const ignore = [...(wish.routing?.ignore ?? []), provider];
  return { ...wish, routing: { ...wish.routing, ignore: [...new Set(ignore)] } };
}

async function requestGrant(
  wish: Wish,
  key: Signer,
  asking: Asking,
  signal: AbortSignal | undefined,
): Promise<TicketGrant> {
  const { clock, domainSeparator, random, router } = asking;
  const delegation = asking.delegation();
  const handle = parseHandle(wish.model);
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
    wishHash: routingWishHash(wish.routing),
  };
  const signed = signMessage(domainSeparator, rfcType, rfc, delegation.delegate);
  const request = wish.routing === undefined ? signed : { ...signed, wish: wish.routing };
  const grant = await router.requestCompute(request, signal);
  await checkGrant(grant, rfc, asking, wish.routing);
  return grant;
}
