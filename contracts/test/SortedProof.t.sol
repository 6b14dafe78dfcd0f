// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SortedProof} from "../src/SortedProof.sol";
import {Tree} from "./Tree.sol";
import {Asserting} from "./Vm.sol";

contract SortedProofTest is Asserting {
    bool public constant IS_TEST = true;

    function ours(bytes32[] calldata proof, bytes32 root, bytes32 leaf)
        external
        pure
        returns (bool)
    {
        return SortedProof.verify(proof, root, leaf);
    }

    function test_equals_openzeppelin(bytes32[] memory proof, bytes32 leaf, bytes32 other)
        public
        view
    {
        bytes32 root = MerkleProof.processProof(proof, leaf);
        check(this.ours(proof, root, leaf), "same root");
        vm.assume(other != root);
        check(!this.ours(proof, other, leaf), "no other");
    }

    function test_leaves_are_as_described(address account, uint256 credit) public pure {
        bytes32 leaf = SortedProof.creditLeaf(account, credit);
        equal(leaf, Tree.creditLeaf(account, credit), "hashed twice");
    }
}
