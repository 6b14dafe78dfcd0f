// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Messages} from "../src/Messages.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {INodeRegistry} from "../src/interfaces/INodeRegistry.sol";
import {Depositing} from "./Depositing.sol";
import {HostileToken} from "./HostileToken.sol";
import {Tree} from "./Tree.sol";

contract ReentrancyTest is Depositing {
    HostileToken internal token;
    bytes32[] internal noProof;

    function setUp() public override {
        super.setUp();
        token = HostileToken(address(mor));
    }

    /// From now on each transfer calls `target` with `call`.
    function arm(address target, bytes memory call) internal {
        vm.etch(address(mor), address(new HostileToken()).code);
        token.arm(target, call, 0);
    }

    /// The call from inside was tried and refused by the guard.
    function refused(string memory what) internal {
        (uint256 attempts, uint256 successes, bytes memory answer) = token.outcome();
        check(attempts > 0, what);
        equal(successes, 0, what);
        bytes4 guard = ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
        check(answer.length == 4 && bytes4(answer) == guard, what);
        token.arm(address(0), "", 0);
    }

    /// Every verb of the ComputeContract that could be called from inside a transfer.
    function calls() internal view returns (bytes[] memory list) {
        list = new bytes[](18);
        IComputeContract.DebitLeaf memory leaf = noLeaf();
        IComputeContract.SessionProof memory proof;
        INodeRegistry.RouterSignature[] memory signatures;
        Messages.Settlement memory s;
        Messages.Delegation memory d;
        IComputeContract.CreditClaim[] memory claims;
        list[0] = abi.encodeCall(compute.fund, (IComputeContract.Bucket.Compute, 1));
        list[1] = abi.encodeCall(compute.checkpoint, ());
        list[2] = abi.encodeCall(compute.settle, (s, signatures));
        list[3] = abi.encodeCall(compute.finalize, ());
        list[4] = abi.encodeCall(compute.claim, (owner, 1, noProof));
        list[5] = abi.encodeCall(compute.claimMany, (claims));
        list[6] = abi.encodeCall(compute.deposit, (MOR));
        list[7] = abi.encodeCall(compute.depositWithPermit, (MOR, 0, 0, 0, 0));
        list[8] = abi.encodeCall(compute.topUp, (0, 1));
        list[9] = abi.encodeCall(compute.withdraw, (0, leaf));
        list[10] = abi.encodeCall(compute.collect, (0, leaf));
        list[11] = abi.encodeCall(compute.demand, (0));
        list[12] = abi.encodeCall(compute.answerDemand, (0, leaf, d, ""));
        list[13] = abi.encodeCall(compute.answerUnchanged, (0, leaf, leaf));
        list[14] = abi.encodeCall(compute.proveExcess, (0, leaf));
        list[15] = abi.encodeCall(compute.reclaimBond, (0));
        list[16] = abi.encodeCall(compute.paySession, (proof));
        list[17] = abi.encodeCall(compute.withdrawByHatch, (0, leaf));
    }

    function test_nothing_reenters_while_money_comes_in() public {
        give(capital, 1_000 * MOR);
        approveAs(capital, address(compute));
        bytes[] memory list = calls();
        for (uint256 i = 0; i < list.length; ++i) {
            arm(address(compute), list[i]);
            vm.prank(capital);
            compute.fund(IComputeContract.Bucket.Compute, 1);
            refused("fund");
        }
        arm(address(compute), abi.encodeCall(compute.withdrawWithoutProof, (0)));
        vm.prank(capital);
        compute.deposit(MOR);
        refused("deposit");
        bytes[] memory again = calls();
        arm(address(compute), again[8]);
        vm.prank(capital);
        compute.depositWithPermit(MOR, 0, 0, 0, 0);
        refused("depositWithPermit");
        arm(address(compute), again[8]);
        vm.prank(capital);
        compute.topUp(0, 1);
        refused("topUp");
    }

    function test_nothing_reenters_while_money_goes_out() public {
        depositAs(owner, 100 * MOR);
        vm.prank(owner);
        compute.announceWithdrawal(0, MOR);
        passEpochs(2);
        Messages.Settlement memory s = debited(one(MOR));
        s.totals.allowanceCredits = MOR;
        s.creditRoot = Tree.creditLeaf(owner, MOR);
        post(s);
        passEpochs(1);
        arm(address(compute), abi.encodeCall(compute.finalize, ()));
        compute.finalize();
        refused("finalize");
        arm(address(compute), abi.encodeCall(compute.claim, (owner, MOR, noProof)));
        compute.claim(owner, MOR, noProof);
        refused("claim");
        IComputeContract.DebitLeaf memory leaf = leafOf(one(MOR), 0);
        arm(address(compute), abi.encodeCall(compute.withdraw, (0, leaf)));
        compute.withdraw(0, leaf);
        refused("withdraw");
        equal(mor.balanceOf(owner), 2 * MOR, "each once");
    }

    function test_nothing_reenters_around_demands() public {
        depositAs(owner, 100 * MOR);
        give(owner, 2 * BOND);
        passEpochs(1);
        post(debited(one(MOR)));
        bytes memory call = abi.encodeCall(compute.reclaimBond, (0));
        arm(address(compute), call);
        vm.prank(owner);
        compute.demand(0);
        refused("demand");
        passEpochs(1);
        arm(address(compute), call);
        compute.reclaimBond(0);
        refused("reclaimBond");
        Messages.Settlement memory s = debited(one(MOR));
        s.round = 1;
        post(s);
        vm.prank(owner);
        compute.demand(0);
        Messages.Delegation memory d = delegationOf(owner, MOR, 1);
        bytes memory signature = signDelegation(WALLET, d);
        arm(address(compute), call);
        compute.answerDemand(0, leafOf(one(MOR), 0), d, signature);
        refused("answerDemand");
    }

    function test_nothing_reenters_the_hatch() public {
        depositAs(owner, 100 * MOR);
        (, uint64 owners,) = compute.hatchEpochs();
        passEpochs(owners - nowEpoch());
        arm(address(compute), abi.encodeCall(compute.withdrawByHatch, (0, noLeaf())));
        compute.withdrawByHatch(0, noLeaf());
        refused("withdrawByHatch");
        depositAs(owner, 100 * MOR);
        passEpochs(21);
        arm(address(compute), abi.encodeCall(compute.withdrawWithoutProof, (0)));
        compute.withdrawWithoutProof(0);
        refused("withdrawWithoutProof");
    }

    function test_nothing_reenters_the_registry() public {
        address account = routers[0];
        bytes memory call = abi.encodeCall(registry.withdrawStake, (account));
        give(account, MOR);
        arm(address(registry), call);
        vm.prank(account);
        registry.addStake(MOR);
        refused("addStake");
        vm.prank(account);
        registry.unbond(MOR);
        passEpochs(21);
        arm(address(registry), call);
        registry.withdrawStake(account);
        refused("withdrawStake");
        give(capital, MOR);
        approveAs(capital, address(registry));
        bytes memory agreed = consent(capital, 0xF00D);
        arm(address(registry), call);
        vm.prank(capital);
        registry.register(INodeRegistry.Role.Provider, vm.addr(0xF00D), agreed, MOR, address(0));
        refused("register");
    }

    function test_nothing_reenters_the_model_registry() public {
        give(capital, 100 * MOR);
        approveAs(capital, address(models));
        vm.prank(capital);
        models.commit(keccak256(abi.encode(capital, "a/b", SALT)));
        vm.roll(block.number + 2);
        bytes memory call = abi.encodeCall(models.release, ("a/b"));
        arm(address(models), call);
        vm.prank(capital);
        models.claim("a/b", SALT);
        refused("claim");
        vm.prank(capital);
        models.publish("a/b", "v", IModelRegistry.Kind.Model, SALT, SALT, "", 0);
        arm(address(models), call);
        vm.prank(capital);
        models.release("a/b");
        refused("release");
    }

    function test_a_token_that_keeps_a_part_is_refused() public {
        give(capital, 100 * MOR);
        approveAs(capital, address(compute));
        vm.etch(address(mor), address(new HostileToken()).code);
        token.arm(address(0), "", 1);
        vm.startPrank(capital);
        vm.expectPartialRevert(IComputeContract.TransferIncomplete.selector);
        compute.fund(IComputeContract.Bucket.Compute, MOR);
        vm.expectPartialRevert(IComputeContract.TransferIncomplete.selector);
        compute.deposit(MOR);
        vm.stopPrank();
    }
}
