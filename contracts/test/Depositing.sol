// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../src/Messages.sol";
import {Network} from "./Network.sol";

/// @title Two owners of deposits, and settlements that debit them
abstract contract Depositing is Network {
    uint256 internal constant WALLET = 0xDA11E7;
    address internal owner;
    address internal other = address(0x0737E2);

    function setUp() public virtual {
        deployAndStart();
        owner = vm.addr(WALLET);
    }

    /// A draft in which deposit 0 .. n-1 are debited `debits` in all, with 99.5% credited.
    function debited(uint256[] memory debits) internal view returns (Messages.Settlement memory s) {
        s = draft();
        uint256 sum;
        for (uint256 i = 0; i < debits.length; ++i) {
            sum += debits[i];
        }
        addPaid(s, sum - s.totals.debits);
        s.totals.deposits = uint64(debits.length);
        s.debitRoot = debitRoot(debits);
    }

    function pair(uint256 a, uint256 b) internal pure returns (uint256[] memory list) {
        list = new uint256[](2);
        (list[0], list[1]) = (a, b);
    }
}
