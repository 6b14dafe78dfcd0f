// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../src/Messages.sol";
import {IComputeContract} from "../src/interfaces/IComputeContract.sol";
import {Network} from "./Network.sol";

/// @title Sessions that nobody settled, with every signature that the hatch wants to see
abstract contract Sessions is Network {
    uint256 internal constant PROVIDER_KEY = 0x9901;
    uint256 internal constant DELEGATE = 0x5E55;
    uint256 internal constant SESSION = 0x5E56;
    uint256 internal constant RATE = 0.01 ether;
    address internal provider = address(0x90D1DE);
    address internal builder = address(0xB1DE);

    /// A Session of epoch 1: 600 s agreed at 0.01 MOR/s, 2 MOR of it from the allowance.
    function sessionOf(address user)
        internal
        view
        returns (IComputeContract.SessionProof memory p)
    {
        p.delegation = delegationOf(user, 50 * MOR, 1);
        p.rfc.router = routers[0];
        p.rfc.sessionKey = vm.addr(SESSION);
        p.rfc.maxWeiPerSecond = RATE;
        p.rfc.maxSeconds = 600;
        p.ticket.router = routers[0];
        p.ticket.provider = provider;
        p.ticket.sessionKey = vm.addr(SESSION);
        p.ticket.epoch = 1;
        p.ticket.payees = new Messages.Payee[](2);
        p.ticket.payees[0] = Messages.Payee(provider, 0, RATE * 3 / 4);
        p.ticket.payees[1] = Messages.Payee(builder, 1, RATE / 4);
        p.ticket.reservedAllowance = 2 * MOR;
        p.ticket.reservedDeposit = 5 * MOR;
        p.ticket.maxSeconds = 600;
        p.tick.secondsAgreed = 600;
    }

    function digest(bytes32 hash) internal view returns (bytes32) {
        return messages.digest(compute.domainSeparator(), hash);
    }

    /// Each message names the one before it.
    function linked(IComputeContract.SessionProof memory p)
        internal
        view
        returns (IComputeContract.SessionProof memory)
    {
        p.rfc.delegationHash = digest(messages.hashDelegation(p.delegation));
        p.ticket.rfcHash = digest(messages.hashRequestForCompute(p.rfc));
        p.tick.sessionId = digest(messages.hashTicket(p.ticket));
        return p;
    }

    function signedSession(IComputeContract.SessionProof memory p, uint256 walletKey)
        internal
        view
        returns (IComputeContract.SessionProof memory)
    {
        p.walletSignature = signBytes(walletKey, digest(messages.hashDelegation(p.delegation)));
        p.rfcSignature = signBytes(DELEGATE, digest(messages.hashRequestForCompute(p.rfc)));
        p.routerSignature = signBytes(routerKeys[0], digest(messages.hashTicket(p.ticket)));
        p.sessionSignature = signBytes(SESSION, digest(messages.hashTick(p.tick)));
        p.providerSignature = signBytes(PROVIDER_KEY, digest(messages.hashTick(p.tick)));
        return p;
    }
}
