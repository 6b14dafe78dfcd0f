import type { Signal } from "./clock.ts";
import type { Address, Hex } from "../hex.ts";

/** What a name of the Model Registry stands for: weights, or an agent on a base model. */
export type ModelKind = "model" | "agent";

/** One published version of a model, as the Model Registry contract knows it. */
export interface ModelVersion {
  /** `builder/name`, lower-case. */
  readonly name: string;
  /** SHA-256 of the manifest's bytes. */
  readonly manifestDigest: Hex;
  /** The multihash digest inside the manifest's CIDv1; equals the digest while it is one block. */
  readonly manifestCid: Hex;
  readonly kind: ModelKind;
  /** The manifest digest of an agent's base model; 32 zero bytes for a model. */
  readonly baseDigest: Hex;
  /** The Builder's account, which is paid whoever serves the model. */
  readonly builder: Address;
  /** The Builder's price in force now, in wei of MOR a second. */
  readonly weiPerSecond: bigint;
  /** How often the name was claimed anew; handles and Offers bind it. */
  readonly generation: number;
  /** Seconds since 1970 at which the version was published. */
  readonly publishedAtSeconds: number;
}

/** A tag moved to a version. */
export interface TagMove {
  readonly tag: string;
  readonly manifestDigest: Hex;
  /** Seconds since 1970. */
  readonly movedAtSeconds: number;
}

/** What it takes to publish a version under a tag in one transaction. */
export interface VersionToPublish {
  readonly name: string;
  readonly tag: string;
  readonly manifestDigest: Hex;
  readonly manifestCid: Hex;
  readonly kind: ModelKind;
  /** Needed for an agent: `builder/name` and manifest digest of its base model. */
  readonly baseName?: string;
  readonly baseDigest?: Hex;
}

/**
 * The Model Registry contract as the registry's code sees it.
 *
 * Every method throws `chain-unreachable` where the chain does not answer; those that write throw
 * `name-taken` where the name belongs to somebody else and `chain-refused` with the contract's
 * reason otherwise. A write resolves with its transaction's hash once it is mined.
 */
export interface ModelNames {
  /** The account that this port's writes are signed by; undefined where it can only read. */
  readonly account: Address | undefined;
  /** The version under a tag; undefined where there is none. */
  resolve(wanted: {
    readonly name: string;
    readonly tag: string;
  }): Promise<ModelVersion | undefined>;
  /** The version with this manifest digest; undefined where the name never published it. */
  version(wanted: {
    readonly name: string;
    readonly manifestDigest: Hex;
  }): Promise<ModelVersion | undefined>;
  /** Who holds the name; undefined where it is free. */
  builderOf(name: string): Promise<Address | undefined>;
  /** Each tag of the name with what it points at now, in order of the tags. */
  tags(name: string): Promise<readonly TagMove[]>;
  /** Every move of one tag, oldest first. */
  tagHistory(wanted: { readonly name: string; readonly tag: string }): Promise<readonly TagMove[]>;
  /** Claims a free name by commit and reveal; returns at once if the account holds it already. */
  claim(name: string, signal?: Signal): Promise<void>;
  /** Publishes a version under a tag. */
  publish(version: VersionToPublish): Promise<Hex>;
  /** Points a tag at a version that is published already. */
  moveTag(move: {
    readonly name: string;
    readonly tag: string;
    readonly manifestDigest: Hex;
  }): Promise<Hex>;
  /** Sets the Builder's price in wei of MOR a second, in force from the next epoch on. */
  setPrice(price: { readonly name: string; readonly weiPerSecond: bigint }): Promise<Hex>;
}
