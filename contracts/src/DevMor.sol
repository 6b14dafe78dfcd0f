// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {EpochClock} from "./EpochClock.sol";
import {IComputeContract} from "./interfaces/IComputeContract.sol";
import {IDevMor} from "./interfaces/IDevMor.sol";

/// @notice See IDevMor. A "day" is the epoch length of the deployment.
contract DevMor is ERC20, ERC20Permit, EpochClock, IDevMor {
    /// First day that emits nothing: 14,400 / 2.468994701 = 5,832.33.
    uint256 public constant EMISSION_DAYS = 5_833;
    /// wei that each of the four large buckets (24%) gets on day 0.
    uint256 private constant BUCKET_FIRST_DAY = 3_456 ether;
    /// wei by which a large bucket falls each day: 24% of 2.468994701 MOR.
    uint256 private constant BUCKET_FALL = 592_558_728_240_000_000;
    /// Protection gets 4%, a sixth of a large bucket; both constants divide by six exactly.
    uint256 private constant BUCKETS_PER_PROTECTION = 6;

    /// @notice Where 24% for capital goes; its owner is the faucet of a local network.
    address public immutable capital;
    /// @notice Where 24% for code goes.
    address public immutable code;
    /// @notice Where 4% for protection goes.
    address public immutable protection;
    /// @notice The ComputeContract, funded with the compute and the community bucket.
    IComputeContract public immutable computeContract;

    uint64 public emittedDays;

    constructor(
        uint64 epochSeconds_,
        uint64 genesis_,
        address capital_,
        address code_,
        address protection_,
        address computeContract_
    ) ERC20("Morpheus (development)", "MOR") ERC20Permit("Morpheus (development)")
        EpochClock(epochSeconds_, genesis_)
    {
        capital = capital_;
        code = code_;
        protection = protection_;
        computeContract = IComputeContract(computeContract_);
        // Only this contract's own balance, minted in `emitDue` for that very call, is exposed.
        _approve(address(this), computeContract_, type(uint256).max);
    }

    /// @inheritdoc IDevMor
    function emitDue() external returns (uint256 bucket) {
        uint64 from = emittedDays;
        uint64 to = currentEpoch() + 1;
        if (to > EMISSION_DAYS) to = uint64(EMISSION_DAYS);
        if (to <= from) revert NothingDue(from);
        emittedDays = to;
        bucket = _bucketEmission(to) - _bucketEmission(from);
        uint256 protectionShare = bucket / BUCKETS_PER_PROTECTION;
        _mint(capital, bucket);
        _mint(code, bucket);
        _mint(protection, protectionShare);
        _mint(address(this), 2 * bucket);
        emit Emitted(from, to, bucket, protectionShare);
        computeContract.fund(IComputeContract.Bucket.Compute, bucket);
        computeContract.fund(IComputeContract.Bucket.Community, bucket);
    }

    /// @inheritdoc IDevMor
    function cumulativeEmission(uint64 dayCount) external pure returns (uint256) {
        uint256 bucket = _bucketEmission(dayCount);
        return 4 * bucket + bucket / BUCKETS_PER_PROTECTION;
    }

    /// The sum over days 0 .. dayCount - 1 of 3,456 - 0.59255872824 n, exact in wei.
    function _bucketEmission(uint256 dayCount) private pure returns (uint256) {
        if (dayCount > EMISSION_DAYS) dayCount = EMISSION_DAYS;
        if (dayCount == 0) return 0;
        return BUCKET_FIRST_DAY * dayCount - BUCKET_FALL * (dayCount * (dayCount - 1) / 2);
    }
}
