/*
 * The settlement of an epoch from what its Sessions cost: cumulative credit and debit trees, the
 * Records' root, and the message that the Routers sign. Pure, so that every Router and every
 * auditor computes the same bytes from the same Records.
 */
import { type Address, fromHex, type Hex, toHex } from "./hex.ts";
import { keccak256 } from "./keccak.ts";
import { buildMerkleTree, creditLeaf, debitLeaf, type MerkleTree } from "./merkle.ts";
import type { Seal, Settlement, Totals } from "./messages.ts";
import { recordLeaf, type SessionRecord } from "./record.ts";
import { verdictRules } from "./verdicts/baseline.ts";

/** Money moved since the beginning, at the end of an epoch; amounts in wei. */
export interface Balances {
  /** What each account earned since the beginning, claimed or not. */
  readonly credits: ReadonlyMap<Address, bigint>;
  /** What each deposit was debited since the beginning; one that is missing was never debited. */
  readonly debits: ReadonlyMap<number, bigint>;
  readonly totals: Totals;
}

/** One account's place in the credit tree. */
export interface CreditEntry {
  readonly account: Address;
  readonly cumulative: bigint;
}

/** One deposit's place in the debit tree. */
export interface DebitEntry {
  readonly number: number;
  readonly cumulative: bigint;
  readonly salt: Hex;
}

/** The credit tree with its leaves in the order of their accounts. */
export interface CreditTree {
  readonly entries: readonly CreditEntry[];
  readonly tree: MerkleTree;
}

/** The debit tree, dense by number, zeros included. */
export interface DebitTree {
  readonly entries: readonly DebitEntry[];
  readonly tree: MerkleTree;
}

/** Builds the tree of cumulative credits. */
export function creditTreeOf(credits: ReadonlyMap<Address, bigint>): CreditTree {
  const entries = [...credits]
    .map(([account, cumulative]) => ({ account, cumulative }))
    .sort((a, b) => (a.account < b.account ? -1 : 1));
  const leaves = entries.map((entry) => creditLeaf(entry.account, entry.cumulative));
  return { entries, tree: buildMerkleTree(leaves) };
}

/**
 * Builds the tree of cumulative debits of deposits 0 to `deposits - 1`. The salt keeps a stranger
 * from guessing what a deposit spent: it is H(secret, number) with a secret that only Routers know
 * and that, other than the epoch's seed, is never revealed.
 */
export function debitTreeOf(options: {
  readonly debits: ReadonlyMap<number, bigint>;
  readonly deposits: number;
  readonly secret: Hex;
}): DebitTree {
  const { debits, deposits, secret } = options;
  const entries = Array.from({ length: deposits }, (_, number) => ({
    number,
    cumulative: debits.get(number) ?? 0n,
    salt: saltOf(secret, number),
  }));
  const leaves = entries.map(({ number, cumulative, salt }) =>
    debitLeaf({ number: BigInt(number), cumulative, salt }),
  );
  return { entries, tree: buildMerkleTree(leaves) };
}

/** The Merkle root of Records; zero where there are none. */
export function recordRootOf(records: readonly SessionRecord[]): Hex {
  return buildMerkleTree(records.map(recordLeaf)).root;
}

/** A Router's commitment to its Records of an epoch. */
export function sealOf(options: {
  readonly epoch: number;
  readonly router: Address;
  readonly recordsRoot: Hex;
  readonly count: number;
}): Seal {
  const { epoch, router, recordsRoot, count } = options;
  return { epoch, router, recordsRoot, count };
}

/** The message that Routers sign for the state of the network's money at the end of `epoch`. */
export function settlementOf(options: {
  readonly epoch: number;
  readonly round: number;
  readonly previous: Hex;
  readonly balances: Balances;
  readonly recordRoot: Hex;
  readonly recordCid: Hex;
  readonly sealsHash: Hex;
  /** The rules of charges, credits and verdicts. */
  readonly rules: Hex;
  /** The hash of the baseline that the newest epoch's Records lead to. */
  readonly baselineHash: Hex;
  readonly debitSecret: Hex;
}): Settlement {
  const { epoch, round, previous, balances, recordRoot, recordCid, sealsHash } = options;
  return {
    epoch,
    round,
    previous,
    sealsHash,
    creditRoot: creditTreeOf(balances.credits).tree.root,
    debitRoot: debitTreeOf({
      debits: balances.debits,
      deposits: balances.totals.deposits,
      secret: options.debitSecret,
    }).tree.root,
    recordRoot,
    recordCid,
    rules: options.rules,
    baselineHash: options.baselineHash,
    totals: balances.totals,
  };
}

/**
 * The versions of the rules, four bytes each: by which charges become credits (1 is DESIGN.md
 * section 4), and by which Records get their verdicts.
 */
export const rulesOfSettlement: Hex = `0x${hexOf(1).padStart(56, "0")}${hexOf(verdictRules)}`;

/** The hash of Seals in the order of their Routers' ranks: of their EIP-712 digests in a row. */
export function sealsHashOf(sealHashes: readonly Hex[]): Hex {
  const bytes = new Uint8Array(32 * sealHashes.length);
  sealHashes.forEach((hash, index) => {
    bytes.set(fromHex(hash), 32 * index);
  });
  return toHex(keccak256(bytes));
}

function hexOf(version: number): string {
  return version.toString(16).padStart(8, "0");
}

function saltOf(secret: Hex, number: number): Hex {
  const bytes = new Uint8Array(64);
  bytes.set(fromHex(secret), 0);
  new DataView(bytes.buffer).setBigUint64(56, BigInt(number));
  return toHex(keccak256(bytes));
}
