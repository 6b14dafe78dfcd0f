import {
  type Address,
  type Clock,
  heartbeatDigest,
  type Hex,
  isHex,
  LakeError,
  type NodeDirectory,
  routerPaths,
  type Signatures,
} from "@lake-travis/protocol";
import type { HttpClient } from "@lake-travis/platform";

/** A registered key changes only from one epoch to the next, so this is often enough to look. */
const lookMs = 5_000;

/** What a {@link RouterLink} works with. */
export interface RouterLinkParts {
  readonly routerUrl: string;
  readonly http: HttpClient;
  readonly directory: NodeDirectory;
  readonly clock: Clock;
  readonly signatures: Signatures;
  readonly domainSeparator: Uint8Array;
}

/**
 * Who our Router is: its account by its own word, its key by the chain's. Only Tickets of this
 * Router are taken, so nobody can make us look up keys on the chain for accounts of their choice.
 */
export class RouterLink {
  readonly #parts: RouterLinkParts;
  #account: Address | undefined;
  #key: Address | undefined;
  #lookedAt = -Infinity;
  #looking: Promise<void> | undefined;

  constructor(parts: RouterLinkParts) {
    this.#parts = parts;
  }

  /** The Router's account, once it has been reached. */
  get account(): Address | undefined {
    return this.#account;
  }

  /** The key that signs for this Router; undefined for any other. */
  keyOf(router: Address): Address | undefined {
    return router === this.#account ? this.#key : undefined;
  }

  /**
   * Looks the Router up again where the last look is some seconds old. Throws
   * `router-unreachable`, `chain-unreachable`, or `chain-wrong` where it serves another network.
   */
  async look(): Promise<void> {
    if (this.#parts.clock.now() - this.#lookedAt < lookMs && this.#key !== undefined) return;
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  /** Whether the Router signed exactly these bytes. */
  hasSigned(body: Uint8Array, signature: string): boolean {
    const { signatures, domainSeparator } = this.#parts;
    if (!isHex(signature, 65) || this.#key === undefined) return false;
    return signatures.recover(heartbeatDigest(domainSeparator, body), signature) === this.#key;
  }

  async #lookNow(): Promise<void> {
    const { http, routerUrl, directory, clock } = this.#parts;
    const status = (await http.json("GET", routerUrl + routerPaths.status)) as {
      router?: Hex;
    } | null;
    const account = status?.router;
    if (!isHex(account, 20)) {
      throw new LakeError("router-unreachable", `${routerUrl} is not a Router.`);
    }
    const key = await directory.signingKeyOf(account);
    if (key === undefined) {
      throw new LakeError("chain-wrong", `The Router at ${routerUrl} is not registered here.`, {
        advice: "Check that the deployment file and the Router are of one network.",
        data: { router: account },
      });
    }
    this.#account = account;
    this.#key = key;
    this.#lookedAt = clock.now();
  }
}
