// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DevMor} from "../src/DevMor.sol";
import {EpochClock} from "../src/EpochClock.sol";
import {IDevMor} from "../src/interfaces/IDevMor.sol";
import {Network} from "./Network.sol";

contract DevMorTest is Network {
    function setUp() public {
        deploy();
    }

    /// 14,400 n - 2.468994701 n (n - 1) / 2, as published.
    function test_cumulative_equals_the_published_schedule() public view {
        equal(mor.cumulativeEmission(0), 0, "nothing");
        equal(mor.cumulativeEmission(1), 14_400 ether, "1");
        equal(mor.cumulativeEmission(2), 28_797_531_005_299_000_000_000, "2");
        equal(mor.cumulativeEmission(100), 1_427_778_476_230_050_000_000_000, "100");
        equal(mor.cumulativeEmission(700), 9_475_960_446_400_350_000_000_000, "700");
        equal(mor.cumulativeEmission(5_832), 41_999_999_175_935_604_000_000_000, "5832");
        equal(mor.cumulativeEmission(5_833), 41_999_999_998_839_372_000_000_000, "5833");
        equal(mor.cumulativeEmission(5_833), mor.cumulativeEmission(type(uint64).max), "end");
        atMost(mor.cumulativeEmission(5_833), 42_000_000 ether, "cap");
        check(mor.cumulativeEmission(5_833) > mor.cumulativeEmission(5_832), "last day emits");
    }

    function test_emits_by_day_or_at_once_alike(uint16 firstDays, uint16 moreDays) public {
        uint256 cheated = mor.totalSupply();
        vm.warp(GENESIS + uint256(firstDays) * EPOCH);
        mor.emitDue();
        if (uint256(firstDays) + moreDays < 5_833 && moreDays > 0) {
            vm.warp(GENESIS + (uint256(firstDays) + moreDays) * EPOCH);
            mor.emitDue();
            uint64 dayCount = uint64(firstDays) + moreDays + 1;
            equal(mor.totalSupply() - cheated, mor.cumulativeEmission(dayCount), "supply");
            equal(mor.emittedDays(), dayCount, "days");
        }
    }

    function test_splits_24_24_24_24_4() public {
        uint256 before = mor.balanceOf(capital);
        uint256 bucket = mor.emitDue();
        equal(bucket, 3_456 ether, "24%");
        equal(mor.balanceOf(capital) - before, bucket, "capital");
        equal(mor.balanceOf(address(0xC0DE)), bucket, "code");
        equal(mor.balanceOf(address(0x50F7)), 576 ether, "protection");
        equal(compute.computePool(), bucket, "compute");
        equal(compute.communityPool(), bucket, "community");
        equal(mor.balanceOf(address(mor)), 0, "nothing kept");
        equal(mor.capital(), capital, "named");
        equal(mor.code(), address(0xC0DE), "named");
        equal(mor.protection(), address(0x50F7), "named");
        equal(address(mor.computeContract()), address(compute), "named");
    }

    function test_nothing_twice_and_nothing_after_the_last_day() public {
        mor.emitDue();
        vm.expectRevert(abi.encodeWithSelector(IDevMor.NothingDue.selector, 1));
        mor.emitDue();
        vm.warp(GENESIS + 6_000 * uint256(EPOCH));
        mor.emitDue();
        vm.warp(GENESIS + 7_000 * uint256(EPOCH));
        vm.expectPartialRevert(IDevMor.NothingDue.selector);
        mor.emitDue();
    }

    function test_the_clock(uint32 later) public {
        vm.warp(uint256(GENESIS) + later);
        equal(mor.currentEpoch(), later / EPOCH, "epoch");
        vm.warp(GENESIS - 1);
        vm.expectRevert(abi.encodeWithSelector(EpochClock.BeforeGenesis.selector, GENESIS));
        mor.currentEpoch();
    }

    function test_the_clock_is_range_checked() public {
        vm.expectPartialRevert(EpochClock.EpochSecondsOutOfRange.selector);
        new DevMor(1, GENESIS, capital, capital, capital, capital);
        vm.expectPartialRevert(EpochClock.EpochSecondsOutOfRange.selector);
        new DevMor(7 days + 1, GENESIS, capital, capital, capital, capital);
        vm.expectPartialRevert(EpochClock.GenesisOutOfRange.selector);
        new DevMor(EPOCH, GENESIS + 366 days, capital, capital, capital, capital);
        DevMor later = new DevMor(2, GENESIS + 365 days, capital, capital, capital, capital);
        equal(later.genesis(), GENESIS + 365 days, "genesis");
        DevMor longest = new DevMor(7 days, GENESIS, capital, capital, capital, capital);
        equal(longest.epochSeconds(), 7 days, "length");
    }
}
