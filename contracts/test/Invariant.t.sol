// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../src/Messages.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Network} from "./Network.sol";
import {Tree} from "./Tree.sol";

/// @title The whole network with honest and lying quorums, driven by the fuzzer
/// @dev Ghosts: what each owner owes and each payee earned by the settlement posted last, the
/// highest credit leaf ever final, and everything that went in and out.
contract NetworkHandler is Network {
    uint256 internal constant OWNERS = 4;
    uint256 internal constant PAYEES = 3;
    /// Owner 0 watches: it demands its leaf in every settlement. Nobody has its wallet's signature
    /// for more than this.
    uint256 public constant CEILING = 20 ether;
    uint256 internal constant WALLETS = 0xDA11E70;

    uint256[] public finalDebits;
    uint256[] public pendingDebits;
    uint256[PAYEES] public finalCredits;
    uint256[PAYEES] public pendingCredits;
    uint256[PAYEES] public highestCredit;
    uint256[PAYEES] public received;
    bytes32 public pendingDigest;
    bytes32 public finalDigest;
    Messages.Totals public highest;
    bool public totalsFell;
    bool public allowanceAboveBudgets;
    bool public watcherRobbed;
    uint256 public settlements;
    uint256 public voids;
    uint256 public repaid;

    constructor() {
        deployAndStart();
        for (uint256 i = 0; i < OWNERS; ++i) {
            depositAs(ownerAt(i), 100 * MOR);
            finalDebits.push(0);
            pendingDebits.push(0);
        }
    }

    function computeAddress() external view returns (IComputeContract) {
        return compute;
    }

    function morOf(address account) external view returns (uint256) {
        return mor.balanceOf(account);
    }

    function ownerAt(uint256 i) public pure returns (address) {
        return vm.addr(WALLETS + i);
    }

    function payeeAt(uint256 i) public pure returns (address) {
        return address(uint160(0xFA0EE0 + i));
    }

    function time(uint256 by) external {
        vm.warp(block.timestamp + bound(by, 1, 2 * EPOCH));
        sync();
    }

    function fund(uint256 amount, bool community) external {
        amount = bound(amount, 1, 10_000 * MOR);
        give(capital, amount);
        approveAs(capital, address(compute));
        vm.prank(capital);
        compute.fund(IComputeContract.Bucket(community ? 1 : 0), amount);
    }

    function topUp(uint256 i, uint256 amount) external {
        depositAs(ownerAt(i % OWNERS), bound(amount, 1, 100 * MOR));
        sync();
    }

    function announce(uint256 i, uint256 amount) external {
        i = i % OWNERS;
        IComputeContract.DepositRecord memory record = compute.depositOf(i);
        amount = bound(amount, 0, record.deposited - record.withdrawn);
        vm.prank(ownerAt(i));
        compute.announceWithdrawal(i, amount);
    }

    function withdraw(uint256 i) external {
        i = i % OWNERS;
        sync();
        try compute.withdraw(i, leafOf(finalDebits, i)) {} catch {}
        sync();
    }

    function collect(uint256 i) external {
        sync();
        compute.collect(i % OWNERS, leafOf(finalDebits, i % OWNERS));
    }

    function claim(uint256 i) external {
        sync();
        i = i % PAYEES;
        try compute.claim(payeeAt(i), finalCredits[i], Tree.proof(creditLeaves(false), i)) {
            received[i] = mor.balanceOf(payeeAt(i));
        } catch {}
    }

    /// What honest Routers would post: debits within ceilings, announcements and deposits.
    function settleHonestly(uint256 seed) external {
        if (!mayPost(seed)) return;
        Messages.Settlement memory s = draft();
        for (uint256 i = 0; i < PAYEES; ++i) {
            pendingCredits[i] = finalCredits[i];
        }
        for (uint256 i = 0; i < OWNERS; ++i) {
            uint256 charge = bound(uint256(keccak256(abi.encode(seed, i))), 0, spendable(i));
            pendingDebits[i] = finalDebits[i] + charge;
            addPaid(s, charge);
            pendingCredits[i % PAYEES] += charge * 995 / 1000;
        }
        uint256 charged = bound(seed, 0, budgets(s.epoch));
        s.totals.allowanceCredits += charged * 995 / 1000;
        s.totals.modelEmission += charged / 10;
        pendingCredits[0] += charged * 995 / 1000 + charged / 10;
        postPending(s);
    }

    /// A corrupt quorum: any leaves, any credits, and totals as high as the contract lets pass.
    function settleFalsely(uint256 seed, uint256 steal, bool fakeTotals) external {
        if (!mayPost(seed)) return;
        Messages.Settlement memory s = draft();
        uint256 sum;
        for (uint256 i = 0; i < OWNERS; ++i) {
            uint256 leaf = bound(uint256(keccak256(abi.encode(seed, i))), 0, 300 * MOR);
            pendingDebits[i] = seed % 3 == 0 ? finalDebits[i] : leaf;
            sum += pendingDebits[i];
        }
        (uint256 deposited, uint256 withdrawn,,) = compute.depositTotals();
        uint256 most = deposited - withdrawn;
        uint256 debits = fakeTotals ? most : sum < most ? sum : most;
        if (debits > s.totals.debits) addPaid(s, debits - s.totals.debits);
        s.totals.allowanceCredits += budgets(s.epoch);
        for (uint256 i = 0; i < PAYEES; ++i) {
            pendingCredits[i] = finalCredits[i] + bound(steal, 0, 1e25);
        }
        postPending(s);
    }

    function hatch(uint256 i, bool withProof) external {
        i = i % OWNERS;
        sync();
        if (withProof) {
            try compute.withdrawByHatch(i, leafOf(finalDebits, i)) {} catch {}
        } else {
            try compute.withdrawWithoutProof(i) {} catch {}
        }
    }

    function excess(uint256 i) external {
        i = i % OWNERS;
        if (pendingDigest == 0) return;
        try compute.proveExcess(i, leafOf(pendingDebits, i)) {
            forgetPending();
        } catch {}
    }


    /// Learns whether the pending settlement became final or void.
    function sync() public {
        if (pendingDigest == 0) return;
        (IComputeContract.Book memory pending,) = compute.pendingSettlement();
        if (pending.digest == pendingDigest) return;
        try compute.finalize() {} catch {}
        IComputeContract.Book memory last = compute.finalSettlement();
        if (last.digest != pendingDigest) {
            forgetPending();
            return;
        }
        finalDigest = pendingDigest;
        pendingDigest = 0;
        if (last.posterRepayment != 0) repaid += last.posterRepayment;
        noteTotals(last.totals);
        for (uint256 i = 0; i < OWNERS; ++i) {
            finalDebits[i] = pendingDebits[i];
        }
        if (finalDebits[0] > CEILING) watcherRobbed = true;
        for (uint256 i = 0; i < PAYEES; ++i) {
            finalCredits[i] = pendingCredits[i];
            if (finalCredits[i] > highestCredit[i]) highestCredit[i] = finalCredits[i];
        }
    }

    function noteTotals(Messages.Totals memory t) private {
        Messages.Totals memory h = highest;
        totalsFell = totalsFell || t.allowanceCredits < h.allowanceCredits
            || t.modelEmission < h.modelEmission || t.agentEmission < h.agentEmission
            || t.paidCredits < h.paidCredits || t.debits < h.debits || t.deposits < h.deposits;
        highest = t;
    }

    function forgetPending() private {
        pendingDigest = 0;
        ++voids;
    }

    /// Time goes on to where a settlement is likely to be due.
    function mayPost(uint256 seed) private returns (bool) {
        sync();
        vm.warp(block.timestamp + bound(seed >> 8, EPOCH / 2, 5 * EPOCH / 4));
        sync();
        return pendingDigest == 0 && nowEpoch() > 1 && compute.nextSettlementFrom() < nowEpoch()
            && nowEpoch() - 1 > compute.finalSettlement().epoch;
    }

    /// By the views, epoch by epoch: an independent sum of what may be spent.
    function budgets(uint64 epoch) private view returns (uint256 sum) {
        for (uint64 e = compute.finalSettlement().epoch + 1; e <= epoch; ++e) {
            try compute.budgetOf(e) returns (uint256 budget) {
                sum += budget;
            } catch {}
        }
    }

    function spendable(uint256 i) private view returns (uint256) {
        IComputeContract.DepositRecord memory record = compute.depositOf(i);
        uint256 used = finalDebits[i] + record.announced + record.withdrawn;
        if (used >= record.deposited) return 0;
        uint256 free = record.deposited - used;
        uint256 left = finalDebits[i] < CEILING ? CEILING - finalDebits[i] : 0;
        return free < left ? free : left;
    }

    function creditLeaves(bool pending) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](PAYEES);
        for (uint256 i = 0; i < PAYEES; ++i) {
            uint256 credit = pending ? pendingCredits[i] : finalCredits[i];
            leaves[i] = Tree.creditLeaf(payeeAt(i), credit);
        }
    }

    /// Posts, and has the watcher ask; the quorum answers with what its wallet really signed.
    function postPending(Messages.Settlement memory s) private {
        s.totals.deposits = uint64(OWNERS);
        s.debitRoot = debitRoot(pendingDebits);
        s.creditRoot = Tree.root(creditLeaves(true));
        uint256 before = compute.finalSettlement().totals.allowanceCredits;
        uint256 allowed = budgets(s.epoch);
        try compute.settle(s, signedBy(s, 0, ROUTERS)) {
            if (s.totals.allowanceCredits - before > allowed) allowanceAboveBudgets = true;
            pendingDigest = digestOf(s);
            ++settlements;
            watch();
        } catch {}
    }

    function watch() private {
        give(ownerAt(0), BOND);
        vm.prank(ownerAt(0));
        compute.demand(0);
        Messages.Delegation memory delegation = delegationOf(ownerAt(0), CEILING, 1);
        bytes memory signature = signDelegation(WALLETS, delegation);
        try compute.answerDemand(0, leafOf(pendingDebits, 0), delegation, signature) {} catch {}
    }
}

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

    /// MOR held = pools + deposits + credits not yet claimed + bonds.
    function invariant_money_is_conserved() public view {
        Messages.Totals memory t = target.finalSettlement().totals;
        (uint256 deposited, uint256 withdrawn,, uint256 bonds) = target.depositTotals();
        (uint256 claimed,) = target.claimTotals();
        uint256 deposits = deposited - withdrawn;
        uint256 credits =
            t.allowanceCredits + t.modelEmission + t.agentEmission + t.paidCredits - claimed;
        uint256 pools = target.computePool() + target.communityPool();
        equal(held() + t.debits, pools + deposits + credits + bonds, "conserved");
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
        uint256 sum;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 claimed = target.claimedOf(handler.payeeAt(i));
            sum += claimed;
            atMost(claimed, handler.highestCredit(i), "leaf");
            equal(handler.received(i), claimed, "paid what is booked");
        }
        (uint256 all, uint256 limit) = target.claimTotals();
        equal(sum, all, "sum");
        atMost(all, limit, "limit");
        Messages.Totals memory t = target.finalSettlement().totals;
        uint256 granted =
            t.allowanceCredits + t.modelEmission + t.agentEmission + t.paidCredits;
        atMost(all, granted, "granted");
    }

    function invariant_totals_never_fall() public view {
        check(!handler.totalsFell(), "fell");
    }

    function invariant_allowance_is_within_budgets() public view {
        check(!handler.allowanceAboveBudgets(), "above");
    }

    function invariant_a_watching_owner_is_not_robbed() public view {
        check(!handler.watcherRobbed(), "robbed");
        atMost(target.depositOf(0).collected, handler.CEILING(), "collected");
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
