// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The accounting period
/// @notice epoch = floor((now - genesis) / epochSeconds); epoch 0 begins at genesis. The same
/// clock runs in every contract, so that "this epoch" means one thing in the whole network.
abstract contract EpochClock {
    /// A longer epoch would hold a withdrawal for more than a month of waiting.
    uint64 public constant EPOCH_SECONDS_MAX = 7 days;
    /// A genesis further away is a mistyped unit (milliseconds), not a plan.
    uint64 public constant GENESIS_DELAY_MAX = 365 days;

    /// @notice Unix seconds at which epoch 0 begins.
    uint64 public immutable genesis;
    /// @notice Length of an epoch in seconds.
    uint64 public immutable epochSeconds;

    error EpochSecondsOutOfRange(uint64 given);
    error GenesisOutOfRange(uint64 given);
    error BeforeGenesis(uint64 genesis);

    constructor(uint64 epochSeconds_, uint64 genesis_) {
        if (epochSeconds_ < 2 || epochSeconds_ > EPOCH_SECONDS_MAX) {
            revert EpochSecondsOutOfRange(epochSeconds_);
        }
        if (genesis_ > block.timestamp + GENESIS_DELAY_MAX) revert GenesisOutOfRange(genesis_);
        epochSeconds = epochSeconds_;
        genesis = genesis_;
    }

    /// @notice The epoch of this block.
    function currentEpoch() public view returns (uint64) {
        if (block.timestamp < genesis) revert BeforeGenesis(genesis);
        return (uint64(block.timestamp) - genesis) / epochSeconds;
    }
}
