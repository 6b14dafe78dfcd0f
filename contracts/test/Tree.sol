// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Merkle trees with sorted pairs, built the obvious way
library Tree {
    function creditLeaf(address account, uint256 cumulative) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(account, cumulative))));
    }

    function debitLeaf(uint256 number, uint256 cumulative, bytes32 salt)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(bytes.concat(keccak256(abi.encode(number, cumulative, salt))));
    }

    function root(bytes32[] memory leaves) internal pure returns (bytes32) {
        bytes32[] memory layer = leaves;
        while (layer.length > 1) {
            layer = above(layer);
        }
        return layer.length == 0 ? bytes32(0) : layer[0];
    }

    function proof(bytes32[] memory leaves, uint256 index)
        internal
        pure
        returns (bytes32[] memory path)
    {
        bytes32[] memory full = new bytes32[](32);
        uint256 count;
        bytes32[] memory layer = leaves;
        while (layer.length > 1) {
            uint256 sibling = index ^ 1;
            if (sibling < layer.length) full[count++] = layer[sibling];
            layer = above(layer);
            index /= 2;
        }
        path = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            path[i] = full[i];
        }
    }

    function above(bytes32[] memory layer) private pure returns (bytes32[] memory next) {
        next = new bytes32[]((layer.length + 1) / 2);
        for (uint256 i = 0; i < next.length; ++i) {
            bytes32 left = layer[2 * i];
            if (2 * i + 1 == layer.length) {
                next[i] = left;
                continue;
            }
            bytes32 right = layer[2 * i + 1];
            next[i] = left < right
                ? keccak256(abi.encodePacked(left, right))
                : keccak256(abi.encodePacked(right, left));
        }
    }
}
