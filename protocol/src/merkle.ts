/*
 * Merkle trees as OpenZeppelin's `merkle-tree` builds them (a complete binary tree in one array,
 * sorted pairs, leaves hashed twice), so that its Solidity verifier and other people's tools fit.
 * Source: https://github.com/OpenZeppelin/merkle-tree. Deviation: nodes lie in one flat
 * Uint8Array, so that a million leaves cost 64 MB and no objects.
 */
import { assert } from "./errors.ts";
import { type Address, type Hex, toHex, writeHex, zeroBytes32 } from "./hex.ts";
import { keccak256 } from "./keccak.ts";

/** A built tree; an empty one has the zero root. */
export interface MerkleTree {
  readonly root: Hex;
  /** The proof of the leaf that was given at `index`, from the leaf up. */
  proofOf(index: number): Hex[];
}

/** The double hash of an ABI-encoded leaf; against second preimages. */
export function leafOf(encoded: Uint8Array): Uint8Array {
  return keccak256(keccak256(encoded));
}

/** The leaf (account, cumulative credit in wei) of the credit tree. */
export function creditLeaf(account: Address, cumulative: bigint): Uint8Array {
  writeHex(account, words, 12);
  writeWord(cumulative, 32);
  return leafOf(creditWords);
}

/** The leaf (deposit number, cumulative debit in wei, salt) of the debit tree. */
export function debitLeaf(options: {
  readonly number: bigint;
  readonly cumulative: bigint;
  readonly salt: Hex;
}): Uint8Array {
  writeWord(options.number, 0);
  writeWord(options.cumulative, 32);
  writeHex(options.salt, words, 64);
  const leaf = leafOf(words);
  // An account is narrower than a word: what is before it stays zero.
  words.fill(0, 0, 32);
  return leaf;
}

/** Builds a tree over 32-byte leaves; their order does not matter to the root. */
export function buildMerkleTree(leaves: readonly Uint8Array[]): MerkleTree {
  const count = leaves.length;
  if (count === 0) return { root: zeroBytes32, proofOf: () => [] };
  const nodes = new Uint8Array(32 * (2 * count - 1));
  const slots = new Float64Array(count);
  orderOf(leaves).forEach((leafIndex, rank) => {
    const slot = 2 * count - 2 - rank;
    slots[leafIndex] = slot;
    nodes.set(leaves[leafIndex] as Uint8Array, 32 * slot);
  });
  for (let slot = count - 2; slot >= 0; slot -= 1) {
    nodes.set(hashPair(nodes, 2 * slot + 1), 32 * slot);
  }
  return {
    root: toHex(nodes.subarray(0, 32)),
    proofOf: (index) => proofAt(nodes, slots[index]),
  };
}

/**
 * The places of leaves in ascending order. A sort by a comparing function takes longer than all the
 * hashing, so the first 32 bits are sorted as numbers together with their places, and only leaves
 * that agree in those are compared as a whole.
 */
function orderOf(leaves: readonly Uint8Array[]): Float64Array {
  const keys = new Float64Array(leaves.length);
  if (leaves.length > placesMax) {
    keys.forEach((_, index) => (keys[index] = index));
    return keys.sort((a, b) => compare(leaves[a] as Uint8Array, leaves[b] as Uint8Array));
  }
  leaves.forEach((leaf, index) => {
    const head = new DataView(leaf.buffer, leaf.byteOffset).getUint32(0);
    keys[index] = head * placesMax + index;
  });
  keys.sort();
  const order = keys.map((key) => key % placesMax);
  const same = (rank: number): boolean =>
    Math.floor((keys[rank] as number) / placesMax) ===
    Math.floor((keys[rank + 1] as number) / placesMax);
  for (let from = 0; from < order.length; from += 1) {
    let to = from;
    while (to + 1 < order.length && same(to)) to += 1;
    if (to === from) continue;
    order
      .subarray(from, to + 1)
      .sort((a, b) => compare(leaves[a] as Uint8Array, leaves[b] as Uint8Array));
    from = to;
  }
  return order;
}

/** Places that fit beside 32 bits in a number. */
const placesMax = 2 ** 21;

function proofAt(nodes: Uint8Array, leafSlot: number | undefined): Hex[] {
  assert(leafSlot !== undefined, "a proof was asked for a leaf that the tree has not");
  const proof: Hex[] = [];
  for (let slot = leafSlot; slot > 0; slot = (slot - 1) >> 1) {
    const sibling = slot % 2 === 0 ? slot - 1 : slot + 1;
    proof.push(toHex(nodes.subarray(32 * sibling, 32 * sibling + 32)));
  }
  return proof;
}

const pair = new Uint8Array(64);

function hashPair(nodes: Uint8Array, leftSlot: number): Uint8Array {
  const left = nodes.subarray(32 * leftSlot, 32 * leftSlot + 32);
  const right = nodes.subarray(32 * leftSlot + 32, 32 * leftSlot + 64);
  const ordered = compare(left, right) < 0;
  pair.set(ordered ? left : right, 0);
  pair.set(ordered ? right : left, 32);
  return keccak256(pair);
}

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let index = 0; index < 32; index += 1) {
    const difference = (a[index] as number) - (b[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What is hashed is written here each time: a million leaves need no million buffers. */
const words = new Uint8Array(96);
const wordsView = new DataView(words.buffer);
const creditWords = words.subarray(0, 64);

function writeWord(value: bigint, offset: number): void {
  words.fill(0, offset, offset + 32);
  for (let at = offset + 24, rest = value; rest > 0n; at -= 8, rest >>= 64n) {
    wordsView.setBigUint64(at, rest);
  }
}
