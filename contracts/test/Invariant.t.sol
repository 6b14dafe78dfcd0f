// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../src/Messages.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {Network} from "./Network.sol";
import {NetworkHandler} from "./NetworkHandler.sol";

contract InvariantTest is Network {
    NetworkHandler internal handler;
    IComputeContract internal target;

    function setUp() public {
        handler = new NetworkHandler();
        target = handler.computeAddress();
        // The fuzzer's clock is the handler's.
        vm.warp(GENESIS + EPOCH);
    }

    function targetContracts() public view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(handler);
    }

    function held() internal view returns (uint256) {
        return handler.morOf(address(target));
    }

    /// By each account's own figure, not by the sum that the contract derives.
    function claimedByAll() internal view returns (uint256 sum) {
        for (uint256 i = 0; i < 3; ++i) {
            sum += target.claimedOf(handler.payeeAt(i));
        }
    }

    /// MOR held = pools + deposits + credits not yet claimed + bonds (+ gifts).
    function invariant_money_is_conserved() public view {
        Messages.Totals memory t = target.finalSettlement().totals;
        (uint256 deposited, uint256 withdrawn,, uint256 bonds) = target.depositTotals();
        uint256 deposits = deposited - withdrawn;
        uint256 granted = t.allowanceCredits + t.modelEmission + t.agentEmission + t.paidCredits;
        uint256 pools = target.computePool() + target.communityPool();
        uint256 left = held() + t.debits + claimedByAll();
        equal(left, pools + deposits + granted + bonds + handler.gifts(), "conserved");
    }

    /// Deposits not debited are there in full, whatever the totals say.
    function invariant_deposits_are_ring_fenced() public view {
        (uint256 deposited, uint256 withdrawn, uint256 collected, uint256 bonds) =
            target.depositTotals();
        uint256 own;
        uint256 sumDeposited;
        uint256 sumCollected;
        for (uint256 i = 0; i < 4; ++i) {
            IComputeContract.DepositRecord memory record = target.depositOf(i);
            own += record.deposited - record.withdrawn - record.collected;
            sumDeposited += record.deposited;
            sumCollected += record.collected;
        }
        equal(own, deposited - withdrawn - collected, "sums");
        equal(sumDeposited, deposited, "deposited");
        equal(sumCollected, collected, "collected");
        atMost(own + bonds, held(), "ring-fenced");
    }

    function invariant_nobody_claims_more_than_its_leaf() public view {
        for (uint256 i = 0; i < 3; ++i) {
            uint256 claimed = target.claimedOf(handler.payeeAt(i));
            atMost(claimed, handler.highestCredit(i), "leaf");
            equal(handler.received(i), claimed, "paid what is booked");
        }
        uint256 sum = claimedByAll();
        uint256 gifts = handler.gifts();
        (uint256 all, uint256 limit) = target.claimTotals();
        equal(all, sum > gifts ? sum - gifts : 0, "sum");
        atMost(sum, limit + gifts, "limit");
        Messages.Totals memory t = target.finalSettlement().totals;
        uint256 granted = t.allowanceCredits + t.modelEmission + t.agentEmission + t.paidCredits;
        atMost(sum, granted + gifts, "granted");
    }

    function invariant_totals_never_fall() public view {
        check(!handler.totalsFell(), "fell");
    }

    function invariant_allowance_is_within_budgets() public view {
        check(!handler.allowanceAboveBudgets(), "above");
    }

    function invariant_a_watching_owner_is_not_robbed() public view {
        check(!handler.watcherRobbed(), "robbed");
        uint256 taken = target.depositOf(0).collected + handler.paidBySessions(0);
        atMost(taken, handler.CEILING() + handler.lateSessions(), "collected");
        check(!handler.forgedSessionPaid(), "forged");
    }

    /// A tenth of each slashed stake goes to who showed the lie; not a wei is lost on the way.
    function invariant_slashed_stake_is_split() public view {
        equal(handler.rewarded(), handler.slashed() / 10, "a tenth");
    }

    /// Whatever happened, each owner gets out all that was not debited.
    function afterInvariant() public {
        vm.warp(block.timestamp + 60 * uint256(EPOCH));
        handler.sync();
        for (uint256 i = 0; i < 4; ++i) {
            IComputeContract.DepositRecord memory record = target.depositOf(i);
            uint256 rest = record.deposited - record.withdrawn - record.collected;
            if (rest == 0) continue;
            uint256 before = handler.morOf(record.owner);
            target.withdrawWithoutProof(i);
            equal(handler.morOf(record.owner) - before, rest, "nothing is stuck");
        }
    }
}
