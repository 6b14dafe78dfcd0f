// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;
import {InvariantTest} from "./Invariant.t.sol";
contract ProbeTest is InvariantTest {
    function invariant_p1() public view { check(handler.settlements() < 8, "settled8"); }
    function invariant_p2() public view { check(handler.voids() < 5, "void5"); }
    function invariant_p3() public view { (uint256 c,) = target.claimTotals(); check(c < 50 ether, "claimed"); }
    function invariant_p4() public view { (,uint256 w,uint256 c,) = target.depositTotals(); check(w == 0 || c == 0, "withdrawn+collected"); }
    function invariant_p5() public view { check(target.finalSettlement().totals.debits < 100 ether, "debits"); }
    function invariant_p6() public view { check(handler.repaid() < 0.03 ether, "repaid"); }
    function invariant_p7() public view { (uint256 c,uint256 l) = target.claimTotals(); check(c == 0 || c<l, "limit"); }
    function invariant_p8() public view { check(target.depositOf(1).collected == 0 || target.depositOf(1).withdrawn ==0, "1"); }
    function invariant_p9() public view { (,uint256 w,,) = target.depositTotals(); check(w ==0, "w"); }
}
