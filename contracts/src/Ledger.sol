// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The sums that keep one person's money apart from another's
/// @notice `held` is what the ComputeContract would hold had nobody ever claimed: funding, deposits
/// and bonds that came in, less withdrawals, bonds and repayments that went out. A claim is checked
/// against the token's own books: what it leaves may not fall below `held - limit`. So claims need
/// no running sum of their own (a storage write in each), and never reach what is a deposit's.
/// Amounts are wei. `npm run prove` proves from these very functions that deposits and bonds are
/// always covered.
library Ledger {
    /// Uncollected debits that credits may be paid ahead of, as a share of all compute funding:
    /// one budget. A false total can thus draw no more than that from the pool.
    uint256 internal constant FLOAT_DIVISOR = 100;

    /// @notice Deposits less withdrawals: what of `held` is neither funding nor bonds.
    function netDeposits(uint256 held, uint256 funded, uint256 repaid, uint256 bonds)
        internal
        pure
        returns (uint256)
    {
        return held + repaid - funded - bonds;
    }

    /// @notice What is nobody's deposit and nobody's bond: all funding, and what was collected.
    function freeMoney(uint256 funded, uint256 collected, uint256 repaid)
        internal
        pure
        returns (uint256)
    {
        return funded + collected - repaid;
    }

    /// @notice What may be claimed in all: what final totals grant, paid credits up to collected
    /// debits plus the float, and never out of deposits not collected.
    /// @param granted credits of the final settlement that the pools pay
    /// @param paid its credits that deposits pay
    function limitDown(
        uint256 granted,
        uint256 paid,
        uint256 collected,
        uint256 fundedCompute,
        uint256 fundedCommunity,
        uint256 repaid
    ) internal pure returns (uint256 limit) {
        uint256 backed = collected + fundedCompute / FLOAT_DIVISOR;
        limit = granted + (paid < backed ? paid : backed);
        uint256 free = freeMoney(fundedCompute + fundedCommunity, collected, repaid);
        if (limit > free) limit = free;
    }

    /// @notice What has been claimed in all, by the token's books. MOR sent here by a plain
    /// transfer counts as not yet claimed: a gift that false leaves can take, and honest ones never
    /// ask for.
    function claimed(uint256 balance, uint256 held) internal pure returns (uint256) {
        return balance < held ? held - balance : 0;
    }

    /// @notice What may be claimed now.
    function claimable(uint256 balance, uint256 held, uint256 limit)
        internal
        pure
        returns (uint256)
    {
        uint256 floor = held - limit;
        return balance > floor ? balance - floor : 0;
    }

    /// @notice Whether a repayment leaves the free money above what has been claimed. False totals
    /// could swell the pool on paper, and repayments from it would reach deposits.
    function repayable(uint256 repayment, uint256 balance, uint256 held, uint256 free)
        internal
        pure
        returns (bool)
    {
        return claimed(balance, held) + repayment <= free;
    }

    /// @notice What a deposit owes by a final leaf: never more than it holds, nor less than before.
    function collectable(
        uint256 cumulativeDebit, uint256 deposited, uint256 withdrawn, uint256 collected
    ) internal pure returns (uint256 owed) {
        uint256 gross = deposited - withdrawn;
        owed = cumulativeDebit < gross ? cumulativeDebit : gross;
        if (owed < collected) owed = collected;
    }

    /// @notice What of a deposit is neither paid out nor collected.
    function uncollected(uint256 deposited, uint256 withdrawn, uint256 collected)
        internal
        pure
        returns (uint256)
    {
        return deposited - withdrawn - collected;
    }
}
