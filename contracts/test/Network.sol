// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ComputeContract} from "../src/ComputeContract.sol";
import {DevMor} from "../src/DevMor.sol";
import {Messages} from "../src/Messages.sol";
import {ModelRegistry} from "../src/ModelRegistry.sol";
import {NodeRegistry} from "../src/NodeRegistry.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {MessagesHarness} from "../src/test-support/MessagesHarness.sol";
import {Tree} from "./Tree.sol";
import {Asserting} from "./Vm.sol";

/// @title The four contracts, five Routers, and what tests say often
abstract contract Network is Asserting {
    bool public constant IS_TEST = true;
    uint64 internal constant EPOCH = 1 days;
    uint64 internal constant GENESIS = 1_700_000_000;
    uint256 internal constant MOR = 1 ether;
    uint256 internal constant ROUTERS = 5;
    uint256 internal constant STAKE = 1_000 ether;
    uint256 internal constant BOND = 1 ether;
    uint256 internal constant REPAYMENT = 0.01 ether;
    bytes32 internal constant SALT = keccak256("salt");

    DevMor internal mor;
    NodeRegistry internal registry;
    ComputeContract internal compute;
    ModelRegistry internal models;
    MessagesHarness internal messages;
    address internal capital = address(0xCA9);
    /// Router accounts sorted ascending, and the keys of their signing keys.
    address[ROUTERS] internal routers;
    uint256[ROUTERS] internal routerKeys;

    function deploy() internal {
        vm.warp(GENESIS);
        vm.roll(100);
        messages = new MessagesHarness();
        uint64 nonce = vm.getNonce(address(this));
        address computeAt = vm.computeCreateAddress(address(this), nonce + 2);
        // What ships is compiled by the IR pipeline; `npm test` runs that very code.
        if (vm.envOr("LAKE_SHIPPED", false)) {
            deployShipped(computeAt);
        } else {
            mor = new DevMor(EPOCH, GENESIS, capital, address(0xC0DE), address(0x50F7), computeAt);
            registry = new NodeRegistry(EPOCH, GENESIS, address(mor), computeAt, 100 * MOR, MOR);
            compute = new ComputeContract(
                EPOCH, GENESIS, address(mor), address(registry), REPAYMENT, BOND
            );
            models = new ModelRegistry(EPOCH, GENESIS, address(mor), computeAt, 2, 10 * MOR);
        }
        // Enough for any test, without moving the clock through the schedule.
        give(capital, 10_000_000 * MOR);
    }

    function deployShipped(address computeAt) private {
        bytes memory args = abi.encode(
            EPOCH, GENESIS, capital, address(0xC0DE), address(0x50F7), computeAt
        );
        mor = DevMor(createShipped("DevMor", args));
        args = abi.encode(EPOCH, GENESIS, mor, computeAt, 100 * MOR, MOR);
        registry = NodeRegistry(createShipped("NodeRegistry", args));
        args = abi.encode(EPOCH, GENESIS, mor, registry, REPAYMENT, BOND);
        compute = ComputeContract(createShipped("ComputeContract", args));
        args = abi.encode(EPOCH, GENESIS, mor, computeAt, uint256(2), 10 * MOR);
        models = ModelRegistry(createShipped("ModelRegistry", args));
    }

    function createShipped(string memory name, bytes memory args) private returns (address at) {
        string memory path = string.concat("out/release/", name, ".sol/", name, ".json");
        bytes memory code = bytes.concat(vm.getCode(path), args);
        assembly ("memory-safe") {
            at := create(0, add(code, 0x20), mload(code))
        }
        check(at != address(0), name);
    }

    /// Deploys, emits the first day and registers five Routers, who count from epoch 1 on.
    function deployAndStart() internal {
        deploy();
        mor.emitDue();
        compute.checkpoint();
        for (uint256 i = 0; i < ROUTERS; ++i) {
            routers[i] = address(uint160(0x1000 + i));
            routerKeys[i] = 0xA000 + i;
            registerNode(routers[i], routerKeys[i], INodeRegistry.Role.Router, STAKE);
        }
        passEpochs(1);
    }

    function give(address to, uint256 amount) internal {
        bytes32 slot = keccak256(abi.encode(to, uint256(0)));
        vm.store(address(mor), slot, bytes32(mor.balanceOf(to) + amount));
    }

    function approveAs(address owner, address spender) internal {
        vm.prank(owner);
        mor.approve(spender, type(uint256).max);
    }

    function consent(address account, uint256 key) internal view returns (bytes memory) {
        bytes32 digest =
            messages.digest(compute.domainSeparator(), messages.hashSigningKey(account));
        return signBytes(key, digest);
    }

    function registerNode(address account, uint256 key, INodeRegistry.Role role, uint256 stake)
        internal
    {
        give(account, stake);
        approveAs(account, address(registry));
        bytes memory agreed = consent(account, key);
        vm.prank(account);
        registry.register(role, vm.addr(key), agreed, stake, address(0));
    }

    function depositAs(address owner, uint256 amount) internal returns (uint256 number) {
        give(owner, amount);
        approveAs(owner, address(compute));
        vm.prank(owner);
        return compute.deposit(amount);
    }

    function passEpochs(uint256 count) internal {
        vm.warp(block.timestamp + count * EPOCH);
    }

    function nowEpoch() internal view returns (uint64) {
        return compute.currentEpoch();
    }

    function signBytes(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// A settlement of the epoch just ended that changes no total.
    function draft() internal view returns (Messages.Settlement memory s) {
        IComputeContract.Book memory last = compute.finalSettlement();
        s.epoch = nowEpoch() - 1;
        s.previous = last.digest;
        s.creditRoot = last.creditRoot;
        s.debitRoot = last.debitRoot;
        s.totals = last.totals;
        s.sealsHash = keccak256(abi.encode(block.timestamp));
    }

    function digestOf(Messages.Settlement memory s) internal view returns (bytes32) {
        return messages.digest(compute.domainSeparator(), messages.hashSettlement(s));
    }

    /// Signatures of Routers `from` to `to - 1`.
    function signedBy(Messages.Settlement memory s, uint256 from, uint256 to)
        internal
        view
        returns (INodeRegistry.RouterSignature[] memory signatures)
    {
        bytes32 digest = digestOf(s);
        signatures = new INodeRegistry.RouterSignature[](to - from);
        for (uint256 i = from; i < to; ++i) {
            signatures[i - from] = compact(routers[i], routerKeys[i], digest);
        }
    }

    function compact(address router, uint256 key, bytes32 digest)
        internal
        pure
        returns (INodeRegistry.RouterSignature memory)
    {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        bytes32 vs = bytes32(uint256(s) | (uint256(v - 27) << 255));
        return INodeRegistry.RouterSignature(router, r, vs);
    }

    function post(Messages.Settlement memory s) internal returns (bytes32 digest) {
        compute.settle(s, signedBy(s, 0, ROUTERS));
        return digestOf(s);
    }

    function postFinal(Messages.Settlement memory s) internal {
        post(s);
        vm.warp(block.timestamp + EPOCH);
        compute.finalize();
    }

    /// A debit tree of one leaf per deposit, each with SALT.
    function debitRoot(uint256[] memory debits) internal pure returns (bytes32) {
        return Tree.root(debitLeaves(debits));
    }

    function debitLeaves(uint256[] memory debits) internal pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](debits.length);
        for (uint256 i = 0; i < debits.length; ++i) {
            leaves[i] = Tree.debitLeaf(i, debits[i], SALT);
        }
    }

    function leafOf(uint256[] memory debits, uint256 number)
        internal
        pure
        returns (IComputeContract.DebitLeaf memory)
    {
        return IComputeContract.DebitLeaf(
            debits[number], SALT, Tree.proof(debitLeaves(debits), number)
        );
    }

    function noLeaf() internal pure returns (IComputeContract.DebitLeaf memory leaf) {}

    function one(uint256 value) internal pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = value;
    }

    /// Adds a deposit-paid charge to a draft: 99.5% is credited, rounded down.
    function addPaid(Messages.Settlement memory s, uint256 charge) internal pure {
        s.totals.debits += charge;
        s.totals.paidCredits += charge * 995 / 1000;
    }

    function delegationOf(address user, uint256 ceiling, uint64 nonce)
        internal
        view
        returns (Messages.Delegation memory)
    {
        return Messages.Delegation({
            user: user,
            sessionKey: vm.addr(0x5E55),
            epochLimit: type(uint256).max,
            debitCeiling: ceiling,
            pseudonymCommitment: 0,
            expiresAt: uint64((block.timestamp + 365 days) * 1000),
            nonce: nonce
        });
    }

    function signDelegation(uint256 key, Messages.Delegation memory delegation)
        internal
        view
        returns (bytes memory)
    {
        bytes32 hash = messages.hashDelegation(delegation);
        return signBytes(key, messages.digest(compute.domainSeparator(), hash));
    }
}
