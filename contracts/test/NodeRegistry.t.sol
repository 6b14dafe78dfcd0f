// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../src/Messages.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Network} from "./Network.sol";

contract NodeRegistryTest is Network {
    INodeRegistry.Role internal constant ROUTER = INodeRegistry.Role.Router;
    INodeRegistry.Role internal constant PROVIDER = INodeRegistry.Role.Provider;
    address internal node = address(0x90DE);
    uint256 internal constant KEY = 0xBEEF;

    function setUp() public {
        deployAndStart();
        give(node, 1_000_000 * MOR);
        approveAs(node, address(registry));
    }

    function registerAs(address account, uint256 key, INodeRegistry.Role role, uint256 stake)
        internal
    {
        bytes memory agreed = consent(account, key);
        vm.prank(account);
        registry.register(role, vm.addr(key), agreed, stake, address(0));
    }

    function revertsRegister(
        INodeRegistry.Role role,
        address key,
        bytes memory agreed,
        uint256 stake,
        bytes4 selector
    ) internal {
        vm.prank(node);
        vm.expectPartialRevert(selector);
        registry.register(role, key, agreed, stake, address(0));
    }

    function test_constructor_is_range_checked() public {
        vm.expectRevert(INodeRegistry.MinimumOutOfRange.selector);
        new NodeRegistry(EPOCH, GENESIS, address(mor), address(compute), 1e12 - 1, 1);
        vm.expectRevert(INodeRegistry.MinimumOutOfRange.selector);
        new NodeRegistry(EPOCH, GENESIS, address(mor), address(compute), 420_001 * MOR, 1);
        vm.expectRevert(INodeRegistry.MinimumOutOfRange.selector);
        new NodeRegistry(EPOCH, GENESIS, address(mor), address(compute), MOR, 0);
        vm.expectRevert(INodeRegistry.MinimumOutOfRange.selector);
        new NodeRegistry(EPOCH, GENESIS, address(mor), address(compute), MOR, 420_001 * MOR);
        NodeRegistry edge = new NodeRegistry(
            EPOCH, GENESIS, address(mor), address(compute), 420_000 * MOR, 420_000 * MOR
        );
        equal(edge.minimumStake(ROUTER), 420_000 * MOR, "minimum");
        new NodeRegistry(EPOCH, GENESIS, address(mor), address(compute), 1e12, 1);
    }

    function test_registers_from_the_next_epoch(uint256 stake, bool router) public {
        INodeRegistry.Role role = router ? ROUTER : PROVIDER;
        stake = bound(stake, registry.minimumStake(role), 1_000_000 * MOR);
        uint256 sum = registry.routerStakeAt(nowEpoch() + 1);
        registerAs(node, KEY, role, stake);
        INodeRegistry.Node memory got = registry.nodes(node);
        check(got.role == role, "role");
        equal(got.stake, stake, "stake");
        equal(got.signingKey, vm.addr(KEY), "key");
        equal(registry.nodeOfKey(vm.addr(KEY)), node, "by key");
        (address key, uint256 weight) = registry.snapshotOf(node, nowEpoch());
        check(key == address(0) && weight == 0, "not in this epoch");
        (key, weight) = registry.snapshotOf(node, nowEpoch() + 1);
        equal(key, vm.addr(KEY), "next epoch");
        equal(weight, stake / 1e12 * 1e12, "in whole units");
        equal(registry.routerStakeAt(nowEpoch()), ROUTERS * STAKE, "sum now");
        sum += router ? stake / 1e12 * 1e12 : 0;
        equal(registry.routerStakeAt(nowEpoch() + 1), sum, "sum");
        equal(registry.activeRouters(), ROUTERS + (router ? 1 : 0), "active");
        equal(mor.balanceOf(address(registry)), ROUTERS * STAKE + stake, "held");
    }

    function test_register_refuses() public {
        bytes memory agreed = consent(node, KEY);
        address key = vm.addr(KEY);
        INodeRegistry.Role none = INodeRegistry.Role.None;
        revertsRegister(none, key, agreed, MOR, INodeRegistry.WrongRole.selector);
        bytes4 low = INodeRegistry.StakeBelowMinimum.selector;
        revertsRegister(PROVIDER, key, agreed, MOR - 1, low);
        revertsRegister(PROVIDER, key, agreed, 0, low);
        revertsRegister(ROUTER, key, agreed, 100 * MOR - 1, low);
        revertsRegister(ROUTER, key, agreed, 1e26 + 1, INodeRegistry.StakeTooLarge.selector);
        bytes4 invalid = INodeRegistry.KeyConsentInvalid.selector;
        revertsRegister(PROVIDER, key, consent(node, KEY + 1), MOR, invalid);
        revertsRegister(PROVIDER, key, consent(capital, KEY), MOR, invalid);
        revertsRegister(PROVIDER, key, "", MOR, invalid);
        revertsRegister(PROVIDER, address(0), "", MOR, invalid);
        revertsRegister(PROVIDER, node, agreed, MOR, INodeRegistry.KeyIsAccount.selector);
        address taken = vm.addr(routerKeys[0]);
        revertsRegister(PROVIDER, taken, agreed, MOR, INodeRegistry.KeyTaken.selector);
        registerAs(node, KEY, PROVIDER, MOR);
        agreed = consent(node, KEY + 1);
        key = vm.addr(KEY + 1);
        revertsRegister(ROUTER, key, agreed, STAKE, INodeRegistry.AlreadyRegistered.selector);
    }

    function test_adds_stake(uint256 more) public {
        more = bound(more, 1, 1_000 * MOR);
        registerAs(node, KEY, PROVIDER, MOR);
        vm.startPrank(node);
        registry.addStake(more);
        equal(registry.nodes(node).stake, MOR + more, "sum");
        vm.expectRevert(INodeRegistry.ZeroAmount.selector);
        registry.addStake(0);
        vm.stopPrank();
        vm.expectPartialRevert(INodeRegistry.NotRegistered.selector);
        registry.addStake(1);
    }

    function test_rotates_its_key_from_the_next_epoch(uint8 gap) public {
        registerAs(node, KEY, ROUTER, STAKE);
        passEpochs(1 + uint256(gap));
        bytes memory agreed = consent(node, KEY + 1);
        vm.prank(node);
        registry.rotateKey(vm.addr(KEY + 1), agreed);
        (address now_, uint256 weight) = registry.snapshotOf(node, nowEpoch());
        equal(now_, vm.addr(KEY), "old this epoch");
        (address next,) = registry.snapshotOf(node, nowEpoch() + 1);
        equal(next, vm.addr(KEY + 1), "new next epoch");
        equal(weight, STAKE, "stake the same");
        equal(registry.nodeOfKey(vm.addr(KEY)), node, "old stays its own");
        vm.prank(node);
        vm.expectPartialRevert(INodeRegistry.KeyTaken.selector);
        registry.rotateKey(vm.addr(KEY), agreed);
        vm.expectPartialRevert(INodeRegistry.NotRegistered.selector);
        registry.rotateKey(vm.addr(KEY + 2), agreed);
    }

    /// Whatever the changes, a past epoch's snapshot never changes.
    function test_history_is_found(uint8[8] memory gaps) public {
        registerAs(node, KEY, PROVIDER, MOR);
        uint64[9] memory from;
        from[0] = nowEpoch() + 1;
        for (uint256 i = 0; i < 8; ++i) {
            passEpochs(1 + uint256(gaps[i]) % 4);
            vm.prank(node);
            registry.addStake(MOR);
            from[i + 1] = nowEpoch() + 1;
        }
        for (uint256 i = 0; i < 9; ++i) {
            (, uint256 weight) = registry.snapshotOf(node, from[i]);
            equal(weight, (i + 1) * MOR, "from then on");
            (, weight) = registry.snapshotOf(node, from[i] - 1);
            equal(weight, i * MOR, "before");
        }
    }

    function test_unbonds_with_a_delay(uint256 amount) public {
        registerAs(node, KEY, ROUTER, STAKE);
        passEpochs(1);
        amount = bound(amount, 1, STAKE - 100 * MOR);
        vm.startPrank(node);
        registry.unbond(amount);
        equal(registry.nodes(node).stake, STAKE - amount, "left");
        equal(registry.nodes(node).unbonding, amount, "leaving");
        (, uint256 weight) = registry.snapshotOf(node, nowEpoch());
        equal(weight, STAKE, "counts this epoch");
        passEpochs(20);
        vm.expectPartialRevert(INodeRegistry.StillBonded.selector);
        registry.withdrawStake(node);
        passEpochs(1);
        uint256 before = mor.balanceOf(node);
        registry.withdrawStake(node);
        equal(mor.balanceOf(node) - before, amount, "paid");
        vm.expectRevert(INodeRegistry.NothingUnbonding.selector);
        registry.withdrawStake(node);
        vm.stopPrank();
    }

    function test_unbond_refuses() public {
        registerAs(node, KEY, ROUTER, STAKE);
        vm.startPrank(node);
        vm.expectRevert(INodeRegistry.ZeroAmount.selector);
        registry.unbond(0);
        vm.expectPartialRevert(INodeRegistry.StakeBelowMinimum.selector);
        registry.unbond(STAKE + 1);
        vm.expectPartialRevert(INodeRegistry.StakeBelowMinimum.selector);
        registry.unbond(STAKE - 100 * MOR + 1);
        vm.stopPrank();
        vm.expectPartialRevert(INodeRegistry.NotRegistered.selector);
        registry.unbond(1);
    }

    function test_leaves_and_comes_back() public {
        registerAs(node, KEY, ROUTER, STAKE);
        vm.startPrank(node);
        registry.unbond(STAKE);
        equal(registry.activeRouters(), ROUTERS, "left");
        equal(registry.routerStakeAt(nowEpoch() + 1), ROUTERS * STAKE, "sum");
        registry.addStake(200 * MOR);
        equal(registry.activeRouters(), ROUTERS + 1, "back");
        passEpochs(21);
        registry.withdrawStake(node);
        equal(registry.nodes(node).stake, 200 * MOR, "new stake stays");
        registry.addStake(MOR);
        equal(registry.activeRouters(), ROUTERS + 1, "counted once");
        vm.stopPrank();
    }

    function test_a_full_list_gives_way_to_more_stake() public {
        for (uint256 i = ROUTERS; i < 64; ++i) {
            registerNode(address(uint160(0x2000 + i)), 0xB000 + i, ROUTER, 200 * MOR);
        }
        address weak = address(uint160(0x2000 + 10));
        bytes memory agreed = consent(node, KEY);
        address key = vm.addr(KEY);
        vm.startPrank(node);
        vm.expectPartialRevert(INodeRegistry.RoutersFull.selector);
        registry.register(ROUTER, key, agreed, 201 * MOR, address(0));
        vm.expectPartialRevert(INodeRegistry.NotDisplaceable.selector);
        registry.register(ROUTER, key, agreed, 200 * MOR, weak);
        vm.expectPartialRevert(INodeRegistry.NotDisplaceable.selector);
        registry.register(ROUTER, key, agreed, 201 * MOR, capital);
        registry.register(ROUTER, key, agreed, 201 * MOR, weak);
        vm.stopPrank();
        equal(registry.activeRouters(), 64, "still full");
        equal(registry.nodes(weak).unbonding, 200 * MOR, "displaced, not robbed");
        equal(registry.nodes(weak).stake, 0, "out");
        address bystander = address(0x7777);
        registerNode(bystander, 0x7777, PROVIDER, MOR);
        bytes memory other = consent(address(0x8888), 0x8888);
        give(address(0x8888), STAKE);
        approveAs(address(0x8888), address(registry));
        vm.startPrank(address(0x8888));
        vm.expectPartialRevert(INodeRegistry.NotDisplaceable.selector);
        registry.register(ROUTER, vm.addr(0x8888), other, STAKE, weak);
        vm.expectPartialRevert(INodeRegistry.NotDisplaceable.selector);
        registry.register(ROUTER, vm.addr(0x8888), other, STAKE, bystander);
        vm.stopPrank();
    }

    function quorum(uint64 epoch, uint256 from, uint256 to) internal view {
        Messages.Settlement memory s;
        registry.requireQuorum(epoch, digestOf(s), signedBy(s, from, to));
    }

    function revertsQuorum(
        uint64 epoch, INodeRegistry.RouterSignature[] memory signatures, bytes4 selector
    ) internal {
        Messages.Settlement memory s;
        bytes32 digest = digestOf(s);
        vm.expectPartialRevert(selector);
        registry.requireQuorum(epoch, digest, signatures);
    }

    function test_quorum_is_more_than_two_thirds() public {
        Messages.Settlement memory s;
        uint64 epoch = nowEpoch();
        quorum(epoch, 0, 5);
        quorum(epoch, 1, 5);
        bytes4 missing = INodeRegistry.QuorumMissing.selector;
        revertsQuorum(epoch, signedBy(s, 0, 3), missing);
        revertsQuorum(epoch, signedBy(s, 0, 0), missing);
        // Nobody was there before.
        bytes4 invalid = INodeRegistry.RouterSignatureInvalid.selector;
        revertsQuorum(epoch - 1, signedBy(s, 0, 5), invalid);
        revertsQuorum(epoch - 1, signedBy(s, 0, 0), missing);
        // A sixth with as much stake as all five: exactly 2/3 is not enough, from the next epoch.
        registerAs(node, KEY, ROUTER, 5 * STAKE / 2);
        INodeRegistry.RouterSignature[] memory five = signedBy(s, 0, 5);
        quorum(epoch, 0, 5);
        revertsQuorum(epoch + 1, five, missing);
    }

    function test_quorum_wants_each_signature_right() public {
        Messages.Settlement memory s;
        uint64 epoch = nowEpoch();
        INodeRegistry.RouterSignature[] memory signatures = signedBy(s, 0, 5);
        (signatures[0], signatures[1]) = (signatures[1], signatures[0]);
        revertsQuorum(epoch, signatures, INodeRegistry.RoutersNotSorted.selector);
        signatures = signedBy(s, 0, 5);
        signatures[1] = signatures[0];
        revertsQuorum(epoch, signatures, INodeRegistry.RoutersNotSorted.selector);
        signatures = signedBy(s, 0, 5);
        signatures[4] = compact(routers[4], routerKeys[3], digestOf(s));
        bytes4 invalid = INodeRegistry.RouterSignatureInvalid.selector;
        revertsQuorum(epoch, signatures, invalid);
        signatures = signedBy(s, 0, 5);
        signatures[4].vs = bytes32(type(uint256).max);
        revertsQuorum(epoch, signatures, invalid);
        signatures = new INodeRegistry.RouterSignature[](65);
        revertsQuorum(epoch, signatures, INodeRegistry.TooManySignatures.selector);
        // A Provider's signature, or a stranger's, has no weight.
        registerAs(node, KEY, PROVIDER, STAKE);
        signatures = new INodeRegistry.RouterSignature[](1);
        signatures[0] = compact(node, KEY, digestOf(s));
        revertsQuorum(epoch + 1, signatures, invalid);
        signatures[0] = compact(capital, KEY, digestOf(s));
        revertsQuorum(epoch + 1, signatures, invalid);
    }

    function equivocation()
        internal
        view
        returns (Messages.Settlement memory a, Messages.Settlement memory b)
    {
        (a.epoch, a.round, b.epoch, b.round) = (7, 1, 7, 1);
        b.recordRoot = SALT;
    }

    function prove(
        Messages.Settlement memory a, uint256 keyA, Messages.Settlement memory b, uint256 keyB
    ) internal {
        registry.proveEquivocation(
            a, signBytes(keyA, digestOf(a)), b, signBytes(keyB, digestOf(b))
        );
    }

    function revertsProof(
        Messages.Settlement memory a,
        uint256 keyA,
        Messages.Settlement memory b,
        uint256 keyB,
        bytes4 selector
    ) internal {
        bytes memory first = signBytes(keyA, digestOf(a));
        bytes memory second = signBytes(keyB, digestOf(b));
        vm.expectPartialRevert(selector);
        registry.proveEquivocation(a, first, b, second);
    }

    function test_equivocation_is_slashed_by_anyone(uint256 unbonded, address reporter) public {
        vm.assume(reporter > address(0xFFFF) && reporter != address(compute));
        vm.assume(reporter != address(registry));
        unbonded = bound(unbonded, 1, STAKE - 100 * MOR);
        vm.prank(routers[0]);
        registry.unbond(unbonded);
        (Messages.Settlement memory a, Messages.Settlement memory b) = equivocation();
        bytes memory first = signBytes(routerKeys[0], digestOf(a));
        bytes memory second = signBytes(routerKeys[0], digestOf(b));
        uint256 pool = compute.computePool();
        uint256 before = mor.balanceOf(reporter);
        vm.prank(reporter);
        registry.proveEquivocation(a, first, b, second);
        equal(mor.balanceOf(reporter) - before, STAKE / 10, "reward");
        equal(compute.computePool() - pool, STAKE * 9 / 10, "the rest to the pool");
        INodeRegistry.Node memory gone = registry.nodes(routers[0]);
        check(gone.slashed && gone.stake == 0 && gone.unbonding == 0, "slashed");
        equal(registry.activeRouters(), ROUTERS - 1, "out");
        equal(registry.routerStakeAt(nowEpoch() + 1), (ROUTERS - 1) * STAKE, "sum");
        revertsProof(a, routerKeys[0], b, routerKeys[0], INodeRegistry.AlreadySlashed.selector);
        Messages.Settlement memory s;
        bytes4 invalid = INodeRegistry.RouterSignatureInvalid.selector;
        revertsQuorum(nowEpoch(), signedBy(s, 0, 5), invalid);
        quorum(nowEpoch(), 1, 5);
    }

    function test_a_slashed_node_is_out_for_good() public {
        (Messages.Settlement memory a, Messages.Settlement memory b) = equivocation();
        prove(a, routerKeys[0], b, routerKeys[0]);
        vm.startPrank(routers[0]);
        vm.expectPartialRevert(INodeRegistry.NodeSlashed.selector);
        registry.addStake(1);
        vm.expectPartialRevert(INodeRegistry.NodeSlashed.selector);
        registry.unbond(1);
        vm.expectPartialRevert(INodeRegistry.NodeSlashed.selector);
        registry.rotateKey(vm.addr(KEY), "");
        vm.expectRevert(INodeRegistry.NothingUnbonding.selector);
        registry.withdrawStake(routers[0]);
        vm.expectPartialRevert(INodeRegistry.AlreadyRegistered.selector);
        registry.register(ROUTER, vm.addr(KEY), "", STAKE, address(0));
        vm.stopPrank();
    }

    function test_what_is_no_equivocation() public {
        bytes4 no = INodeRegistry.NotEquivocation.selector;
        uint256 key = routerKeys[0];
        (Messages.Settlement memory a, Messages.Settlement memory b) = equivocation();
        revertsProof(a, key, a, key, no);
        revertsProof(a, key, b, routerKeys[1], no);
        revertsProof(a, 0x1234, b, 0x1235, INodeRegistry.WrongRole.selector);
        b.round = 2;
        revertsProof(a, key, b, key, no);
        (b.round, b.epoch) = (1, 8);
        revertsProof(a, key, b, key, no);
    }

    /// A rotated key still convicts, with the new one.
    function test_equivocation_across_a_rotation() public {
        bytes memory agreed = consent(routers[0], KEY);
        vm.prank(routers[0]);
        registry.rotateKey(vm.addr(KEY), agreed);
        (Messages.Settlement memory a, Messages.Settlement memory b) = equivocation();
        prove(a, routerKeys[0], b, KEY);
        check(registry.nodes(routers[0]).slashed, "slashed");
    }

    function test_whoever_withdrew_all_has_nothing_to_lose() public {
        vm.prank(routers[0]);
        registry.unbond(STAKE);
        passEpochs(21);
        registry.withdrawStake(routers[0]);
        (Messages.Settlement memory a, Messages.Settlement memory b) = equivocation();
        uint256 before = mor.balanceOf(address(this));
        prove(a, routerKeys[0], b, routerKeys[0]);
        equal(mor.balanceOf(address(this)), before, "no reward");
        check(registry.nodes(routers[0]).slashed, "slashed all the same");
    }

    function test_signers_are_slashed_only_for_what_was_voided() public {
        Messages.Settlement memory s = draft();
        bytes memory signature = signBytes(routerKeys[0], digestOf(s));
        bytes32 digest = digestOf(s);
        vm.expectPartialRevert(INodeRegistry.NotVoided.selector);
        registry.slashSigner(digest, signature);
    }
}
