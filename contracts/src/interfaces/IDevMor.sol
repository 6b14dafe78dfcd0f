// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title MOR of a local or test network, with the real emission schedule
/// @notice Day n emits 14,400 - 2.468994701 n MOR until day 5,832: 24% each to capital, compute,
/// code and community, 4% to protection. Amounts are wei (18 decimals), 42,000,000 MOR at most.
interface IDevMor is IERC20 {
    /// @notice Days `fromDay` to `toDay - 1` were minted; wei per bucket.
    /// @param bucket wei to each of capital, compute, code and community
    /// @param protection wei to protection
    event Emitted(uint64 indexed fromDay, uint64 toDay, uint256 bucket, uint256 protection);

    /// @notice Nothing to mint until day `nextDay` begins.
    error NothingDue(uint64 nextDay);

    /// @notice Mints what all days begun but not yet emitted are due; anyone may call.
    /// @return bucket wei minted to each of the four large buckets
    function emitDue() external returns (uint256 bucket);

    /// @notice wei that the first `dayCount` days emit in total, all buckets together.
    function cumulativeEmission(uint64 dayCount) external pure returns (uint256);

    /// @notice How many days were emitted.
    function emittedDays() external view returns (uint64);
}
