import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AbiCoder, concat, keccak256 as ethersKeccak } from "ethers";
import fc from "fast-check";
import { type Hex, toHex, zeroBytes32 } from "./hex.ts";
import { buildMerkleTree, creditLeaf, debitLeaf } from "./merkle.ts";

/** OpenZeppelin's MerkleProof.processProof, written out. */
function rootOf(leaf: string, proof: readonly string[]): string {
  return proof.reduce(
    (node, sibling) =>
      ethersKeccak(node < sibling ? concat([node, sibling]) : concat([sibling, node])),
    leaf,
  );
}

describe("merkle", () => {
  it("proves each leaf of any tree", () => {
    const leaves = fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), {
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(leaves, (list) => {
        const tree = buildMerkleTree(list);
        list.forEach((leaf, index) => {
          assert.equal(rootOf(toHex(leaf), tree.proofOf(index)), tree.root);
        });
        assert.equal(buildMerkleTree([...list].reverse()).root, tree.root);
      }),
    );
  });

  it("has the zero root when empty", () => {
    assert.equal(buildMerkleTree([]).root, zeroBytes32);
  });

  it("encodes leaves as Solidity's abi.encode, hashed twice", () => {
    const account: Hex = `0x${"ab".repeat(20)}`;
    const salt: Hex = `0x${"cd".repeat(32)}`;
    const coder = AbiCoder.defaultAbiCoder();
    const twice = (data: string): string => ethersKeccak(ethersKeccak(data));
    assert.equal(
      toHex(creditLeaf(account, 5n)),
      twice(coder.encode(["address", "uint256"], [account, 5n])),
    );
    assert.equal(
      toHex(debitLeaf({ number: 7n, cumulative: 9n, salt })),
      twice(coder.encode(["uint256", "uint256", "bytes32"], [7n, 9n, salt])),
    );
  });
});
