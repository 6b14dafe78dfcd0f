import { type Address, domainOf, domainSeparatorOf } from "@lake-travis/protocol";
import { readKey, signerFromKey } from "@lake-travis/platform";
import type { ChainClient } from "@lake-travis/platform/chain";
import { type HeldDelegation, loadDelegation } from "../delegation.ts";
import { addressInKeystore, isKeystoreText, readKeystoreText } from "../wallet/keystore.ts";
import type { LakeContext } from "./lake-context.ts";
import type { UserPlace } from "./user-place.ts";

/** The User's address, found without asking for a passphrase where that is possible. */
export async function userAddress(context: LakeContext): Promise<Address> {
  const place = context.place();
  const held = heldDelegation(place);
  if (held !== undefined) return held.signed.message.user;
  return addressWithoutAsking(place) ?? (await context.wallet()).wallet.address;
}

/** The Delegation kept in the data folder for this network. */
export function heldDelegation(place: UserPlace): HeldDelegation | undefined {
  return loadDelegation(place.dataDir, domainSeparatorOf(domainOf(place.deployment())));
}

function addressWithoutAsking(place: UserPlace): Address | undefined {
  const wallet = place.wallet();
  if (wallet.kind === "keystore") return addressInKeystore(wallet.file);
  if (wallet.kind !== "key-file") return undefined;
  if (isKeystoreText(readKeystoreText(wallet.file))) return addressInKeystore(wallet.file);
  return signerFromKey(readKey(wallet.file)).address;
}

/** A deposit of the Compute Contract. Amounts are wei of MOR. */
export interface DepositFacts {
  readonly number: bigint;
  /** Put in less taken out and less what was booked as spent. */
  readonly left: bigint;
  readonly announced: bigint;
  readonly announcedEpoch: number;
}

/** The User's deposit; undefined where there is none. */
export async function depositOf(
  chain: ChainClient,
  owner: Address,
): Promise<DepositFacts | undefined> {
  let number: bigint;
  try {
    number = (await chain.read("computeContract", "numberOf", [owner])) as bigint;
  } catch (error) {
    if (String(error).includes("DepositUnknown")) return undefined;
    throw error;
  }
  const record = (await chain.read("computeContract", "depositOf", [number])) as {
    deposited: bigint;
    withdrawn: bigint;
    collected: bigint;
    announced: bigint;
    announcedEpoch: bigint;
  };
  const { announced, announcedEpoch, collected, deposited, withdrawn } = record;
  const left = deposited - withdrawn - collected;
  return { number, left, announced, announcedEpoch: Number(announcedEpoch) };
}
