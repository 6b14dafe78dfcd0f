// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BudgetCurve} from "../src/BudgetCurve.sol";
import {ComputeContract} from "../src/ComputeContract.sol";
import {Messages} from "../src/Messages.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Network} from "./Network.sol";

contract SettlementTest is Network {
    uint256 internal constant FIRST_POOL = 3_456 ether;
    address internal poster = address(0x9057);

    function setUp() public {
        deployAndStart();
    }

    function fundAs(address from, IComputeContract.Bucket bucket, uint256 amount) internal {
        give(from, amount);
        approveAs(from, address(compute));
        vm.prank(from);
        compute.fund(bucket, amount);
    }

    function reverts(Messages.Settlement memory s, bytes4 selector) internal {
        INodeRegistry.RouterSignature[] memory signatures = signedBy(s, 0, ROUTERS);
        vm.expectPartialRevert(selector);
        compute.settle(s, signatures);
    }

    function test_constructor_is_range_checked() public {
        vm.expectRevert(IComputeContract.ParameterOutOfRange.selector);
        new ComputeContract(EPOCH, GENESIS, address(mor), address(registry), 10 ether + 1, 1);
        vm.expectRevert(IComputeContract.ParameterOutOfRange.selector);
        new ComputeContract(EPOCH, GENESIS, address(mor), address(registry), 1, 0);
        vm.expectRevert(IComputeContract.ParameterOutOfRange.selector);
        new ComputeContract(EPOCH, GENESIS, address(mor), address(registry), 1, 100 ether + 1);
        ComputeContract edge = new ComputeContract(
            EPOCH, GENESIS + 30 days, address(mor), address(registry), 10 ether, 100 ether
        );
        equal(edge.posterRepayment(), 10 ether, "repayment");
        equal(edge.demandBond(), 100 ether, "bond");
    }

    function test_funds(uint256 compute_, uint256 community) public {
        compute_ = bound(compute_, 1, 1e25);
        community = bound(community, 1, 1e25);
        uint256 before = compute.computePool();
        fundAs(capital, IComputeContract.Bucket.Compute, compute_);
        fundAs(capital, IComputeContract.Bucket.Community, community);
        equal(compute.computePool(), before + compute_, "compute");
        equal(compute.communityPool(), 3_456 ether + community, "community");
    }

    function test_fund_refuses() public {
        vm.expectRevert(IComputeContract.AmountZero.selector);
        compute.fund(IComputeContract.Bucket.Compute, 0);
        vm.expectPartialRevert(IComputeContract.AmountTooLarge.selector);
        compute.fund(IComputeContract.Bucket.Compute, 1e26 - FIRST_POOL + 1);
        vm.expectPartialRevert(IComputeContract.AmountTooLarge.selector);
        compute.fund(IComputeContract.Bucket.Community, 1e26 + 1);
        fundAs(address(1), IComputeContract.Bucket.Compute, 1e26 - FIRST_POOL);
    }

    function test_first_checkpoint_only_once_and_only_with_funds() public {
        vm.expectRevert(IComputeContract.CheckpointNotOpen.selector);
        compute.checkpoint();
        vm.expectPartialRevert(IComputeContract.BudgetForgotten.selector);
        compute.budgetOf(0);
        equal(compute.budgetOf(1), FIRST_POOL / 100 - 1, "1%, rounded down");
        deploy();
        fundAs(capital, IComputeContract.Bucket.Compute, 1_000 * MOR - 1);
        vm.expectRevert(IComputeContract.CheckpointNotOpen.selector);
        compute.checkpoint();
        fundAs(capital, IComputeContract.Bucket.Compute, 1);
        compute.checkpoint();
        equal(compute.budgetOf(1), 10 * MOR - 1, "1%, rounded down");
    }

    function test_no_checkpoint_once_something_was_settled() public {
        passEpochs(1);
        post(draft());
        vm.expectRevert(IComputeContract.CheckpointNotOpen.selector);
        compute.checkpoint();
    }

    /// The closed form against the sum told in words: 1% of what is left after the budgets and
    /// emissions of the epochs before.
    function test_budgets_equal_the_plain_recursion(uint16 skipped) public view {
        uint256 epochs = 1 + uint256(skipped) % 500;
        uint256 left = FIRST_POOL * 1e18;
        uint256 sum;
        for (uint256 k = 1; k <= epochs; ++k) {
            uint256 plain = left / 100;
            uint256 budget = compute.budgetOf(uint64(k));
            sum += budget;
            atMost(budget > plain / 1e18 ? budget - plain / 1e18 : plain / 1e18 - budget, 1, "wei");
            left -= plain * 11 / 10;
        }
        uint256 total = BudgetCurve.spendableDown(FIRST_POOL, epochs);
        equal(sum, total, "telescopes");
        atMost(BudgetCurve.reserveUp(total), FIRST_POOL, "never runs dry");
    }

    function test_the_curve_never_falls(uint256 pool, uint16 epochs) public pure {
        pool = bound(pool, 0, 1e26);
        uint256 now_ = BudgetCurve.spendableDown(pool, epochs);
        uint256 next = BudgetCurve.spendableDown(pool, uint256(epochs) + 1);
        check(next >= now_, "never falls");
        atMost(BudgetCurve.reserveUp(next), pool, "pool covers it");
    }

    function test_curve_edges() public pure {
        equal(BudgetCurve.decayUp(0), 1 << 128, "one");
        equal(BudgetCurve.decayUp(1), BudgetCurve.DECAY, "q");
        equal(BudgetCurve.decayUp(4096), BudgetCurve.decayUp(1e18), "capped");
        check(BudgetCurve.decayUp(4095) > BudgetCurve.decayUp(4096), "still falling");
        equal(BudgetCurve.reserveUp(10), 11, "exact");
        equal(BudgetCurve.reserveUp(11), 13, "up");
        equal(BudgetCurve.reserveUp(0), 0, "zero");
    }

    function test_budget_of_a_forgotten_epoch() public {
        for (uint256 i = 0; i < 4; ++i) {
            passEpochs(1);
            postFinal(draft());
        }
        vm.expectPartialRevert(IComputeContract.BudgetForgotten.selector);
        compute.budgetOf(1);
        check(compute.budgetOf(nowEpoch()) > 0, "the present is known");
    }

    function test_becomes_final_one_epoch_later(bytes32 root, uint256 allowance) public {
        passEpochs(1);
        allowance = bound(allowance, 0, compute.budgetOf(1));
        Messages.Settlement memory s = draft();
        (s.creditRoot, s.recordRoot) = (root, SALT);
        s.totals.allowanceCredits = allowance;
        bytes32 digest = post(s);
        (IComputeContract.Book memory pending, uint64 finalAt) = compute.pendingSettlement();
        equal(pending.digest, digest, "pending");
        equal(finalAt, block.timestamp + EPOCH, "when");
        equal(compute.computePool(), FIRST_POOL, "not final");
        equal(compute.finalSettlement().digest, 0, "none final");
        vm.warp(finalAt - 1);
        vm.expectPartialRevert(IComputeContract.NotFinalYet.selector);
        compute.finalize();
        vm.warp(finalAt);
        equal(compute.finalSettlement().digest, digest, "seen as final before anyone says so");
        equal(compute.computePool(), FIRST_POOL - allowance, "pool");
        compute.finalize();
        IComputeContract.Book memory book = compute.finalSettlement();
        equal(book.creditRoot, root, "root");
        equal(book.epoch, 1, "epoch");
        equal(book.poster, address(this), "poster");
        equal(book.totals.allowanceCredits, allowance, "totals");
        equal(compute.computePool(), FIRST_POOL - allowance - REPAYMENT, "repaid from the pool");
        (, finalAt) = compute.pendingSettlement();
        equal(finalAt, 0, "nothing pending");
        vm.expectRevert(IComputeContract.NothingPending.selector);
        compute.finalize();
    }

    function test_one_pending_at_a_time_then_the_next() public {
        passEpochs(1);
        Messages.Settlement memory s = draft();
        post(s);
        reverts(s, IComputeContract.SettlementPending.selector);
        vm.warp(block.timestamp + EPOCH - 1);
        reverts(s, IComputeContract.SettlementPending.selector);
        vm.warp(block.timestamp + 1);
        s = draft();
        s.previous = 0;
        reverts(s, IComputeContract.WrongPrevious.selector);
        post(draft());
        check(compute.finalSettlement().digest != 0, "the first became final by itself");
    }

    function test_epoch_must_be_over_and_on_the_newest_checkpoint() public {
        passEpochs(2);
        Messages.Settlement memory s = draft();
        s.epoch = nowEpoch();
        reverts(s, IComputeContract.EpochOutOfRange.selector);
        s.epoch = 1;
        postFinal(s);
        equal(compute.nextSettlementFrom(), 3, "from the post epoch");
        s = draft();
        s.epoch = 2;
        reverts(s, IComputeContract.EpochOutOfRange.selector);
        s.epoch = 3;
        post(s);
    }

    function test_an_idle_network_settles_its_last_epoch() public {
        passEpochs(6);
        equal(nowEpoch(), 7, "seven");
        equal(compute.nextSettlementFrom(), 0, "all");
        passEpochs(1);
        equal(compute.nextSettlementFrom(), 7, "only the last");
        Messages.Settlement memory s = draft();
        s.epoch = 6;
        reverts(s, IComputeContract.EpochOutOfRange.selector);
        s.epoch = 7;
        post(s);
    }

    /// Skipped epochs' budgets add up; one wei more is refused.
    function test_skipped_epochs_may_be_spent_together(uint8 skipped) public {
        uint256 epochs = 1 + uint256(skipped) % 20;
        passEpochs(epochs);
        uint256 sum;
        for (uint64 e = 1; e <= epochs; ++e) {
            sum += compute.budgetOf(e);
        }
        Messages.Settlement memory s = draft();
        s.totals.allowanceCredits = sum + 1;
        reverts(s, IComputeContract.AllowanceExceedsBudgets.selector);
        s.totals.allowanceCredits = sum;
        s.totals.modelEmission = sum / 10;
        s.totals.agentEmission = sum / 10;
        postFinal(s);
        equal(compute.computePool(), FIRST_POOL - sum - sum / 10 - REPAYMENT, "pool");
    }

    /// Epochs begun and not covered keep the budget they had when they began.
    function test_carried_budgets() public {
        passEpochs(3);
        Messages.Settlement memory s = draft();
        s.epoch = 1;
        uint256 second = compute.budgetOf(2);
        uint256 third = compute.budgetOf(3);
        uint256 now_ = compute.budgetOf(4);
        postFinal(s);
        equal(compute.budgetOf(2), second, "unchanged");
        equal(compute.budgetOf(3), third, "unchanged");
        equal(compute.budgetOf(4), now_, "this epoch too");
        uint256 reserve = BudgetCurve.reserveUp(second + third + now_);
        uint256 base = FIRST_POOL - reserve - REPAYMENT;
        equal(compute.budgetOf(5), BudgetCurve.spendableDown(base, 1), "1% of the rest");
        passEpochs(1);
        s = draft();
        uint256 sum = second + third + now_ + compute.budgetOf(5);
        s.totals.allowanceCredits = sum + 1;
        reverts(s, IComputeContract.AllowanceExceedsBudgets.selector);
        s.totals.allowanceCredits = sum;
        post(s);
    }

    function test_totals_never_fall(uint8 which) public {
        depositAs(capital, 100 * MOR);
        passEpochs(1);
        Messages.Settlement memory s = draft();
        s.totals = Messages.Totals(10 * MOR, MOR / 2, MOR / 2, 0, 0, 1);
        addPaid(s, 10 * MOR);
        postFinal(s);
        s = draft();
        bytes4 selector = IComputeContract.TotalsFell.selector;
        if (which % 5 == 0) --s.totals.allowanceCredits;
        else if (which % 5 == 1) --s.totals.modelEmission;
        else if (which % 5 == 2) --s.totals.agentEmission;
        else if (which % 5 == 3) --s.totals.paidCredits;
        else (s.totals.debits, s.totals.paidCredits) = (9.99 ether, 9.95 ether);
        reverts(s, selector);
    }

    function test_emission_is_at_most_a_tenth(uint256 allowance) public {
        passEpochs(1);
        uint256 budget = compute.budgetOf(1);
        allowance = bound(allowance, 0, budget);
        uint256 limit = (allowance + 1e12) * 100 / 995;
        if (limit > budget / 10) limit = budget / 10;
        Messages.Settlement memory s = draft();
        s.totals.allowanceCredits = allowance;
        s.totals.modelEmission = limit + 1;
        reverts(s, IComputeContract.EmissionTooHigh.selector);
        s.totals.modelEmission = limit;
        s.totals.agentEmission = limit + 1;
        reverts(s, IComputeContract.EmissionTooHigh.selector);
        s.totals.agentEmission = limit;
        post(s);
    }

    function test_agents_are_paid_from_the_community_pool_only() public {
        deploy();
        fundAs(capital, IComputeContract.Bucket.Compute, 10_000 * MOR);
        fundAs(capital, IComputeContract.Bucket.Community, MOR);
        compute.checkpoint();
        for (uint256 i = 0; i < ROUTERS; ++i) {
            (routers[i], routerKeys[i]) = (address(uint160(0x1000 + i)), 0xA000 + i);
            registerNode(routers[i], routerKeys[i], INodeRegistry.Role.Router, STAKE);
        }
        passEpochs(2);
        Messages.Settlement memory s = draft();
        s.totals.allowanceCredits = 99 * MOR;
        s.totals.agentEmission = MOR + 1;
        reverts(s, IComputeContract.PoolExceeded.selector);
        s.totals.agentEmission = MOR;
        postFinal(s);
        equal(compute.communityPool(), 0, "spent");
    }

    function test_paid_credits_are_debits_less_the_fee(uint256 charge) public {
        charge = bound(charge, 1e15, 100 * MOR);
        depositAs(capital, 100 * MOR);
        passEpochs(1);
        Messages.Settlement memory s = draft();
        (s.totals.debits, s.totals.paidCredits, s.totals.deposits) = (charge, charge + 1, 1);
        reverts(s, IComputeContract.PaidExceedsDebits.selector);
        uint256 least = (charge * 995 + 999) / 1000 - 1e12;
        s.totals.paidCredits = least - 1;
        reverts(s, IComputeContract.FeeTooHigh.selector);
        s.totals.paidCredits = least;
        s.totals.debits = 100 * MOR + 1;
        s.totals.paidCredits = 100 * MOR;
        reverts(s, IComputeContract.DebitsExceedDeposits.selector);
        (s.totals.debits, s.totals.paidCredits) = (charge, least);
        postFinal(s);
        equal(compute.computePool(), FIRST_POOL - REPAYMENT + charge - least, "fee in the pool");
    }

    function test_deposit_count_is_what_it_is() public {
        depositAs(capital, MOR);
        depositAs(address(0xD2), MOR);
        passEpochs(1);
        Messages.Settlement memory s = draft();
        s.totals.deposits = 3;
        reverts(s, IComputeContract.DepositCountWrong.selector);
        s.totals.deposits = 2;
        postFinal(s);
        s = draft();
        s.totals.deposits = 1;
        reverts(s, IComputeContract.DepositCountWrong.selector);
    }

    function test_absurd_totals_are_refused() public {
        passEpochs(1);
        Messages.Settlement memory s = draft();
        s.totals.allowanceCredits = type(uint256).max;
        reverts(s, IComputeContract.AmountTooLarge.selector);
        s = draft();
        s.totals.debits = type(uint256).max;
        reverts(s, IComputeContract.DebitsExceedDeposits.selector);
    }

    function test_a_settlement_without_quorum_is_refused() public {
        passEpochs(1);
        Messages.Settlement memory s = draft();
        INodeRegistry.RouterSignature[] memory three = signedBy(s, 0, 3);
        vm.expectPartialRevert(INodeRegistry.QuorumMissing.selector);
        compute.settle(s, three);
        // Signed for something else.
        INodeRegistry.RouterSignature[] memory five = signedBy(s, 0, 5);
        s.recordRoot = SALT;
        vm.expectPartialRevert(INodeRegistry.RouterSignatureInvalid.selector);
        compute.settle(s, five);
    }

    function test_its_poster_is_repaid_at_finality() public {
        passEpochs(1);
        Messages.Settlement memory s = draft();
        INodeRegistry.RouterSignature[] memory signatures = signedBy(s, 0, ROUTERS);
        vm.prank(poster);
        compute.settle(s, signatures);
        equal(mor.balanceOf(poster), 0, "not yet");
        passEpochs(1);
        compute.finalize();
        equal(mor.balanceOf(poster), REPAYMENT, "repaid");
        equal(compute.finalSettlement().posterRepayment, REPAYMENT, "on record");
    }

    function test_a_small_pool_repays_nobody() public {
        deploy();
        for (uint256 i = 0; i < ROUTERS; ++i) {
            registerNode(
                address(uint160(0x1000 + i)), 0xA000 + i, INodeRegistry.Role.Router, STAKE
            );
            (routers[i], routerKeys[i]) = (address(uint160(0x1000 + i)), 0xA000 + i);
        }
        fundAs(capital, IComputeContract.Bucket.Compute, 100 * REPAYMENT - 1);
        passEpochs(2);
        postFinal(draft());
        equal(mor.balanceOf(address(this)), 0, "nothing");
        // 1.1% is reserved for the epoch that is running.
        fundAs(capital, IComputeContract.Bucket.Compute, 2 * REPAYMENT);
        postFinal(draft());
        equal(mor.balanceOf(address(this)), REPAYMENT, "1% of it");
    }

    /// However long nobody settles, and however much is spent, the pool covers its reserves.
    function test_the_pool_never_runs_dry(uint8[12] memory gaps, bool[12] memory lazy) public {
        for (uint256 i = 0; i < 12; ++i) {
            passEpochs(1 + uint256(gaps[i]) % 9);
            Messages.Settlement memory s = draft();
            uint64 from = compute.nextSettlementFrom();
            if (lazy[i]) s.epoch = from;
            if (s.epoch == 0) s.epoch = 1;
            uint256 last = compute.finalSettlement().epoch;
            uint256 sum;
            for (uint256 e = last + 1; e <= s.epoch; ++e) {
                sum += compute.budgetOf(uint64(e));
            }
            s.totals.allowanceCredits += sum;
            s.totals.modelEmission += sum / 10;
            postFinal(s);
        }
        check(compute.computePool() > 0, "something is left");
    }

    /// A first settlement that would pay more than there is, is refused by the pool itself.
    function test_nothing_is_covered_before_there_is_a_pool() public {
        deploy();
        for (uint256 i = 0; i < ROUTERS; ++i) {
            (routers[i], routerKeys[i]) = (address(uint160(0x1000 + i)), 0xA000 + i);
            registerNode(routers[i], routerKeys[i], INodeRegistry.Role.Router, STAKE);
        }
        passEpochs(2);
        Messages.Settlement memory s = draft();
        s.totals.allowanceCredits = 1;
        reverts(s, IComputeContract.AllowanceExceedsBudgets.selector);
        postFinal(draft());
        equal(compute.budgetOf(nowEpoch()), 0, "no budget");
    }
}
