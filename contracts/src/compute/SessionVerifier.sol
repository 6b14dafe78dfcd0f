// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Messages} from "../Messages.sol";
import {IComputeContract} from "../interfaces/IComputeContract.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";

/// @title Checks what Providers and Routers show about Sessions and Delegations
/// @notice Stateless; deployed by the ComputeContract for itself, which would be too large with it.
contract SessionVerifier {
    /// A Ticket has at most so many payees (Provider, Builder, base model's Builder, spare).
    uint256 public constant PAYEES_MAX = 4;
    /// No Session pays more than this rate; keeps products far from overflow.
    uint256 private constant RATE_MAX = 1e24;

    INodeRegistry public immutable registry;
    bytes32 public immutable domainSeparator;

    constructor(INodeRegistry registry_, bytes32 domainSeparator_) {
        registry = registry_;
        domainSeparator = domainSeparator_;
    }

    /// @notice Checks all six signatures and every link between the messages.
    /// @return sessionId digest of the Ticket
    /// @return amount wei that the agreed seconds cost beyond the allowance, within the reservation
    /// @return rate wei per second of all payees together
    function checkSession(IComputeContract.SessionProof calldata proof)
        external
        view
        returns (bytes32 sessionId, uint256 amount, uint256 rate)
    {
        Messages.Ticket calldata ticket = proof.ticket;
        if (ticket.payees.length > PAYEES_MAX) revert IComputeContract.SessionInvalid();
        sessionId = _digest(Messages.hashTicket(ticket));
        _checkRequest(proof);
        bytes32 tickHash = _digest(Messages.hashTick(proof.tick));
        if (proof.tick.sessionId != sessionId) revert IComputeContract.SessionInvalid();
        _requireSigner(tickHash, proof.sessionSignature, proof.rfc.sessionKey);
        _requireNode(tickHash, proof.providerSignature, ticket.provider);
        _requireNode(sessionId, proof.routerSignature, ticket.router);
        (amount, rate) = _depositPart(proof);
    }

    /// @notice Who signed the Delegation, or zero. Only keys, no contract wallets: their signatures
    /// can be taken back after the Session.
    function delegationSigner(Messages.Delegation calldata delegation, bytes calldata signature)
        external
        view
        returns (address signer)
    {
        bytes32 digest = _digest(Messages.hashDelegation(delegation));
        (signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
    }

    /// Wallet signed Delegation, its session key signed RFC, and the Ticket is for that RFC.
    function _checkRequest(IComputeContract.SessionProof calldata proof) private view {
        Messages.RequestForCompute calldata rfc = proof.rfc;
        Messages.Ticket calldata ticket = proof.ticket;
        bytes32 delegationHash = _digest(Messages.hashDelegation(proof.delegation));
        bytes32 rfcHash = _digest(Messages.hashRfc(rfc));
        _requireSigner(delegationHash, proof.walletSignature, proof.delegation.user);
        _requireSigner(rfcHash, proof.rfcSignature, proof.delegation.sessionKey);
        bool linked = rfc.delegationHash == delegationHash && ticket.rfcHash == rfcHash
            && rfc.router == ticket.router && rfc.sessionKey == ticket.sessionKey
            && ticket.maxSeconds <= rfc.maxSeconds;
        if (!linked) revert IComputeContract.SessionInvalid();
    }

    function _depositPart(IComputeContract.SessionProof calldata proof)
        private
        pure
        returns (uint256 amount, uint256 rate)
    {
        Messages.Ticket calldata ticket = proof.ticket;
        if (proof.tick.secondsAgreed > ticket.maxSeconds) revert IComputeContract.SessionInvalid();
        for (uint256 i = 0; i < ticket.payees.length; ++i) {
            if (ticket.payees[i].weiPerSecond > RATE_MAX) revert IComputeContract.SessionInvalid();
            rate += ticket.payees[i].weiPerSecond;
        }
        if (rate == 0 || rate > proof.rfc.maxWeiPerSecond) revert IComputeContract.SessionInvalid();
        uint256 charge = rate * proof.tick.secondsAgreed;
        if (charge > ticket.reservedAllowance) amount = charge - ticket.reservedAllowance;
        if (amount > ticket.reservedDeposit) amount = ticket.reservedDeposit;
    }

    function _digest(bytes32 structHash) private view returns (bytes32) {
        return Messages.digest(domainSeparator, structHash);
    }

    function _requireSigner(bytes32 digest, bytes calldata signature, address expected)
        private
        pure
    {
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (signer == address(0) || signer != expected) revert IComputeContract.SessionInvalid();
    }

    /// By any key that the node ever registered: rotation does not void what it signed before.
    function _requireNode(bytes32 digest, bytes calldata signature, address account)
        private
        view
    {
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (account == address(0) || registry.nodeOfKey(signer) != account) {
            revert IComputeContract.SessionInvalid();
        }
    }
}
