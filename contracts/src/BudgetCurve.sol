// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Budgets of epochs that nobody settled yet, in closed form
/// @notice A checkpoint leaves X wei available. The k-th epoch after it may spend 1% of what the
/// epochs before it left, and Builders' emission takes a tenth of that on top: 1.1% is reserved.
/// So q = 0.989 of X is left after each epoch, and the first m epochs together may spend
/// C(m) = floor(X * (1 - q^m) * 10 / 11); the k-th budget is C(k) - C(k - 1), which telescopes, so
/// that sums over skipped epochs need no loop and are exact to the wei. The reserve of all epochs
/// to come, 1.1 * C(infinity), is X: the pool cannot run dry however long nobody settles.
/// @dev q^m is a Q128 number by repeated squaring, each product rounded up, so that budgets are
/// rounded down (in the pool's favour). TypeScript gives the same wei with
/// `(a * b + 2n ** 128n - 1n) >> 128n`.
library BudgetCurve {
    /// ceil(0.989 * 2^128).
    uint256 internal constant DECAY = 336539260884808140365277486750018761130;
    /// After so many epochs 2^-65 of X is left and budgets are 0 for practical purposes; up to
    /// here consecutive powers differ by far more than the rounding, so C never falls.
    uint256 internal constant EPOCHS_MAX = 4096;

    /// @notice q^epochs as a Q128 number, rounded up.
    function decayUp(uint256 epochs) internal pure returns (uint256 power) {
        if (epochs > EPOCHS_MAX) epochs = EPOCHS_MAX;
        power = 1 << 128;
        uint256 base = DECAY;
        while (epochs != 0) {
            if (epochs & 1 == 1) power = mulUp(power, base);
            base = mulUp(base, base);
            epochs >>= 1;
        }
    }

    /// @notice C(epochs): what the first `epochs` epochs after a checkpoint may spend together.
    function spendableDown(uint256 available, uint256 epochs) internal pure returns (uint256) {
        // available < 2^88, so the product stays below 2^220.
        return (available * ((1 << 128) - decayUp(epochs)) * 10 / 11) >> 128;
    }

    /// @notice What must stay in the pool so that `budgets` and their emission can be paid.
    function reserveUp(uint256 budgets) internal pure returns (uint256) {
        return (budgets * 11 + 9) / 10;
    }

    function mulUp(uint256 a, uint256 b) private pure returns (uint256) {
        return (a * b + ((1 << 128) - 1)) >> 128;
    }
}
