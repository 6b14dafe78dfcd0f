// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Merkle proofs whose inner nodes hash their children in sorted order
/// @notice The same trees as OpenZeppelin's MerkleProof (a test compares them), at about half the
/// gas a level; a claim climbs twenty.
library SortedProof {
    /// @notice keccak256(keccak256(abi.encode(account, cumulativeCredit))).
    function creditLeaf(address account, uint256 cumulativeCredit)
        internal
        pure
        returns (bytes32 leaf)
    {
        assembly ("memory-safe") {
            mstore(0x00, shr(96, shl(96, account)))
            mstore(0x20, cumulativeCredit)
            mstore(0x00, keccak256(0x00, 0x40))
            leaf := keccak256(0x00, 0x20)
        }
    }

    /// @notice Whether `leaf` leads to `root` by `proof`. The caller pays for the length it gives.
    function verify(bytes32[] calldata proof, bytes32 root, bytes32 leaf)
        internal
        pure
        returns (bool)
    {
        bytes32 node = leaf;
        assembly ("memory-safe") {
            let at := proof.offset
            let end := add(at, shl(5, proof.length))
            // The smaller of node and sibling goes to 0x00, the larger to 0x20.
            if and(proof.length, 1) {
                let sibling := calldataload(at)
                let swap := shl(5, gt(node, sibling))
                mstore(swap, node)
                mstore(xor(swap, 0x20), sibling)
                node := keccak256(0x00, 0x40)
                at := add(at, 0x20)
            }
            // Two levels a turn: a loop's own jumps cost a quarter of a level.
            for {} lt(at, end) { at := add(at, 0x40) } {
                let sibling := calldataload(at)
                let swap := shl(5, gt(node, sibling))
                mstore(swap, node)
                mstore(xor(swap, 0x20), sibling)
                node := keccak256(0x00, 0x40)
                sibling := calldataload(add(at, 0x20))
                swap := shl(5, gt(node, sibling))
                mstore(swap, node)
                mstore(xor(swap, 0x20), sibling)
                node := keccak256(0x00, 0x40)
            }
        }
        return node == root;
    }
}
