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
    }

    function registerRouter(uint256 i) private {
        (routers[i], routerKeys[i]) = (address(uint160(0x1000 + i)), 0xA000 + i);
        registerNode(routers[i], routerKeys[i], INodeRegistry.Role.Router, STAKE);
    }
}
