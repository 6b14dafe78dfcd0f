// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../src/Messages.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {Depositing} from "./Depositing.sol";

contract DepositsTest is Depositing {
    function test_deposits_are_numbered_densely(uint256 first, uint256 second) public {
        first = bound(first, 0.01 ether, 1e25);
        second = bound(second, 0.01 ether, 1e25);
        equal(depositAs(owner, first), 0, "0");
        equal(depositAs(other, second), 1, "1");
        equal(depositAs(owner, 1), 0, "the same");
        equal(compute.depositCount(), 2, "two");
        equal(compute.depositOf(0).deposited, first + 1, "sum");
        equal(compute.depositOf(0).owner, owner, "owner");
        equal(compute.numberOf(other), 1, "number");
        (uint256 deposited,,,) = compute.depositTotals();
        equal(deposited, first + second + 1, "sum of all");
        vm.expectPartialRevert(IComputeContract.DepositUnknown.selector);
        compute.depositOf(2);
        vm.expectPartialRevert(IComputeContract.DepositUnknown.selector);
        compute.numberOf(capital);
    }

    function test_deposit_refuses() public {
        vm.startPrank(owner);
        vm.expectPartialRevert(IComputeContract.DepositTooSmall.selector);
        compute.deposit(0.01 ether - 1);
        vm.expectPartialRevert(IComputeContract.AmountTooLarge.selector);
        compute.deposit(1e26 + 1);
        vm.expectRevert();
        compute.deposit(MOR);
        vm.stopPrank();
        depositAs(owner, MOR);
        vm.expectRevert(IComputeContract.AmountZero.selector);
        compute.topUp(0, 0);
        vm.expectPartialRevert(IComputeContract.DepositUnknown.selector);
        compute.topUp(1, 1);
    }

    /// MOR that goes in and out again and again uses up nothing: nobody can shut others out so.
    function test_money_goes_in_and_out_for_ever() public {
        depositAs(owner, MOR);
        depositAs(other, MOR);
        for (uint256 i = 1; i <= 4; ++i) {
            depositAs(owner, 1e26);
            vm.prank(owner);
            compute.announceWithdrawal(0, 1e26);
            passEpochs(2);
            postFinal(debited(pair(0, 0)));
            compute.withdraw(0, leafOf(pair(0, 0), 0));
            (uint256 deposited, uint256 withdrawn,,) = compute.depositTotals();
            equal(withdrawn, i * 1e26, "out");
            equal(deposited, 2 * MOR + i * 1e26, "in");
        }
    }

    /// Debits over all time are bounded so that they fit their fields, 238 times all MOR.
    function test_the_bound_of_all_deposits_is_far_away() public {
        for (uint256 i = 0; i < 99; ++i) {
            depositAs(owner, 1e26);
        }
        // Funding counts too, and fills the last of the hundred.
        uint256 room = 1e26 - 2 * 3_456 ether;
        vm.prank(owner);
        vm.expectPartialRevert(IComputeContract.AmountTooLarge.selector);
        compute.topUp(0, room + 1);
        depositAs(other, room);
        passEpochs(1);
        uint256 all = 1e28 - 2 * 3_456 ether;
        postFinal(debited(pair(99e26, room)));
        equal(compute.finalSettlement().totals.debits, all, "as posted");
        equal(compute.finalSettlement().totals.paidCredits, all * 995 / 1000, "as posted");
        equal(compute.finalSettlement().totals.deposits, 2, "as posted");
        compute.collect(0, leafOf(pair(99e26, room), 0));
        compute.collect(1, leafOf(pair(99e26, room), 1));
        (, uint256 limit) = compute.claimTotals();
        equal(limit, all * 995 / 1000, "in full");
        check(compute.budgetOf(nowEpoch() + 1) > 4e23, "the pool keeps its half per cent");
    }

    function test_anyone_tops_up(uint256 amount) public {
        depositAs(owner, MOR);
        amount = bound(amount, 1, 1e25);
        give(other, amount);
        approveAs(other, address(compute));
        vm.prank(other);
        compute.topUp(0, amount);
        equal(compute.depositOf(0).deposited, MOR + amount, "sum");
    }

    function permit(uint256 amount) internal view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 hash = keccak256(
            abi.encode(
                keccak256(
                    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
                ),
                owner,
                address(compute),
                amount,
                mor.nonces(owner),
                block.timestamp
            )
        );
        return vm.sign(WALLET, messages.digest(mor.DOMAIN_SEPARATOR(), hash));
    }

    function test_deposits_with_a_permit(uint256 amount, bool sentAlready) public {
        amount = bound(amount, 0.01 ether, 1e25);
        give(owner, amount);
        (uint8 v, bytes32 r, bytes32 s) = permit(amount);
        // Who sees the permit may send it first; the deposit goes through all the same.
        if (sentAlready) mor.permit(owner, address(compute), amount, block.timestamp, v, r, s);
        vm.prank(owner);
        equal(compute.depositWithPermit(amount, block.timestamp, v, r, s), 0, "number");
        equal(compute.depositOf(0).deposited, amount, "sum");
        vm.prank(other);
        vm.expectRevert();
        compute.depositWithPermit(amount, block.timestamp, v, r, s);
    }

    function test_withdraws_what_the_final_leaf_leaves(uint256 debit, uint256 announced) public {
        debit = bound(debit, 1e15, 100 * MOR);
        announced = bound(announced, 1, 100 * MOR);
        depositAs(owner, 100 * MOR);
        vm.prank(owner);
        compute.announceWithdrawal(0, announced);
        passEpochs(2);
        postFinal(debited(one(debit)));
        uint256 expected = 100 * MOR - debit < announced ? 100 * MOR - debit : announced;
        compute.withdraw(0, leafOf(one(debit), 0));
        equal(mor.balanceOf(owner), expected, "paid");
        IComputeContract.DepositRecord memory record = compute.depositOf(0);
        equal(record.withdrawn, expected, "withdrawn");
        equal(record.collected, debit, "collected");
        equal(record.announced, 0, "announcement used up");
        (, uint256 withdrawn, uint256 collected,) = compute.depositTotals();
        equal(withdrawn, expected, "sum");
        equal(collected, debit, "sum");
        IComputeContract.DebitLeaf memory leaf = leafOf(one(debit), 0);
        vm.expectRevert(IComputeContract.NothingToWithdraw.selector);
        compute.withdraw(0, leaf);
    }

    function test_withdrawal_waits_for_a_later_epoch() public {
        depositAs(owner, 100 * MOR);
        passEpochs(1);
        vm.prank(owner);
        compute.announceWithdrawal(0, MOR);
        IComputeContract.DebitLeaf memory leaf = leafOf(one(MOR), 0);
        vm.expectPartialRevert(IComputeContract.NotWithdrawableYet.selector);
        compute.withdraw(0, leaf);
        passEpochs(1);
        // Of the announcement's own epoch: Sessions of it may have spent the sum.
        Messages.Settlement memory s = debited(one(MOR));
        s.epoch = 2;
        postFinal(s);
        vm.expectPartialRevert(IComputeContract.NotWithdrawableYet.selector);
        compute.withdraw(0, leaf);
        passEpochs(1);
        postFinal(debited(one(MOR)));
        compute.withdraw(0, leaf);
        equal(mor.balanceOf(owner), MOR, "paid");
    }

    function test_withdrawal_refuses() public {
        depositAs(owner, 100 * MOR);
        vm.prank(other);
        vm.expectPartialRevert(IComputeContract.NotDepositOwner.selector);
        compute.announceWithdrawal(0, MOR);
        vm.prank(owner);
        vm.expectPartialRevert(IComputeContract.AmountTooLarge.selector);
        compute.announceWithdrawal(0, 100 * MOR + 1);
        vm.prank(owner);
        compute.announceWithdrawal(0, 100 * MOR);
        passEpochs(2);
        postFinal(debited(one(MOR)));
        IComputeContract.DebitLeaf memory leaf = leafOf(one(MOR), 0);
        leaf.cumulativeDebit = 0;
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.withdraw(0, leaf);
        leaf = leafOf(one(MOR), 0);
        leaf.salt = 0;
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.withdraw(0, leaf);
        vm.expectPartialRevert(IComputeContract.DepositUnknown.selector);
        compute.withdraw(1, leaf);
        vm.prank(owner);
        compute.announceWithdrawal(0, 0);
        leaf = leafOf(one(MOR), 0);
        vm.expectRevert(IComputeContract.NothingToWithdraw.selector);
        compute.withdraw(0, leaf);
    }

    /// A deposit that the tree does not cover owes nothing by it.
    function test_a_young_deposit_withdraws_without_a_leaf() public {
        depositAs(owner, MOR);
        depositAs(other, MOR);
        vm.prank(other);
        compute.announceWithdrawal(1, MOR);
        passEpochs(2);
        postFinal(debited(one(MOR / 2)));
        compute.withdraw(1, noLeaf());
        equal(mor.balanceOf(other), MOR, "all");
        IComputeContract.DebitLeaf memory empty = noLeaf();
        vm.prank(owner);
        compute.announceWithdrawal(0, MOR);
        passEpochs(2);
        postFinal(draft());
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.withdraw(0, empty);
    }

    function test_collects_once(uint256 debit) public {
        depositAs(owner, 100 * MOR);
        debit = bound(debit, 1e15, 100 * MOR);
        passEpochs(1);
        postFinal(debited(one(debit)));
        compute.collect(0, leafOf(one(debit), 0));
        compute.collect(0, leafOf(one(debit), 0));
        (,, uint256 collected,) = compute.depositTotals();
        equal(collected, debit, "once");
        equal(compute.depositOf(0).collected, debit, "in the record");
    }

    function test_collects_the_growth_of_a_leaf() public {
        depositAs(owner, 100 * MOR);
        for (uint256 debit = MOR; debit <= 3 * MOR; debit += MOR) {
            passEpochs(1);
            postFinal(debited(one(debit)));
            compute.collect(0, leafOf(one(debit), 0));
            (,, uint256 collected,) = compute.depositTotals();
            equal(collected, debit, "no more than the leaf");
        }
    }

    /// A leaf above its deposit collects the deposit and no more.
    function test_collects_at_most_the_deposit() public {
        depositAs(owner, 10 * MOR);
        depositAs(other, 90 * MOR);
        passEpochs(1);
        Messages.Settlement memory s = debited(pair(50 * MOR, 0));
        postFinal(s);
        compute.collect(0, leafOf(pair(50 * MOR, 0), 0));
        equal(compute.depositOf(0).collected, 10 * MOR, "all it has");
        equal(compute.depositOf(1).collected, 0, "not another's");
    }

    function test_a_lower_leaf_gives_nothing_back() public {
        depositAs(owner, 10 * MOR);
        passEpochs(1);
        postFinal(debited(one(5 * MOR)));
        compute.collect(0, leafOf(one(5 * MOR), 0));
        vm.prank(owner);
        compute.announceWithdrawal(0, 10 * MOR);
        passEpochs(2);
        Messages.Settlement memory s = draft();
        s.debitRoot = debitRoot(one(1));
        postFinal(s);
        compute.withdraw(0, leafOf(one(1), 0));
        equal(mor.balanceOf(owner), 5 * MOR, "what was collected stays collected");
    }

    function test_revokes_upward_only(uint64 nonce) public {
        vm.assume(nonce > 0);
        vm.startPrank(owner);
        compute.revokeBelow(nonce);
        (uint64 got, uint64 epoch) = compute.revocationOf(owner);
        equal(got, nonce, "nonce");
        equal(epoch, nowEpoch(), "epoch");
        vm.expectPartialRevert(IComputeContract.NonceNotHigher.selector);
        compute.revokeBelow(nonce);
        vm.stopPrank();
    }
}
