// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../src/Messages.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Depositing} from "./Depositing.sol";
import {Tree} from "./Tree.sol";

contract ClaimsTest is Depositing {
    address internal alice = address(0xA11CE);
    address internal bob = address(0xB0B);

    function leaves(uint256 toAlice, uint256 toBob) internal view returns (bytes32[] memory list) {
        list = new bytes32[](2);
        list[0] = Tree.creditLeaf(alice, toAlice);
        list[1] = Tree.creditLeaf(bob, toBob);
    }

    /// Settles allowance credits for both.
    function settleCredits(uint256 toAlice, uint256 toBob) internal {
        passEpochs(1);
        Messages.Settlement memory s = draft();
        s.creditRoot = Tree.root(leaves(toAlice, toBob));
        s.totals.allowanceCredits = toAlice + toBob;
        postFinal(s);
    }

    function test_pays_what_the_leaf_grants(uint256 toAlice, uint256 toBob, address sender) public {
        toAlice = bound(toAlice, 1, 17 * MOR);
        toBob = bound(toBob, 1, 17 * MOR);
        settleCredits(toAlice, toBob);
        vm.prank(sender);
        compute.claim(alice, toAlice, Tree.proof(leaves(toAlice, toBob), 0));
        equal(mor.balanceOf(alice), toAlice, "to the account, whoever sends");
        equal(compute.claimedOf(alice), toAlice, "claimed");
        bytes32[] memory proof = Tree.proof(leaves(toAlice, toBob), 0);
        vm.expectRevert(IComputeContract.NothingToClaim.selector);
        compute.claim(alice, toAlice, proof);
        compute.claim(bob, toBob, Tree.proof(leaves(toAlice, toBob), 1));
        (uint256 claimed, uint256 limit) = compute.claimTotals();
        equal(claimed, toAlice + toBob, "sum");
        equal(limit, toAlice + toBob, "all that was granted");
    }

    function test_cumulative_credits_pay_the_difference() public {
        settleCredits(MOR, 0);
        compute.claim(alice, MOR, Tree.proof(leaves(MOR, 0), 0));
        settleCredits(3 * MOR, MOR);
        compute.claim(alice, 3 * MOR, Tree.proof(leaves(3 * MOR, MOR), 0));
        equal(mor.balanceOf(alice), 3 * MOR, "in all");
    }

    function test_claims_read_final_roots_only() public {
        passEpochs(1);
        Messages.Settlement memory s = draft();
        s.creditRoot = Tree.root(leaves(MOR, 0));
        s.totals.allowanceCredits = MOR;
        post(s);
        bytes32[] memory proof = Tree.proof(leaves(MOR, 0), 0);
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.claim(alice, MOR, proof);
        passEpochs(1);
        compute.claim(alice, MOR, proof);
    }

    function test_a_wrong_leaf_is_refused(uint256 amount) public {
        settleCredits(MOR, MOR);
        vm.assume(amount != MOR);
        bytes32[] memory proof = Tree.proof(leaves(MOR, MOR), 0);
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.claim(alice, amount, proof);
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.claim(bob, MOR, proof);
    }

    function test_claims_many_and_passes_over_the_paid() public {
        settleCredits(MOR, 2 * MOR);
        compute.claim(alice, MOR, Tree.proof(leaves(MOR, 2 * MOR), 0));
        IComputeContract.CreditClaim[] memory claims = new IComputeContract.CreditClaim[](3);
        claims[0] =
            IComputeContract.CreditClaim(alice, MOR, Tree.proof(leaves(MOR, 2 * MOR), 0));
        claims[1] =
            IComputeContract.CreditClaim(bob, 2 * MOR, Tree.proof(leaves(MOR, 2 * MOR), 1));
        claims[2] = claims[1];
        compute.claimMany(claims);
        equal(mor.balanceOf(bob), 2 * MOR, "once");
        equal(mor.balanceOf(alice), MOR, "not again");
        claims[1].cumulativeCredit = 0;
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.claimMany(claims);
    }

    /// A false tree grants no more than the totals, which the contract checks, allow.
    function test_leaves_beyond_the_totals_are_not_paid(uint256 claimed) public {
        claimed = bound(claimed, 2 * MOR + 1, type(uint256).max);
        settleCredits(MOR, MOR);
        passEpochs(1);
        Messages.Settlement memory s = draft();
        s.creditRoot = Tree.root(leaves(claimed, MOR));
        postFinal(s);
        bytes32[] memory proof = Tree.proof(leaves(claimed, MOR), 0);
        vm.expectPartialRevert(IComputeContract.ClaimsExceedCollected.selector);
        compute.claim(alice, claimed, proof);
    }

    /// MOR sent here by a plain transfer is a gift that only false leaves would take. It is no part
    /// of any sum, and neither deposits nor pools are the worse for it.
    function test_a_gift_changes_nobodys_claim(uint256 gift) public {
        gift = bound(gift, 1, 1_000 * MOR);
        depositAs(owner, 50 * MOR);
        settleCredits(MOR, MOR);
        give(bob, gift);
        vm.prank(bob);
        mor.transfer(address(compute), gift);
        (uint256 claimed, uint256 limit) = compute.claimTotals();
        equal(claimed, 0, "not below nothing");
        equal(limit, 2 * MOR, "the limit is what it was");
        passEpochs(1);
        Messages.Settlement memory s = draft();
        s.creditRoot = Tree.root(leaves(2 * MOR + gift + 1, MOR));
        postFinal(s);
        bytes32[] memory proof = Tree.proof(leaves(2 * MOR + gift + 1, MOR), 0);
        vm.expectPartialRevert(IComputeContract.ClaimsExceedCollected.selector);
        compute.claim(alice, 2 * MOR + gift + 1, proof);
        passEpochs(1);
        s = draft();
        s.creditRoot = Tree.root(leaves(2 * MOR + gift, MOR));
        postFinal(s);
        compute.claim(alice, 2 * MOR + gift, Tree.proof(leaves(2 * MOR + gift, MOR), 0));
        uint256 pools = compute.computePool() + compute.communityPool();
        equal(mor.balanceOf(address(compute)), 50 * MOR + pools, "deposits and pools are whole");
        (claimed, limit) = compute.claimTotals();
        equal(claimed, limit, "all");
    }

    /// A list is bounded as one claim is.
    function test_a_list_of_claims_is_bounded_in_sum() public {
        settleCredits(MOR, MOR);
        passEpochs(1);
        Messages.Settlement memory s = draft();
        s.creditRoot = Tree.root(leaves(MOR + 1, MOR));
        postFinal(s);
        IComputeContract.CreditClaim[] memory claims = new IComputeContract.CreditClaim[](2);
        claims[0] = IComputeContract.CreditClaim(
            alice, MOR + 1, Tree.proof(leaves(MOR + 1, MOR), 0)
        );
        claims[1] = IComputeContract.CreditClaim(bob, MOR, Tree.proof(leaves(MOR + 1, MOR), 1));
        vm.expectPartialRevert(IComputeContract.ClaimsExceedCollected.selector);
        compute.claimMany(claims);
        equal(compute.claimedOf(bob), 0, "nothing booked");
        compute.claim(bob, MOR, claims[1].proof);
        vm.expectPartialRevert(IComputeContract.ClaimsExceedCollected.selector);
        compute.claim(alice, MOR + 1, claims[0].proof);
    }

    function paidSettlement(uint256 charge, uint256 leaf) internal {
        depositAs(owner, 1_000 * MOR);
        passEpochs(1);
        Messages.Settlement memory s = debited(one(leaf));
        s.totals.debits = charge;
        s.totals.paidCredits = charge * 995 / 1000;
        s.creditRoot = Tree.root(leaves(charge * 995 / 1000, 0));
        postFinal(s);
    }

    /// Paid credits run ahead of collected debits by the float, one budget; beyond it by `collect`.
    function test_paid_credits_beyond_the_float_wait_for_collection() public {
        paidSettlement(100 * MOR, 100 * MOR);
        uint256 credit = 99.5 ether;
        bytes32[] memory proof = Tree.proof(leaves(credit, 0), 0);
        (, uint256 limit) = compute.claimTotals();
        equal(limit, 34.56 ether, "1% of all compute funding");
        vm.expectPartialRevert(IComputeContract.ClaimsExceedCollected.selector);
        compute.claim(alice, credit, proof);
        compute.collect(0, leafOf(one(100 * MOR), 0));
        compute.claim(alice, credit, proof);
        equal(mor.balanceOf(alice), credit, "paid");
        (, limit) = compute.claimTotals();
        equal(limit, credit, "all that is granted");
    }

    function test_paid_credits_within_the_float_are_paid_at_once() public {
        paidSettlement(30 * MOR, 30 * MOR);
        compute.claim(alice, 29.85 ether, Tree.proof(leaves(29.85 ether, 0), 0));
        equal(mor.balanceOf(alice), 29.85 ether, "paid");
    }

    /// Totals that no leaf backs take one float from the pool, and nothing from deposits.
    function test_false_debits_draw_at_most_the_float() public {
        paidSettlement(1_000 * MOR, 0);
        bytes32[] memory proof = Tree.proof(leaves(995 * MOR, 0), 0);
        compute.collect(0, leafOf(one(0), 0));
        vm.expectPartialRevert(IComputeContract.ClaimsExceedCollected.selector);
        compute.claim(alice, 995 * MOR, proof);
        vm.prank(owner);
        compute.announceWithdrawal(0, 1_000 * MOR);
        passEpochs(2);
        Messages.Settlement memory s = draft();
        postFinal(s);
        compute.withdraw(0, leafOf(one(0), 0));
        equal(mor.balanceOf(owner), 1_000 * MOR, "the deposit is whole");
    }

    /// The pools' own money bounds claims too, however the totals came about.
    function test_what_is_free_bounds_claims() public {
        deploy();
        for (uint256 i = 0; i < ROUTERS; ++i) {
            registerRouter(i);
        }
        passEpochs(1);
        paidSettlement(10 * MOR, 10 * MOR);
        (, uint256 limit) = compute.claimTotals();
        equal(limit, 0, "no pool, no float");
        compute.collect(0, leafOf(one(10 * MOR), 0));
        compute.claim(alice, 9.95 ether, Tree.proof(leaves(9.95 ether, 0), 0));
    }

    /// False totals cannot pay out more than pools and collected debits hold.
    function test_free_money_is_the_last_bound() public {
        deploy();
        for (uint256 i = 0; i < ROUTERS; ++i) {
            registerRouter(i);
        }
        depositAs(owner, 2_000_000 * MOR);
        give(capital, 1_000 * MOR);
        approveAs(capital, address(compute));
        vm.prank(capital);
        compute.fund(IComputeContract.Bucket.Compute, 1_000 * MOR);
        compute.checkpoint();
        // Kept-back fees that nobody paid swell the pool on paper, and its budgets with it.
        for (uint256 i = 0; i < 40; ++i) {
            passEpochs(2);
            Messages.Settlement memory s = draft();
            if (i == 0) addPaid(s, 2_000_000 * MOR);
            s.totals.deposits = 1;
            s.debitRoot = debitRoot(one(0));
            uint64 last = compute.finalSettlement().epoch;
            for (uint64 e = last + 1; e <= s.epoch; ++e) {
                try compute.budgetOf(e) returns (uint256 budget) {
                    s.totals.allowanceCredits += budget;
                } catch {}
            }
            s.creditRoot = Tree.root(leaves(2_000_000 * MOR, 0));
            postFinal(s);
        }
        (, uint256 limit) = compute.claimTotals();
        atMost(limit, mor.balanceOf(address(compute)) - 2_000_000 * MOR, "never from deposits");
        check(limit > 990 * MOR, "the pool is spent");
        spendAllFreeMoney(limit);
    }

    /// Once liars have claimed all that is free, not even a poster's repayment reaches deposits,
    /// though on paper the pool could pay it.
    function spendAllFreeMoney(uint256 limit) private {
        passEpochs(1);
        Messages.Settlement memory s = draft();
        s.creditRoot = Tree.root(leaves(limit - REPAYMENT, 0));
        uint256 before = mor.balanceOf(address(this));
        postFinal(s);
        equal(mor.balanceOf(address(this)), before + REPAYMENT, "still repaid");
        compute.claim(alice, limit - REPAYMENT, Tree.proof(leaves(limit - REPAYMENT, 0), 0));
        equal(mor.balanceOf(address(compute)), 2_000_000 * MOR, "the deposit is left");
        passEpochs(1);
        post(draft());
        (IComputeContract.Book memory pending,) = compute.pendingSettlement();
        equal(pending.posterRepayment, REPAYMENT, "the pool has it on paper");
        passEpochs(1);
        compute.finalize();
        equal(compute.finalSettlement().posterRepayment, 0, "not repaid");
        equal(mor.balanceOf(address(this)), before + REPAYMENT, "nothing more");
        equal(mor.balanceOf(address(compute)), 2_000_000 * MOR, "the deposit is whole");
    }

    function registerRouter(uint256 i) private {
        (routers[i], routerKeys[i]) = (address(uint160(0x1000 + i)), 0xA000 + i);
        registerNode(routers[i], routerKeys[i], INodeRegistry.Role.Router, STAKE);
    }
}
