// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../src/Messages.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Depositing} from "./Depositing.sol";
import {Sessions} from "./Sessions.sol";

contract HatchTest is Depositing, Sessions {
    function setUp() public override {
        super.setUp();
        registerNode(provider, PROVIDER_KEY, INodeRegistry.Role.Provider, MOR);
        depositAs(owner, 100 * MOR);
    }

    function unsigned() internal view returns (IComputeContract.SessionProof memory) {
        return sessionOf(owner);
    }

    function signed(IComputeContract.SessionProof memory p)
        internal
        view
        returns (IComputeContract.SessionProof memory)
    {
        return resigned(linked(p));
    }

    function resigned(IComputeContract.SessionProof memory p)
        internal
        view
        returns (IComputeContract.SessionProof memory)
    {
        return signedSession(p, WALLET);
    }

    function reverts(IComputeContract.SessionProof memory p, bytes4 selector) internal {
        vm.expectPartialRevert(selector);
        compute.paySession(p);
    }

    function invalid(IComputeContract.SessionProof memory p) internal {
        reverts(p, IComputeContract.SessionInvalid.selector);
    }

    function openForProviders() internal {
        (uint64 from,,) = compute.hatchEpochs();
        passEpochs(from - nowEpoch());
    }

    function openForOwners() internal {
        (, uint64 from,) = compute.hatchEpochs();
        passEpochs(from - nowEpoch());
    }

    function test_windows_follow_the_last_settlement() public {
        (uint64 providers, uint64 owners, uint64 withoutProof) = compute.hatchEpochs();
        equal(providers, 8, "7 whole epochs after epoch 0");
        equal(owners, 11, "3 more");
        equal(withoutProof, 32, "21 more");
        passEpochs(2);
        postFinal(draft());
        (providers,,) = compute.hatchEpochs();
        equal(providers, 11, "posted in epoch 3");
    }

    /// Absolute times: the IR optimiser takes the clock for constant within a call.
    function test_closed_outside_its_windows() public {
        IComputeContract.SessionProof memory p = signed(unsigned());
        IComputeContract.DebitLeaf memory none = noLeaf();
        bytes4 closed = IComputeContract.HatchClosed.selector;
        (uint64 providers, uint64 owners, uint64 withoutProof) = compute.hatchEpochs();
        vm.warp(GENESIS + providers * EPOCH - 1);
        reverts(p, closed);
        vm.warp(GENESIS + providers * EPOCH);
        vm.expectPartialRevert(closed);
        compute.withdrawByHatch(0, none);
        vm.warp(GENESIS + owners * EPOCH - 1);
        vm.expectPartialRevert(closed);
        compute.withdrawByHatch(0, none);
        vm.warp(GENESIS + owners * EPOCH);
        reverts(p, closed);
        vm.expectPartialRevert(closed);
        compute.withdrawWithoutProof(0);
        vm.warp(GENESIS + withoutProof * EPOCH - 1);
        vm.expectPartialRevert(closed);
        compute.withdrawWithoutProof(0);
    }

    function test_pays_a_session_to_its_payees(uint32 agreed) public {
        IComputeContract.SessionProof memory p = unsigned();
        p.tick.secondsAgreed = uint32(bound(agreed, 0, 600));
        p = signed(p);
        openForProviders();
        vm.prank(other);
        compute.paySession(p);
        uint256 charge = uint256(p.tick.secondsAgreed) * RATE;
        uint256 amount = charge > 2 * MOR ? charge - 2 * MOR : 0;
        equal(mor.balanceOf(provider), amount * 3 / 4, "three quarters");
        equal(mor.balanceOf(builder), amount / 4, "a quarter");
        equal(compute.depositOf(0).withdrawn, amount * 3 / 4 + amount / 4, "from the deposit");
        check(compute.paidByHatch(p.tick.sessionId), "noted");
        reverts(p, IComputeContract.SessionAlreadyPaid.selector);
    }

    function test_pays_at_most_the_reservation_and_the_deposit() public {
        IComputeContract.SessionProof memory p = unsigned();
        p.ticket.reservedDeposit = 3 * MOR;
        p = signed(p);
        openForProviders();
        compute.paySession(p);
        equal(mor.balanceOf(provider) + mor.balanceOf(builder), 3 * MOR, "reserved");
        p.delegation.debitCeiling = type(uint256).max;
        p.ticket.reservedDeposit = 10_000 * MOR;
        (p.tick.secondsAgreed, p.ticket.maxSeconds, p.rfc.maxSeconds) = (1e6, 1e6, 1e6);
        p = signed(p);
        compute.paySession(p);
        equal(mor.balanceOf(provider) + mor.balanceOf(builder), 100 * MOR, "all there is");
    }

    function test_never_beyond_the_ceiling() public {
        IComputeContract.SessionProof memory p = unsigned();
        p.delegation.debitCeiling = 6 * MOR;
        IComputeContract.SessionProof memory second = unsigned();
        second.delegation.debitCeiling = 6 * MOR;
        second.rfc.nonce = SALT;
        openForProviders();
        compute.paySession(signed(p));
        reverts(signed(second), IComputeContract.CeilingExceeded.selector);
        second.ticket.reservedDeposit = 2 * MOR;
        compute.paySession(signed(second));
    }

    /// Sessions shown in the hatch and debits settled later are within one ceiling together.
    function test_what_the_hatch_paid_counts_against_the_ceiling() public {
        IComputeContract.SessionProof memory p = signed(unsigned());
        openForProviders();
        compute.paySession(p);
        equal(compute.depositOf(0).withdrawn, 4 * MOR, "paid");
        // Its signers could not know what was paid in this very epoch.
        answerable(50 * MOR, p.delegation);
        passEpochs(1);
        // A part of a deposit may be above the ceiling: a fall is always allowed.
        answerable(46 * MOR, p.delegation);
        passEpochs(1);
        uint256 debit = 46 * MOR + 1;
        post(debitedBy(debit));
        vm.prank(owner);
        compute.demand(0);
        IComputeContract.DebitLeaf memory leaf = leafOf(one(debit), 0);
        vm.expectPartialRevert(IComputeContract.CeilingExceeded.selector);
        compute.answerDemand(0, leaf, p.delegation, p.walletSignature);
    }

    function debitedBy(uint256 debit) private view returns (Messages.Settlement memory s) {
        s = draft();
        s.totals.deposits = 1;
        s.debitRoot = debitRoot(one(debit));
    }

    function answerable(uint256 debit, Messages.Delegation memory delegation) private {
        post(debitedBy(debit));
        give(owner, BOND);
        vm.prank(owner);
        mor.approve(address(compute), type(uint256).max);
        give(owner, BOND);
        vm.prank(owner);
        compute.demand(0);
        bytes memory signature = signDelegation(WALLET, delegation);
        compute.answerDemand(0, leafOf(one(debit), 0), delegation, signature);
    }

    function test_collected_debits_count_against_the_ceiling() public {
        passEpochs(1);
        postFinal(debited(one(47 * MOR)));
        compute.collect(0, leafOf(one(47 * MOR), 0));
        IComputeContract.SessionProof memory p = unsigned();
        p.ticket.epoch = 2;
        openForProviders();
        reverts(signed(p), IComputeContract.CeilingExceeded.selector);
        p.ticket.reservedDeposit = 3 * MOR;
        compute.paySession(signed(p));
    }

    function test_every_signature_counts() public {
        openForProviders();
        IComputeContract.SessionProof memory p = signed(unsigned());
        bytes memory stranger = signBytes(0x666, SALT);
        for (uint256 i = 0; i < 10; ++i) {
            IComputeContract.SessionProof memory bad = signed(unsigned());
            bytes memory wrong = i < 5 ? stranger : bytes("");
            if (i % 5 == 0) bad.walletSignature = wrong;
            else if (i % 5 == 1) bad.rfcSignature = wrong;
            else if (i % 5 == 2) bad.routerSignature = wrong;
            else if (i % 5 == 3) bad.sessionSignature = wrong;
            else bad.providerSignature = wrong;
            invalid(bad);
        }
        compute.paySession(p);
    }

    function test_every_link_counts() public {
        openForProviders();
        IComputeContract.SessionProof memory p = signed(unsigned());
        p.rfc.delegationHash = SALT;
        p.ticket.rfcHash = digest(messages.hashRequestForCompute(p.rfc));
        p.tick.sessionId = digest(messages.hashTicket(p.ticket));
        invalid(resigned(p));
        p = signed(unsigned());
        p.ticket.rfcHash = SALT;
        p.tick.sessionId = digest(messages.hashTicket(p.ticket));
        invalid(resigned(p));
        p = signed(unsigned());
        p.tick.sessionId = SALT;
        invalid(resigned(p));
        p = unsigned();
        p.rfc.router = routers[1];
        invalid(signed(p));
        p = unsigned();
        p.ticket.sessionKey = vm.addr(DELEGATE);
        invalid(signed(p));
        p = unsigned();
        p.ticket.maxSeconds = 601;
        invalid(signed(p));
        p = unsigned();
        p.ticket.provider = routers[1];
        invalid(signed(p));
        p = unsigned();
        p.ticket.provider = address(0);
        p = signed(p);
        p.providerSignature = signBytes(0x666, digest(messages.hashTick(p.tick)));
        invalid(p);
    }

    function test_every_bound_counts() public {
        openForProviders();
        IComputeContract.SessionProof memory p = unsigned();
        p.tick.secondsAgreed = 601;
        invalid(signed(p));
        p = unsigned();
        p.rfc.maxWeiPerSecond = RATE - 1;
        invalid(signed(p));
        p = unsigned();
        p.ticket.payees = new Messages.Payee[](5);
        p.ticket.payees[0] = Messages.Payee(provider, 0, RATE);
        invalid(signed(p));
        p = unsigned();
        p.ticket.payees = new Messages.Payee[](4);
        invalid(signed(p));
        p.ticket.payees[0] = Messages.Payee(provider, 0, 1e24 + 1);
        p.rfc.maxWeiPerSecond = type(uint256).max;
        invalid(signed(p));
        p.ticket.payees[0].weiPerSecond = 1e24;
        compute.paySession(signed(p));
    }

    function test_only_epochs_over_and_not_settled() public {
        passEpochs(2);
        postFinal(debited(one(MOR)));
        IComputeContract.SessionProof memory p = unsigned();
        p.ticket.epoch = 2;
        openForProviders();
        invalid(signed(p));
        p.ticket.epoch = nowEpoch();
        invalid(signed(p));
        p.ticket.epoch = 3;
        compute.paySession(signed(p));
        p.ticket.epoch = nowEpoch() - 1;
        compute.paySession(signed(p));
    }

    function test_only_within_the_delegation() public {
        openForProviders();
        IComputeContract.SessionProof memory p = unsigned();
        p.delegation.expiresAt = (GENESIS + EPOCH - 1) * 1000;
        invalid(signed(p));
        p.delegation.expiresAt = (GENESIS + EPOCH) * 1000;
        compute.paySession(signed(p));
        vm.prank(owner);
        compute.revokeBelow(2);
        p = unsigned();
        p.ticket.epoch = nowEpoch() - 1;
        compute.paySession(signed(p));
        passEpochs(2);
        p.ticket.epoch = nowEpoch() - 1;
        invalid(signed(p));
        p.delegation.nonce = 2;
        compute.paySession(signed(p));
    }

    function test_a_user_without_a_deposit_pays_nothing() public {
        IComputeContract.SessionProof memory p = unsigned();
        p.delegation.user = vm.addr(0x7E57);
        p = signed(p);
        p.walletSignature = signBytes(0x7E57, digest(messages.hashDelegation(p.delegation)));
        openForProviders();
        reverts(p, IComputeContract.DepositUnknown.selector);
    }

    function test_owners_take_what_the_final_leaf_leaves(uint256 debit) public {
        debit = bound(debit, 1e15, 100 * MOR);
        passEpochs(1);
        postFinal(debited(one(debit)));
        openForOwners();
        IComputeContract.DebitLeaf memory leaf = noLeaf();
        vm.expectRevert(IComputeContract.ProofInvalid.selector);
        compute.withdrawByHatch(0, leaf);
        leaf = leafOf(one(debit), 0);
        if (debit == 100 * MOR) {
            vm.expectRevert(IComputeContract.NothingToWithdraw.selector);
            compute.withdrawByHatch(0, leaf);
            return;
        }
        compute.withdrawByHatch(0, leaf);
        equal(mor.balanceOf(owner), 100 * MOR - debit, "the rest");
        vm.expectRevert(IComputeContract.NothingToWithdraw.selector);
        compute.withdrawByHatch(0, leaf);
    }

    /// Even if nobody holds the debit tree any more, no deposit is stuck.
    function test_at_last_owners_need_no_proof() public {
        passEpochs(1);
        postFinal(debited(one(10 * MOR)));
        (,, uint64 from) = compute.hatchEpochs();
        passEpochs(from - nowEpoch());
        vm.prank(other);
        compute.withdrawWithoutProof(0);
        equal(mor.balanceOf(owner), 100 * MOR, "all that was not collected");
        vm.expectRevert(IComputeContract.NothingToWithdraw.selector);
        compute.withdrawWithoutProof(0);
    }

    function test_a_pending_settlement_keeps_it_closed() public {
        openForProviders();
        post(draft());
        bytes4 closed = IComputeContract.HatchClosed.selector;
        reverts(signed(unsigned()), closed);
    }

    /// What the hatch paid in the very epoch of posting is not held against the settlement.
    function test_signers_are_not_blamed_for_what_they_could_not_know() public {
        openForOwners();
        passEpochs(1);
        Messages.Settlement memory s = debited(one(40 * MOR));
        depositAs(other, 200 * MOR);
        compute.withdrawByHatch(0, noLeaf());
        post(s);
        IComputeContract.DebitLeaf memory leaf = leafOf(one(40 * MOR), 0);
        vm.expectPartialRevert(IComputeContract.LeafNotAboveDeposit.selector);
        compute.proveExcess(0, leaf);
        passEpochs(1);
        compute.collect(0, leaf);
        equal(compute.depositOf(0).collected, 0, "nothing there to collect");
        // The next epoch's Routers do know.
        s = draft();
        bytes32 known = post(s);
        compute.proveExcess(0, leaf);
        check(compute.isVoided(known), "void");
    }

    function test_hatch_sums_of_one_epoch_add_up() public {
        IComputeContract.SessionProof memory p = signed(unsigned());
        IComputeContract.SessionProof memory second = unsigned();
        second.rfc.nonce = SALT;
        second = signed(second);
        openForProviders();
        compute.paySession(p);
        compute.paySession(second);
        depositAs(other, 200 * MOR);
        post(debited(one(100 * MOR)));
        IComputeContract.DebitLeaf memory leaf = leafOf(one(100 * MOR), 0);
        vm.expectPartialRevert(IComputeContract.LeafNotAboveDeposit.selector);
        compute.proveExcess(0, leaf);
    }
}
