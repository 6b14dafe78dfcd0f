// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {EpochClock} from "./EpochClock.sol";
import {Ledger} from "./Ledger.sol";
import {SortedProof} from "./SortedProof.sol";
import {ComputeHatch} from "./compute/ComputeHatch.sol";
import {ComputeSettlement} from "./compute/ComputeSettlement.sol";
import {ComputeState} from "./compute/ComputeState.sol";

/// @notice See IComputeContract. Storage and finality are in ComputeState, settlements in
/// ComputeSettlement, deposits in ComputeDeposits, the way out in ComputeHatch; here are claims.
contract ComputeContract is ComputeSettlement, ComputeHatch {
    using SafeERC20 for IERC20;

    constructor(
        uint64 epochSeconds_,
        uint64 genesis_,
        address token_,
        address registry_,
        uint256 posterRepayment_,
        uint256 demandBond_
    ) EpochClock(epochSeconds_, genesis_)
        ComputeState(token_, registry_, posterRepayment_, demandBond_)
    {}

    /// @notice See IComputeContract.
    function claim(address account, uint256 cumulativeCredit, bytes32[] calldata proof)
        external
        nonReentrant
    {
        Head memory h = _advance();
        uint256 amount = _claim(h, account, cumulativeCredit, proof);
        if (amount == 0) revert NothingToClaim();
        _requireClaimable(h, amount);
        token.safeTransfer(account, amount);
    }

    /// @notice See IComputeContract. The caller pays for each entry, so it bounds its own list.
    function claimMany(CreditClaim[] calldata claims) external nonReentrant {
        Head memory h = _advance();
        uint256[] memory amounts = new uint256[](claims.length);
        uint256 sum;
        for (uint256 i = 0; i < claims.length; ++i) {
            CreditClaim calldata one = claims[i];
            amounts[i] = _claim(h, one.account, one.cumulativeCredit, one.proof);
            sum += amounts[i];
        }
        _requireClaimable(h, sum);
        for (uint256 i = 0; i < claims.length; ++i) {
            if (amounts[i] != 0) token.safeTransfer(claims[i].account, amounts[i]);
        }
    }

    /// Books a claim and says what is to be paid: what the leaf grants beyond what was paid before.
    function _claim(
        Head memory h,
        address account,
        uint256 cumulativeCredit,
        bytes32[] calldata proof
    ) private returns (uint256 amount) {
        bytes32 leaf = SortedProof.creditLeaf(account, cumulativeCredit);
        if (!SortedProof.verify(proof, books[h.finalBook].creditRoot, leaf)) revert ProofInvalid();
        uint256 before = claimedBy[account];
        if (cumulativeCredit <= before) return 0;
        amount = cumulativeCredit - before;
        claimedBy[account] = cumulativeCredit;
        emit Claimed(account, cumulativeCredit);
    }

    /// The token's books say what was claimed before: it is what is missing from `held`.
    function _requireClaimable(Head memory h, uint256 amount) private view {
        uint256 balance = token.balanceOf(address(this));
        if (amount > Ledger.claimable(balance, h.held, h.claimLimit)) {
            revert ClaimsExceedCollected(h.claimLimit);
        }
    }
}
