// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Messages} from "../Messages.sol";
import {ComputeDeposits} from "./ComputeDeposits.sol";

/// @title The way out when no Router settles any more
/// @notice It opens 7 whole epochs after the last settlement (or the beginning) and closes with the
/// next settlement. First Providers show Sessions that nobody settled, then owners take the rest,
/// and at last owners without any proof, should nobody hold the debit tree any more.
abstract contract ComputeHatch is ComputeDeposits {
    using SafeERC20 for IERC20;

    /// Whole epochs without a settlement before anything opens.
    uint64 public constant HATCH_AFTER_EPOCHS = 7;
    /// Epochs that Providers have before owners may take anything.
    uint64 public constant PROVIDER_EPOCHS = 3;
    /// Epochs in which owners show the final leaf, and anyone may still `collect`.
    uint64 public constant OWNER_EPOCHS = 21;

    mapping(bytes32 sessionId => bool) public paidByHatch;

    /// @notice See IComputeContract.
    function paySession(SessionProof calldata proof) external nonReentrant {
        Head memory h = _advance();
        (uint64 providers, uint64 owners,) = hatchEpochs();
        _requireWindow(providers, owners);
        (bytes32 sessionId, uint256 amount, uint256 rate) = verifier.checkSession(proof);
        if (paidByHatch[sessionId]) revert SessionAlreadyPaid(sessionId);
        _checkEpoch(h, proof.ticket, proof.delegation);
        uint256 plusOne = numberPlusOne[proof.delegation.user];
        if (plusOne == 0) revert DepositUnknown(type(uint256).max);
        DepositSlot storage record = depositsByNumber[plusOne - 1];
        uint256 free = _uncollected(record);
        if (amount > free) amount = free;
        _checkCeiling(record, proof.delegation.debitCeiling, amount);
        paidByHatch[sessionId] = true;
        emit SessionPaidByHatch(sessionId, plusOne - 1, proof.ticket.provider, amount);
        _payPayees(h, record, proof.ticket.payees, amount, rate);
    }

    /// @notice See IComputeContract.
    function withdrawByHatch(uint256 number, DebitLeaf calldata leaf) external nonReentrant {
        Head memory h = _advance();
        (, uint64 owners,) = hatchEpochs();
        _requireWindow(owners, type(uint64).max);
        DepositSlot storage record = _deposit(number);
        _collect(h, number, record, leaf);
        _takeRest(h, number, record);
    }

    /// @notice See IComputeContract.
    function withdrawWithoutProof(uint256 number) external nonReentrant {
        Head memory h = _advance();
        (,, uint64 withoutProof) = hatchEpochs();
        _requireWindow(withoutProof, type(uint64).max);
        _takeRest(h, number, _deposit(number));
    }

    /// @notice See IComputeContract.
    function hatchEpochs()
        public
        view
        returns (uint64 providers, uint64 owners, uint64 withoutProof)
    {
        providers = checkpoints[_settledHead().newestCheckpoint].postEpoch + HATCH_AFTER_EPOCHS + 1;
        owners = providers + PROVIDER_EPOCHS;
        withoutProof = owners + OWNER_EPOCHS;
    }

    /// A pending settlement counts: its own checkpoint keeps every window shut.
    function _requireWindow(uint64 from, uint64 to) private view {
        uint64 current = currentEpoch();
        if (current < from || current >= to) revert HatchClosed(from, to);
    }

    function _takeRest(Head memory h, uint256 number, DepositSlot storage record) private {
        uint256 free = _uncollected(record);
        if (free == 0) revert NothingToWithdraw();
        _noteHatch(record, free);
        _payOwner(h, number, record, free);
    }

    /// The Session is of an epoch over and not settled, and within its Delegation's time.
    function _checkEpoch(
        Head memory h, Messages.Ticket calldata ticket, Messages.Delegation calldata delegation
    ) private view {
        BookSlot storage last = books[h.finalBook];
        bool settled = last.digest != 0 && ticket.epoch <= last.epoch;
        if (settled || ticket.epoch >= currentEpoch()) revert SessionInvalid();
        if (ticket.epoch > _endOf(delegation)) revert SessionInvalid();
    }

    function _checkCeiling(DepositSlot storage record, uint256 ceiling, uint256 amount)
        private
        view
    {
        uint256 used = uint256(record.collected) + record.hatchDebits + amount;
        if (used > ceiling) revert CeilingExceeded(used, ceiling);
    }

    /// Each payee its share, rounded down; what rounding leaves stays in the deposit.
    function _payPayees(
        Head memory h,
        DepositSlot storage record,
        Messages.Payee[] calldata payees,
        uint256 amount,
        uint256 rate
    ) private {
        uint256 paid;
        uint256[] memory shares = new uint256[](payees.length);
        for (uint256 i = 0; i < shares.length; ++i) {
            shares[i] = amount * payees[i].weiPerSecond / rate;
            paid += shares[i];
        }
        _noteHatch(record, paid);
        record.hatchDebits += uint96(paid);
        _bookOutflow(h, record, paid);
        for (uint256 i = 0; i < shares.length; ++i) {
            if (shares[i] != 0) token.safeTransfer(payees[i].account, shares[i]);
        }
    }

    /// Remembers what left in this epoch, which a settlement of an earlier epoch cannot know.
    function _noteHatch(DepositSlot storage record, uint256 amount) private {
        uint32 epoch = uint32(currentEpoch());
        record.hatchPaid = uint96(record.hatchEpoch == epoch ? record.hatchPaid + amount : amount);
        record.hatchEpoch = epoch;
    }
}
