import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Clock,
  type Delegation,
  delegationType,
  type Domain,
  domainSeparatorOf,
  fromHex,
  type Hex,
  isHex,
  keccak256Hex,
  LakeError,
  messageHash,
  type Random,
  type Signed,
  signedFromJson,
  signedToJson,
  type Signer,
  toHex,
} from "@lake-travis/protocol";
import { generateKey, signerFromKey } from "@lake-travis/platform";
import type { UserWallet } from "./wallet/user-wallet.ts";

/** A signed Delegation with the key that may spend under it. */
export interface HeldDelegation {
  readonly signed: Signed<Delegation>;
  readonly hash: Hex;
  readonly delegate: Signer;
  readonly pseudonymKey: Hex;
}

/** What a wallet allows its delegate. Amounts are wei of MOR. */
export interface DelegationLimits {
  readonly epochLimit: bigint;
  readonly debitCeiling: bigint;
  readonly lifetimeMs: number;
}

/** Signs a Delegation with the wallet: the one moment at which the wallet's key is needed. */
export async function makeDelegation(options: {
  readonly wallet: UserWallet;
  readonly allowed: DelegationLimits;
  readonly domain: Domain;
  readonly clock: Clock;
  readonly random: Random;
}): Promise<{ readonly held: HeldDelegation; readonly delegateKey: Hex }> {
  const { wallet, allowed, domain, clock, random } = options;
  const delegateKey = generateKey();
  const pseudonymKey = toHex(random.bytes(32));
  const message: Delegation = {
    user: wallet.address,
    sessionKey: signerFromKey(delegateKey).address,
    epochLimit: allowed.epochLimit,
    debitCeiling: allowed.debitCeiling,
    pseudonymCommitment: keccak256Hex(fromHex(pseudonymKey)),
    expiresAt: clock.now() + allowed.lifetimeMs,
    // Milliseconds only grow, so that a later Delegation replaces an earlier one.
    nonce: clock.now(),
  };
  const signed = await wallet.sign(delegationType, message, domain);
  const separator = domainSeparatorOf(domain);
  return { held: holdDelegation(signed, delegateKey, pseudonymKey, separator), delegateKey };
}

/** Reads the Delegation kept in `folder`; undefined where there is none for this network. */
export function loadDelegation(
  folder: string,
  domainSeparator: Uint8Array,
): HeldDelegation | undefined {
  const path = join(folder, fileName);
  if (!existsSync(path)) return undefined;
  try {
    const kept = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    if (kept["network"] !== toHex(domainSeparator)) return undefined;
    const { delegateKey, pseudonymKey } = kept;
    if (!isHex(delegateKey, 32) || !isHex(pseudonymKey, 32)) throw new Error("a key is missing");
    const signed = signedFromJson(delegationType, kept["delegation"]);
    return holdDelegation(signed, delegateKey, pseudonymKey, domainSeparator);
  } catch (cause) {
    throw new LakeError("argument-invalid", `The Delegation in ${path} cannot be read.`, {
      advice: "Remove the file; the wallet is asked for a new one.",
      cause,
    });
  }
}

/** Keeps a Delegation in `folder`, readable by its owner alone. */
export function saveDelegation(
  folder: string,
  held: HeldDelegation,
  secret: { readonly delegateKey: Hex; readonly domainSeparator: Uint8Array },
): void {
  const path = join(folder, fileName);
  const text = JSON.stringify({
    network: toHex(secret.domainSeparator),
    delegation: signedToJson(delegationType, held.signed),
    delegateKey: secret.delegateKey,
    pseudonymKey: held.pseudonymKey,
  });
  writeFileSync(`${path}.new`, `${text}\n`, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}

const fileName = "delegation.json";

function holdDelegation(
  signed: Signed<Delegation>,
  delegateKey: Hex,
  pseudonymKey: Hex,
  domainSeparator: Uint8Array,
): HeldDelegation {
  return {
    signed,
    hash: messageHash(domainSeparator, delegationType, signed.message),
    delegate: signerFromKey(delegateKey),
    pseudonymKey,
  };
}
