// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BudgetCurve} from "../BudgetCurve.sol";
import {Messages} from "../Messages.sol";

/// @title The message hashes and the budget curve as calls, for differential tests
contract MessagesHarness {
    function domainSeparator(address computeContract) external view returns (bytes32) {
        return Messages.domainSeparator(computeContract);
    }

    function digest(bytes32 separator, bytes32 structHash) external pure returns (bytes32) {
        return Messages.digest(separator, structHash);
    }

    function hashSigningKey(address account) external pure returns (bytes32) {
        return Messages.hashSigningKey(account);
    }

    function hashDelegation(Messages.Delegation memory m) external pure returns (bytes32) {
        return Messages.hashDelegation(m);
    }

    function hashRevocation(Messages.Revocation memory m) external pure returns (bytes32) {
        return Messages.hashRevocation(m);
    }

    function hashOffer(Messages.Offer memory m) external pure returns (bytes32) {
        return Messages.hashOffer(m);
    }

    function hashRequestForCompute(Messages.RequestForCompute memory m)
        external
        pure
        returns (bytes32)
    {
        return Messages.hashRfc(m);
    }

    function hashAccept(Messages.Accept memory m) external pure returns (bytes32) {
        return Messages.hashAccept(m);
    }

    function hashPayee(Messages.Payee memory m) external pure returns (bytes32) {
        return Messages.hashPayee(m);
    }

    function hashTicket(Messages.Ticket memory m) external pure returns (bytes32) {
        return Messages.hashTicket(m);
    }

    function hashOpen(Messages.Open memory m) external pure returns (bytes32) {
        return Messages.hashOpen(m);
    }

    function hashTick(Messages.Tick memory m) external pure returns (bytes32) {
        return Messages.hashTick(m);
    }

    function hashClose(Messages.Close memory m) external pure returns (bytes32) {
        return Messages.hashClose(m);
    }

    function hashSeal(Messages.Seal memory m) external pure returns (bytes32) {
        return Messages.hashSeal(m);
    }

    function hashTotals(Messages.Totals calldata m) external pure returns (bytes32) {
        return Messages.hashTotals(m);
    }

    function hashSettlement(Messages.Settlement calldata m) external pure returns (bytes32) {
        return Messages.hashSettlement(m);
    }

    function decayUp(uint256 epochs) external pure returns (uint256) {
        return BudgetCurve.decayUp(epochs);
    }

    function spendableDown(uint256 available, uint256 epochs) external pure returns (uint256) {
        return BudgetCurve.spendableDown(available, epochs);
    }
}
