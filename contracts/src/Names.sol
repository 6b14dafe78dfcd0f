// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The grammar of names
/// @notice A part is [a-z0-9][a-z0-9._-]*: lower-case ASCII only, so that no foreign letter can
/// imitate another name.
library Names {
    /// DNS labels and OCI name parts are of this order; it bounds the loops below.
    uint256 internal constant PART_BYTES_MAX = 64;

    /// @notice Whether `text` is one part.
    function isPart(bytes memory text) internal pure returns (bool) {
        return isPartBetween(text, 0, text.length);
    }

    /// @notice Splits "builder/name" at its slash; 0 if it is not a well-formed name.
    function slashOf(bytes memory text) internal pure returns (uint256 slash) {
        uint256 length = text.length;
        if (length > 2 * PART_BYTES_MAX + 1) return 0;
        while (slash < length && text[slash] != "/") ++slash;
        if (slash == length) return 0;
        if (!isPartBetween(text, 0, slash) || !isPartBetween(text, slash + 1, length)) return 0;
    }

    function isPartBetween(bytes memory text, uint256 start, uint256 end)
        private
        pure
        returns (bool)
    {
        if (end <= start || end - start > PART_BYTES_MAX) return false;
        if (!isAlphanumeric(text[start])) return false;
        for (uint256 i = start + 1; i < end; ++i) {
            bytes1 char = text[i];
            if (!isAlphanumeric(char) && char != "." && char != "_" && char != "-") return false;
        }
        return true;
    }

    function isAlphanumeric(bytes1 char) private pure returns (bool) {
        return (char >= "a" && char <= "z") || (char >= "0" && char <= "9");
    }
}
