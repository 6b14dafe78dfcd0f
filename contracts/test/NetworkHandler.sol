// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../src/Messages.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Sessions} from "./Sessions.sol";
import {Tree} from "./Tree.sol";

/// @title The whole network with honest and lying quorums, driven by the fuzzer
/// @dev Ghosts: what each owner owes and each payee earned by the settlement posted last, the
/// highest credit leaf ever final, and everything that went in and out. Routers that are slashed
/// are replaced, so that the network lives on.
contract NetworkHandler is Sessions {
    uint256 internal constant OWNERS = 4;
    uint256 internal constant PAYEES = 3;
    /// Owner 0 watches: it demands its leaf in every settlement. Nobody has its wallet's signature
    /// for more than this.
    uint256 public constant CEILING = 20 ether;
    uint256 internal constant WALLETS = 0xDA11E70;
    /// Routers ever, so that a run does not grow without end.
    uint256 internal constant ROUTERS_EVER = 12;

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
    /// MOR that came by plain transfers.
    uint256 public gifts;
    /// What Sessions shown in the hatch cost each owner; what of it the watcher paid in epochs in
    /// which a settlement was posted, whose signers could not know it.
    uint256[OWNERS] public paidBySessions;
    uint256 public lateSessions;
    uint256 private watcherPaid;
    uint64 private watcherPaidEpoch;
    /// Whether the hatch paid for a Session that its User's keys did not sign.
    bool public forgedSessionPaid;
    /// Stake taken from liars, and what of it went to who showed them.
    uint256 public slashed;
    uint256 public rewarded;
    address[] internal routerAccounts;
    uint256[] internal routerKeysEver;
    bytes32[] internal voidedDigests;

    constructor() {
        deployAndStart();
        for (uint256 i = 0; i < ROUTERS; ++i) {
            routerAccounts.push(routers[i]);
            routerKeysEver.push(routerKeys[i]);
        }
        registerNode(provider, PROVIDER_KEY, INodeRegistry.Role.Provider, MOR);
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

    /// Nobody settles for so long that the hatch opens.
    function silence(uint256 window, uint256 by) external {
        sync();
        (uint64 providers, uint64 owners, uint64 withoutProof) = compute.hatchEpochs();
        uint64 epoch = window % 4 == 0 ? owners : window % 16 == 1 ? withoutProof : providers;
        uint256 at = GENESIS + epoch * EPOCH + bound(by, 0, 2 * EPOCH);
        if (at > block.timestamp) vm.warp(at);
        sync();
        // Who watches books its own leaf, so that Sessions shown now come on top of it.
        try compute.collect(0, leafOf(finalDebits, 0)) {} catch {}
    }

    function gift(uint256 amount) external {
        amount = bound(amount, 1, 10 * MOR);
        give(capital, amount);
        vm.prank(capital);
        mor.transfer(address(compute), amount);
        gifts += amount;
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

    function claim(uint256 i) public {
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
        // A third of it was served by agents.
        uint256 agents = charged / 30;
        if (agents > compute.communityPool()) agents = compute.communityPool();
        s.totals.agentEmission += agents;
        pendingCredits[0] += charged * 995 / 1000 + charged / 10;
        pendingCredits[1] += agents;
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
        addAllowance(s, budgets(s.epoch));
        overreach(s, seed);
        for (uint256 i = 0; i < PAYEES; ++i) {
            pendingCredits[i] = compute.claimedOf(payeeAt(i)) + bound(steal, 0, mostStolen(seed));
        }
        postPending(s);
    }

    /// Leaves stay honest, so that every demand is answered; totals are as false as they may be;
    /// and one payee at once claims all that may be claimed, or all there is.
    function heist(uint256 seed, uint256 steal) external {
        if (!mayPost(seed)) return;
        Messages.Settlement memory s = draft();
        pendingDebits = finalDebits;
        (uint256 deposited, uint256 withdrawn,,) = compute.depositTotals();
        if (deposited - withdrawn > s.totals.debits) {
            addPaid(s, deposited - withdrawn - s.totals.debits);
        }
        addAllowance(s, budgets(s.epoch));
        for (uint256 i = 0; i < PAYEES; ++i) {
            pendingCredits[i] = compute.claimedOf(payeeAt(i));
        }
        (uint256 claimed, uint256 limit) = compute.claimTotals();
        uint256 balance = mor.balanceOf(address(compute));
        uint256 left = limit > claimed ? limit - claimed : 0;
        pendingCredits[0] += seed % 2 == 0 ? left : bound(steal, balance / 2, balance);
        postPending(s);
        vm.warp(block.timestamp + EPOCH);
        claim(0);
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

    /// A Provider shows a Session of the epoch just ended, true or with one signature forged.
    function paySession(uint256 i, uint256 agreed, uint256 nonce, uint256 forged) external {
        i = i % OWNERS;
        sync();
        IComputeContract.SessionProof memory p = sessionOf(ownerAt(i));
        p.delegation.debitCeiling = CEILING;
        p.rfc.nonce = bytes32(nonce);
        p.ticket.epoch = nowEpoch() - 1;
        p.tick.secondsAgreed = uint32(bound(agreed, 0, 600));
        p = signedSession(linked(p), WALLETS + i);
        bool isForged = forged % 4 == 0;
        if (isForged && forged % 8 == 0) p.walletSignature = p.rfcSignature;
        else if (isForged) p.sessionSignature = p.providerSignature;
        uint256 before = compute.depositOf(i).withdrawn;
        try compute.paySession(p) {
            forgedSessionPaid = forgedSessionPaid || isForged;
            uint256 cost = compute.depositOf(i).withdrawn - before;
            paidBySessions[i] += cost;
            if (i == 0) noteWatcherPaid(cost);
        } catch {}
    }

    /// Any owner asks for its leaf; whether somebody answers is chance.
    function demand(uint256 i, uint256 answered) external {
        i = 1 + i % (OWNERS - 1);
        sync();
        give(ownerAt(i), BOND);
        vm.prank(ownerAt(i));
        try compute.demand(i) {} catch {}
        if (answered % 4 == 0 || pendingDigest == 0) return;
        if (answered % 4 == 1) return answerByDelegation(i);
        IComputeContract.DebitLeaf memory leaf = leafOf(pendingDebits, i);
        try compute.answerUnchanged(i, leaf, leafOf(finalDebits, i)) {} catch {}
    }

    function reclaimBond(uint256 i) external {
        sync();
        try compute.reclaimBond(i % OWNERS) {} catch {}
    }

    /// A Router signs two settlements for one epoch, and is shown; another takes its place.
    function equivocate(uint256 i, uint256 salt) external {
        i = i % routerAccounts.length;
        if (routerAccounts.length >= ROUTERS_EVER) return;
        Messages.Settlement memory first = draft();
        Messages.Settlement memory second = draft();
        second.recordRoot = keccak256(abi.encode(salt));
        bytes memory firstSignature = signBytes(routerKeysEver[i], digestOf(first));
        bytes memory secondSignature = signBytes(routerKeysEver[i], digestOf(second));
        noteSlash(
            abi.encodeCall(
                registry.proveEquivocation, (first, firstSignature, second, secondSignature)
            )
        );
    }

    /// A Router that signed a settlement since voided is shown.
    function slashSigner(uint256 i, uint256 which) external {
        sync();
        if (voidedDigests.length == 0 || routerAccounts.length >= ROUTERS_EVER) return;
        i = i % routerAccounts.length;
        bytes32 voided = voidedDigests[which % voidedDigests.length];
        bytes memory signature = signBytes(routerKeysEver[i], voided);
        noteSlash(abi.encodeCall(registry.slashSigner, (voided, signature)));
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

    function noteWatcherPaid(uint256 cost) private {
        watcherPaid = watcherPaidEpoch == nowEpoch() ? watcherPaid + cost : cost;
        watcherPaidEpoch = nowEpoch();
    }

    function noteSlash(bytes memory call) private {
        uint256 bonded = mor.balanceOf(address(registry));
        uint256 before = mor.balanceOf(address(this));
        (bool done,) = address(registry).call(call);
        if (!done) return;
        slashed += bonded - mor.balanceOf(address(registry));
        rewarded += mor.balanceOf(address(this)) - before;
        uint256 number = routerAccounts.length;
        routerAccounts.push(address(uint160(0x2000 + number)));
        routerKeysEver.push(0xB000 + number);
        registerNode(
            routerAccounts[number], routerKeysEver[number], INodeRegistry.Role.Router, STAKE
        );
    }

    function forgetPending() private {
        voidedDigests.push(pendingDigest);
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
        uint256 owed = finalDebits[i] + paidBySessions[i];
        uint256 left = owed < CEILING ? CEILING - owed : 0;
        return free < left ? free : left;
    }

    /// Little, all there is, or absurdly much.
    function mostStolen(uint256 seed) private view returns (uint256) {
        seed >>= 16;
        if (seed % 3 == 0) return 100 * MOR;
        return seed % 3 == 1 ? mor.balanceOf(address(compute)) : 1e25;
    }

    /// Totals that must be refused, now and then.
    function overreach(Messages.Settlement memory s, uint256 seed) private pure {
        if (seed % 5 == 0) s.totals.allowanceCredits += MOR;
        if (seed % 7 == 0 && s.totals.modelEmission != 0) s.totals.modelEmission = 0;
    }

    /// As much as the contract lets pass.
    function addAllowance(Messages.Settlement memory s, uint256 budget) private view {
        s.totals.allowanceCredits += budget;
        s.totals.modelEmission += budget / 10;
        if (budget / 10 <= compute.communityPool()) s.totals.agentEmission += budget / 10;
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
        try compute.settle(s, signedByLiving(s)) {
            if (s.totals.allowanceCredits - before > allowed) allowanceAboveBudgets = true;
            pendingDigest = digestOf(s);
            if (watcherPaidEpoch == nowEpoch()) lateSessions += watcherPaid;
            ++settlements;
            watch();
        } catch {}
    }

    function watch() private {
        give(ownerAt(0), BOND);
        vm.prank(ownerAt(0));
        compute.demand(0);
        answerByDelegation(0);
    }

    function answerByDelegation(uint256 i) private {
        Messages.Delegation memory delegation = delegationOf(ownerAt(i), CEILING, 1);
        bytes memory signature = signDelegation(WALLETS + i, delegation);
        try compute.answerDemand(i, leafOf(pendingDebits, i), delegation, signature) {} catch {}
    }

    /// All Routers that count in the settlement's epoch and are not slashed, in ascending order.
    function signedByLiving(Messages.Settlement memory s)
        private
        view
        returns (INodeRegistry.RouterSignature[] memory signatures)
    {
        uint256 count;
        uint256[] memory living = new uint256[](routerAccounts.length);
        for (uint256 i = 0; i < living.length; ++i) {
            (, uint256 stake) = registry.snapshotOf(routerAccounts[i], s.epoch);
            if (stake != 0 && !registry.nodes(routerAccounts[i]).slashed) living[count++] = i;
        }
        bytes32 settled = digestOf(s);
        signatures = new INodeRegistry.RouterSignature[](count);
        for (uint256 i = 0; i < count; ++i) {
            signatures[i] = compact(routerAccounts[living[i]], routerKeysEver[living[i]], settled);
        }
    }
}
