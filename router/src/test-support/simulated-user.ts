import {
  type Clock,
  type Close,
  closeReasons,
  closeType,
  type Delegation,
  delegationType,
  domainSeparatorOf,
  type Domain,
  type Hex,
  messageHash,
  parties,
  type RequestForCompute,
  rfcType,
  type Signed,
  type Signer,
  signMessage,
  type Tick,
  tickType,
  toHex,
  zeroBytes32,
  type Address,
} from "@lake-travis/protocol";
import { generateKey, signerFromKey, systemRandom } from "@lake-travis/platform";

/** A User's side of the protocol: wallet, delegated key, and one key per Session. */
export class SimulatedUser {
  readonly wallet: Signer = signerFromKey(generateKey());
  readonly sessionKey: Signer = signerFromKey(generateKey());
  readonly #keys = new Map<Address, Signer>();
  readonly #separator: Uint8Array;
  readonly #clock: Clock;

  constructor(domain: Domain, clock: Clock) {
    this.#separator = domainSeparatorOf(domain);
    this.#clock = clock;
  }

  /** A signed Delegation with generous limits. */
  delegation(changes: Partial<Delegation> = {}): Signed<Delegation> {
    const message: Delegation = {
      user: this.wallet.address,
      sessionKey: this.sessionKey.address,
      epochLimit: 10n ** 24n,
      debitCeiling: 10n ** 24n,
      pseudonymCommitment: zeroBytes32,
      expiresAt: this.#clock.now() + 86_400_000,
      nonce: 1,
      ...changes,
    };
    return signMessage(this.#separator, delegationType, message, this.wallet);
  }

  /** The hash by which RFCs name a Delegation. */
  hashOf(delegation: Signed<Delegation>): Hex {
    return messageHash(this.#separator, delegationType, delegation.message);
  }

  /** A signed RFC with a fresh session key and nonce. */
  rfc(
    wish: Pick<RequestForCompute, "router" | "delegationHash" | "model"> &
      Partial<RequestForCompute>,
  ): Signed<RequestForCompute> {
    const key = signerFromKey(generateKey());
    this.#keys.set(key.address, key);
    const message: RequestForCompute = {
      sessionKey: key.address,
      manifestDigest: zeroBytes32,
      maxWeiPerSecond: 10n ** 18n,
      minMilliTps: 0,
      maxLatencyMs: 0,
      maxSeconds: 600,
      nonce: toHex(systemRandom.bytes(32)),
      deadline: this.#clock.now() + 30_000,
      wishHash: zeroBytes32,
      ...wish,
    };
    return signMessage(this.#separator, rfcType, message, this.sessionKey);
  }

  /** A Tick signed by the key of its Session. */
  tick(sessionKey: Address, figures: Partial<Tick> & Pick<Tick, "sessionId">): Signed<Tick> {
    const message: Tick = {
      seconds: 2,
      requestsAnswered: 0,
      requestsFailed: 0,
      tokens: 0,
      ttftMs: 0,
      activeMs: 0,
      ...figures,
    };
    return signMessage(this.#separator, tickType, message, this.#keyOf(sessionKey));
  }

  /** A Close signed by the key of its Session. */
  close(sessionKey: Address, sessionId: Hex, tickHash: Hex): Signed<Close> {
    const reason = closeReasons.indexOf("finished");
    const message = { sessionId, tickHash, party: parties.indexOf("user"), reason };
    return signMessage(this.#separator, closeType, message, this.#keyOf(sessionKey));
  }

  #keyOf(sessionKey: Address): Signer {
    const key = this.#keys.get(sessionKey);
    if (key === undefined) throw new Error("this User has no such session key");
    return key;
  }
}
