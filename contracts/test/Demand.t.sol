// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../src/Messages.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Depositing} from "./Depositing.sol";

contract DemandTest is Depositing {
    uint256 internal constant CEILING = 50 ether;

    /// Deposits 0 (owner) and 1 (other), and a pending settlement that debits `debit` from 0.
    function pendingWith(uint256 debit) internal returns (bytes32) {
        depositAs(owner, 100 * MOR);
        depositAs(other, 100 * MOR);
        give(owner, 10 * BOND);
        passEpochs(1);
        return post(debited(pair(debit, 0)));
    }

    function demandAs(address account, uint256 number) internal {
        vm.prank(account);
        compute.demand(number);
    }

    function answer(uint256 debit, Messages.Delegation memory delegation, uint256 key) internal {
        IComputeContract.DebitLeaf memory leaf = leafOf(pair(debit, 0), 0);
        bytes memory signature = signDelegation(key, delegation);
        vm.prank(capital);
        compute.answerDemand(0, leaf, delegation, signature);
    }

    function revertsAnswer(
        uint256 debit, Messages.Delegation memory delegation, uint256 key, bytes4 selector
    ) internal {
        IComputeContract.DebitLeaf memory leaf = leafOf(pair(debit, 0), 0);
        bytes memory signature = signDelegation(key, delegation);
        vm.expectPartialRevert(selector);
        compute.answerDemand(0, leaf, delegation, signature);
    }

    function test_an_honest_leaf_is_shown_and_the_answerer_paid(uint256 debit) public {
        debit = bound(debit, 1e15, CEILING);
        bytes32 digest = pendingWith(debit);
        demandAs(owner, 0);
        (,,, uint256 bonds) = compute.depositTotals();
        equal(bonds, BOND, "bonded");
        uint256 before = mor.balanceOf(capital);
        answer(debit, delegationOf(owner, CEILING, 1), WALLET);
        equal(mor.balanceOf(capital) - before, BOND, "for who answers");
        (,,, bonds) = compute.depositTotals();
        equal(bonds, 0, "paid out");
        passEpochs(1);
        compute.finalize();
        equal(compute.finalSettlement().digest, digest, "final");
        vm.expectRevert(IComputeContract.NotReturnable.selector);
        compute.reclaimBond(0);
    }

    function test_no_answer_in_time_voids() public {
        bytes32 digest = pendingWith(CEILING + 1);
        demandAs(owner, 0);
        uint64 from = compute.nextSettlementFrom();
        revertsAnswer(
            CEILING + 1,
            delegationOf(owner, CEILING, 1),
            WALLET,
            IComputeContract.CeilingExceeded.selector
        );
        passEpochs(1);
        equal(compute.finalSettlement().digest, 0, "seen as void");
        check(compute.nextSettlementFrom() < from, "checkpoint taken back");
        compute.finalize();
        check(compute.isVoided(digest), "void");
        equal(compute.finalSettlement().digest, 0, "none final");
        uint256 before = mor.balanceOf(owner);
        compute.reclaimBond(0);
        equal(mor.balanceOf(owner) - before, BOND, "bond back");
        vm.expectRevert(IComputeContract.NotReturnable.selector);
        compute.reclaimBond(0);
        bytes memory signature = signBytes(routerKeys[2], digest);
        vm.prank(other);
        registry.slashSigner(digest, signature);
        check(registry.nodes(routers[2]).slashed, "signer slashed");
        equal(mor.balanceOf(other), STAKE / 10, "reward");
    }

    function test_a_voided_settlement_cannot_be_posted_again() public {
        depositAs(owner, 100 * MOR);
        give(owner, BOND);
        passEpochs(1);
        Messages.Settlement memory s = debited(one(MOR));
        post(s);
        demandAs(owner, 0);
        passEpochs(1);
        INodeRegistry.RouterSignature[] memory signatures = signedBy(s, 0, ROUTERS);
        vm.expectPartialRevert(IComputeContract.AlreadyVoided.selector);
        compute.settle(s, signatures);
        s.round = 1;
        post(s);
    }

    function test_after_a_void_the_budgets_before_it_hold() public {
        passEpochs(1);
        uint256 first = compute.budgetOf(2);
        depositAs(owner, 100 * MOR);
        give(owner, BOND);
        post(debited(one(MOR)));
        check(compute.budgetOf(3) > 0, "by the pending one");
        demandAs(owner, 0);
        passEpochs(1);
        compute.finalize();
        equal(compute.budgetOf(2), first, "as before");
        Messages.Settlement memory s = draft();
        s.totals.allowanceCredits = compute.budgetOf(1) + compute.budgetOf(2);
        post(s);
    }

    function test_demand_refuses() public {
        depositAs(owner, 100 * MOR);
        depositAs(other, 100 * MOR);
        give(owner, 10 * BOND);
        vm.prank(owner);
        vm.expectRevert(IComputeContract.NothingPending.selector);
        compute.demand(0);
        passEpochs(1);
        post(debited(one(MOR)));
        vm.prank(other);
        vm.expectPartialRevert(IComputeContract.NotDepositOwner.selector);
        compute.demand(0);
        give(other, BOND);
        vm.prank(other);
        vm.expectPartialRevert(IComputeContract.NotInDebitTree.selector);
        compute.demand(1);
        vm.warp(block.timestamp + EPOCH / 2 - 1);
        demandAs(owner, 0);
        vm.prank(owner);
        vm.expectPartialRevert(IComputeContract.AlreadyDemanded.selector);
        compute.demand(0);
        vm.warp(block.timestamp + 1);
        vm.prank(owner);
        vm.expectRevert(IComputeContract.DemandClosed.selector);
        compute.demand(0);
    }

    function test_answers_must_be_signed_by_the_wallet() public {
        pendingWith(MOR);
        bytes4 invalid = IComputeContract.DelegationInvalid.selector;
        bytes4 none = IComputeContract.NoDemand.selector;
        revertsAnswer(MOR, delegationOf(owner, CEILING, 1), WALLET, none);
        demandAs(owner, 0);
        revertsAnswer(MOR, delegationOf(owner, CEILING, 1), WALLET + 1, invalid);
        revertsAnswer(MOR, delegationOf(other, CEILING, 1), WALLET, invalid);
        IComputeContract.DebitLeaf memory leaf = leafOf(pair(MOR, 0), 0);
        Messages.Delegation memory delegation = delegationOf(owner, CEILING, 1);
        vm.expectRevert(invalid);
        compute.answerDemand(0, leaf, delegation, "");
        leaf.cumulativeDebit = 0;
        bytes memory signature = signDelegation(WALLET, delegation);
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.answerDemand(0, leaf, delegation, signature);
        answer(MOR, delegation, WALLET);
        revertsAnswer(MOR, delegation, WALLET, none);
    }

    function test_a_leaf_above_the_deposit_is_no_answer() public {
        pendingWith(100 * MOR + 1);
        demandAs(owner, 0);
        revertsAnswer(
            100 * MOR + 1,
            delegationOf(owner, type(uint256).max, 1),
            WALLET,
            IComputeContract.LeafAboveDeposit.selector
        );
    }

    function test_anyone_voids_by_a_leaf_above_its_deposit(uint256 excess) public {
        excess = bound(excess, 1, 99 * MOR);
        depositAs(owner, 100 * MOR);
        depositAs(other, 100 * MOR);
        vm.expectRevert(IComputeContract.NothingPending.selector);
        compute.proveExcess(0, noLeaf());
        passEpochs(1);
        bytes32 digest = post(debited(pair(100 * MOR + excess, 0)));
        IComputeContract.DebitLeaf memory fine = leafOf(pair(100 * MOR + excess, 0), 1);
        vm.expectPartialRevert(IComputeContract.LeafNotAboveDeposit.selector);
        compute.proveExcess(1, fine);
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.proveExcess(0, fine);
        compute.proveExcess(0, leafOf(pair(100 * MOR + excess, 0), 0));
        check(compute.isVoided(digest), "void");
        (, uint64 finalAt) = compute.pendingSettlement();
        equal(finalAt, 0, "nothing pending");
    }

    function test_a_whole_deposit_is_no_excess() public {
        depositAs(owner, 100 * MOR);
        passEpochs(1);
        post(debited(one(100 * MOR)));
        IComputeContract.DebitLeaf memory leaf = leafOf(one(100 * MOR), 0);
        vm.expectPartialRevert(IComputeContract.LeafNotAboveDeposit.selector);
        compute.proveExcess(0, leaf);
    }

    function test_a_leaf_beyond_the_count_is_excess() public {
        depositAs(owner, 100 * MOR);
        depositAs(other, 100 * MOR);
        passEpochs(1);
        Messages.Settlement memory s = debited(pair(MOR, MOR));
        s.totals.deposits = 1;
        bytes32 digest = post(s);
        compute.proveExcess(1, leafOf(pair(MOR, MOR), 1));
        check(compute.isVoided(digest), "void");
    }

    function test_unchanged_leaves_need_no_delegation() public {
        bytes32 digest = pendingWith(MOR);
        demandAs(owner, 0);
        answer(MOR, delegationOf(owner, MOR, 1), WALLET);
        passEpochs(1);
        compute.finalize();
        equal(compute.finalSettlement().digest, digest, "final");
        post(draft());
        demandAs(owner, 0);
        IComputeContract.DebitLeaf memory leaf = leafOf(pair(MOR, 0), 0);
        compute.answerUnchanged(0, leaf, leaf);
        vm.expectPartialRevert(IComputeContract.NoDemand.selector);
        compute.answerUnchanged(0, leaf, leaf);
        give(other, BOND);
        demandAs(other, 1);
        compute.answerUnchanged(1, leafOf(pair(MOR, 0), 1), noLeaf());
    }

    function test_a_grown_leaf_is_not_unchanged() public {
        pendingWith(MOR);
        demandAs(owner, 0);
        IComputeContract.DebitLeaf memory old = leafOf(pair(MOR, 0), 0);
        vm.expectPartialRevert(IComputeContract.NotInDebitTree.selector);
        compute.answerUnchanged(0, old, old);
        answer(MOR, delegationOf(owner, MOR, 1), WALLET);
        passEpochs(1);
        compute.finalize();
        post(debited(pair(2 * MOR, 0)));
        demandAs(owner, 0);
        IComputeContract.DebitLeaf memory grown = leafOf(pair(2 * MOR, 0), 0);
        vm.expectPartialRevert(IComputeContract.CeilingExceeded.selector);
        compute.answerUnchanged(0, grown, old);
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.answerUnchanged(0, grown, grown);
    }

    /// A revoked Delegation still covers what its epoch, and the late Records after it, cost; then
    /// no more.
    function test_a_revoked_delegation_covers_the_past_only() public {
        pendingWith(MOR);
        vm.prank(owner);
        compute.revokeBelow(2);
        uint64 revokedAt = nowEpoch();
        demandAs(owner, 0);
        answer(MOR, delegationOf(owner, CEILING, 1), WALLET);
        uint256 debit = MOR;
        while (compute.finalSettlement().epoch <= revokedAt + 1) {
            passEpochs(1);
            debit += MOR;
            post(debited(pair(debit, 0)));
            demandAs(owner, 0);
            if (compute.finalSettlement().epoch > revokedAt + 1) break;
            answer(debit, delegationOf(owner, CEILING, 1), WALLET);
        }
        bytes4 invalid = IComputeContract.DelegationInvalid.selector;
        revertsAnswer(debit, delegationOf(owner, CEILING, 1), WALLET, invalid);
        answer(debit, delegationOf(owner, CEILING, 2), WALLET);
    }

    function test_an_expired_delegation_covers_the_past_only() public {
        pendingWith(MOR);
        passEpochs(1);
        compute.finalize();
        Messages.Delegation memory delegation = delegationOf(owner, CEILING, 1);
        uint64 last = compute.finalSettlement().epoch;
        post(debited(pair(2 * MOR, 0)));
        demandAs(owner, 0);
        delegation.expiresAt = (GENESIS - 1) * 1000;
        vm.warp(block.timestamp + 1);
        bytes4 invalid = IComputeContract.DelegationInvalid.selector;
        if (last > 1) revertsAnswer(2 * MOR, delegation, WALLET, invalid);
        else answer(2 * MOR, delegation, WALLET);
        passEpochs(1);
        compute.finalize();
        post(debited(pair(3 * MOR, 0)));
        demandAs(owner, 0);
        revertsAnswer(3 * MOR, delegation, WALLET, invalid);
        delegation.expiresAt = (GENESIS + (compute.finalSettlement().epoch - 1) * EPOCH) * 1000;
        answer(3 * MOR, delegation, WALLET);
    }

    /// A second demand returns the bond of the first when that one's settlement was voided.
    function test_an_old_bond_is_not_lost() public {
        pendingWith(MOR);
        demandAs(owner, 0);
        passEpochs(1);
        Messages.Settlement memory s = debited(pair(MOR, 0));
        s.round = 1;
        post(s);
        uint256 before = mor.balanceOf(owner);
        demandAs(owner, 0);
        equal(mor.balanceOf(owner), before, "one back, one down");
        (,,, uint256 bonds) = compute.depositTotals();
        equal(bonds, BOND, "one held");
        answer(MOR, delegationOf(owner, CEILING, 1), WALLET);
    }

    function test_one_answer_of_two_is_not_enough() public {
        bytes32 digest = pendingWith(MOR);
        give(other, BOND);
        demandAs(owner, 0);
        demandAs(other, 1);
        answer(MOR, delegationOf(owner, CEILING, 1), WALLET);
        passEpochs(1);
        compute.finalize();
        check(compute.isVoided(digest), "void");
    }

    function test_an_answer_after_the_end_comes_too_late() public {
        pendingWith(MOR);
        demandAs(owner, 0);
        passEpochs(1);
        bytes4 none = IComputeContract.NoDemand.selector;
        revertsAnswer(MOR, delegationOf(owner, CEILING, 1), WALLET, none);
    }
}
