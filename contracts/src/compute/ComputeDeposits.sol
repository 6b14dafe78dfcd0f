// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Ledger} from "../Ledger.sol";
import {Messages} from "../Messages.sol";
import {ComputeState} from "./ComputeState.sol";

/// @title Deposits: putting in, taking out, and watching what is debited
abstract contract ComputeDeposits is ComputeState {
    using SafeERC20 for IERC20;

    /// The debit tree has a leaf for each deposit: dust would make every settlement dearer.
    uint256 public constant DEPOSIT_MIN = 0.01 ether;
    /// Late Records roll into the next epoch, and so may what a Delegation just ended authorised.
    uint64 private constant LATE_EPOCHS = 1;

    struct RevocationSlot {
        uint64 nonce;
        uint64 epoch;
    }

    struct DemandSlot {
        bytes32 digest;
        bool open;
    }

    mapping(address user => RevocationSlot) internal revocations;
    mapping(uint256 number => DemandSlot) internal demands;

    /// @notice See IComputeContract.
    function deposit(uint256 amount) external nonReentrant returns (uint256 number) {
        return _depositFor(amount);
    }

    /// @notice See IComputeContract.
    function depositWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        returns (uint256 number)
    {
        // Somebody may have sent the permit already; then the allowance is there.
        try IERC20Permit(address(token)).permit(
            msg.sender, address(this), amount, deadline, v, r, s
        ) {} catch {}
        return _depositFor(amount);
    }

    /// @notice See IComputeContract.
    function topUp(uint256 number, uint256 amount) external nonReentrant {
        _addTo(number, _deposit(number), amount);
    }

    /// @notice See IComputeContract.
    function announceWithdrawal(uint256 number, uint256 amount) external {
        DepositSlot storage record = _ownDeposit(number);
        uint256 gross = record.deposited - record.withdrawn;
        if (amount > gross) revert AmountTooLarge(amount);
        uint64 epoch = currentEpoch();
        record.announced = uint96(amount);
        record.announcedEpoch = uint32(epoch);
        emit WithdrawalAnnounced(number, amount, epoch);
    }

    /// @notice See IComputeContract.
    function withdraw(uint256 number, DebitLeaf calldata leaf) external nonReentrant {
        Head memory h = _advance();
        DepositSlot storage record = _deposit(number);
        uint256 amount = record.announced;
        if (amount == 0) revert NothingToWithdraw();
        BookSlot storage book = books[h.finalBook];
        if (book.digest == 0 || book.epoch <= record.announcedEpoch) {
            revert NotWithdrawableYet(record.announcedEpoch);
        }
        _collect(h, number, record, leaf);
        _payOwner(h, number, record, amount);
    }

    /// @notice See IComputeContract.
    function collect(uint256 number, DebitLeaf calldata leaf) external nonReentrant {
        Head memory h = _advance();
        _collect(h, number, _deposit(number), leaf);
        _save(h);
    }

    /// @notice See IComputeContract.
    function revokeBelow(uint64 nonce) external {
        uint64 current = revocations[msg.sender].nonce;
        if (nonce <= current) revert NonceNotHigher(current);
        uint64 epoch = currentEpoch();
        revocations[msg.sender] = RevocationSlot(nonce, epoch);
        emit RevokedBelow(msg.sender, nonce, epoch);
    }

    /// @notice See IComputeContract.
    function demand(uint256 number) external nonReentrant {
        Head memory h = _advance();
        _ownDeposit(number);
        if (h.finalAt == 0) revert NothingPending();
        // The first half is for demands, so that each has the second half to be answered.
        if (block.timestamp + epochSeconds / 2 >= h.finalAt) revert DemandClosed();
        BookSlot storage book = books[1 - h.finalBook];
        if (number >= book.deposits) revert NotInDebitTree(number);
        DemandSlot storage asked = demands[number];
        if (asked.digest == book.digest) revert AlreadyDemanded(number);
        // A bond left from a voided settlement is returned before its trace is overwritten.
        if (asked.open) _returnBond(h, number, asked);
        demands[number] = DemandSlot(book.digest, true);
        ++h.openDemands;
        h.held += uint96(demandBond);
        _save(h);
        depositSums.bonds += uint96(demandBond);
        emit Demanded(number, book.digest, msg.sender);
        _pull(demandBond);
    }

    /// @notice See IComputeContract.
    function answerDemand(
        uint256 number,
        DebitLeaf calldata leaf,
        Messages.Delegation calldata delegation,
        bytes calldata walletSignature
    ) external nonReentrant {
        Head memory h = _advance();
        DepositSlot storage record = _requireAnswer(h, number, leaf);
        address signer = verifier.delegationSigner(delegation, walletSignature);
        if (signer != record.owner || delegation.user != record.owner) revert DelegationInvalid();
        if (books[h.finalBook].epoch > _endOf(delegation) + LATE_EPOCHS) revert DelegationInvalid();
        // What the hatch paid for Sessions is in no leaf, but it is part of what the wallet signed.
        uint256 unknown = _hatchPaidAfter(books[1 - h.finalBook], record);
        uint256 owed = leaf.cumulativeDebit;
        if (record.hatchDebits > unknown) owed += record.hatchDebits - unknown;
        if (owed > delegation.debitCeiling) revert CeilingExceeded(owed, delegation.debitCeiling);
        _closeDemand(h, number, leaf);
    }

    /// @notice See IComputeContract.
    function answerUnchanged(
        uint256 number,
        DebitLeaf calldata leaf,
        DebitLeaf calldata finalLeaf
    ) external nonReentrant {
        Head memory h = _advance();
        _requireAnswer(h, number, leaf);
        if (leaf.cumulativeDebit != 0) {
            BookSlot storage book = books[h.finalBook];
            if (number >= book.deposits) revert NotInDebitTree(number);
            _requireLeaf(book.debitRoot, number, finalLeaf);
            if (leaf.cumulativeDebit > finalLeaf.cumulativeDebit) {
                revert CeilingExceeded(leaf.cumulativeDebit, finalLeaf.cumulativeDebit);
            }
        }
        _closeDemand(h, number, leaf);
    }

    /// @notice See IComputeContract.
    function proveExcess(uint256 number, DebitLeaf calldata leaf) external nonReentrant {
        Head memory h = _advance();
        if (h.finalAt == 0) revert NothingPending();
        BookSlot storage book = books[1 - h.finalBook];
        _requireLeaf(book.debitRoot, number, leaf);
        uint256 bound = number < book.deposits ? _debitBound(book, depositsByNumber[number]) : 0;
        if (leaf.cumulativeDebit <= bound) revert LeafNotAboveDeposit(leaf.cumulativeDebit, bound);
        _void(h);
        _save(h);
    }

    /// @notice See IComputeContract.
    function reclaimBond(uint256 number) external nonReentrant {
        Head memory h = _advance();
        DemandSlot storage asked = demands[number];
        if (!asked.open || !isVoided[asked.digest]) revert NotReturnable();
        _returnBond(h, number, asked);
    }

    /// @notice See IComputeContract.
    function depositCount() external view returns (uint64) {
        return depositSums.count;
    }

    /// @notice See IComputeContract.
    function depositOf(uint256 number) external view returns (DepositRecord memory) {
        DepositSlot storage record = _deposit(number);
        return DepositRecord({
            owner: record.owner,
            deposited: record.deposited,
            withdrawn: record.withdrawn,
            collected: record.collected,
            announced: record.announced,
            announcedEpoch: record.announcedEpoch
        });
    }

    /// @notice See IComputeContract.
    function numberOf(address owner) external view returns (uint256) {
        uint256 plusOne = numberPlusOne[owner];
        if (plusOne == 0) revert DepositUnknown(type(uint256).max);
        return plusOne - 1;
    }

    /// @notice See IComputeContract.
    function revocationOf(address user) external view returns (uint64 nonce, uint64 epoch) {
        return (revocations[user].nonce, revocations[user].epoch);
    }

    /// @notice See IComputeContract.
    function depositTotals()
        external
        view
        returns (uint256 deposited, uint256 withdrawn, uint256 collected, uint256 bonds)
    {
        DepositSums memory sums = depositSums;
        deposited = _netDeposits(_load()) + sums.withdrawn;
        return (deposited, sums.withdrawn, collectedSum, sums.bonds);
    }

    /// Pays the owner up to `amount` of what is neither paid out nor debited.
    function _payOwner(
        Head memory h, uint256 number, DepositSlot storage record, uint256 amount
    ) internal {
        uint256 free = _uncollected(record);
        if (amount > free) amount = free;
        record.announced = 0;
        _bookOutflow(h, record, amount);
        emit Withdrawn(number, record.owner, amount);
        token.safeTransfer(record.owner, amount);
    }

    /// Books what a deposit pays out; the caller has bounded it by what is not collected.
    function _bookOutflow(Head memory h, DepositSlot storage record, uint256 amount) internal {
        record.withdrawn += uint96(amount);
        depositSums.withdrawn += uint112(amount);
        h.held -= uint96(amount);
        _save(h);
    }

    function _uncollected(DepositSlot storage record) internal view returns (uint256) {
        return Ledger.uncollected(record.deposited, record.withdrawn, record.collected);
    }

    /// The epoch after which the Delegation authorises nothing new: expired or revoked.
    function _endOf(Messages.Delegation calldata delegation) internal view returns (uint64 end) {
        uint64 expiresAtSeconds = delegation.expiresAt / 1000;
        end = expiresAtSeconds < genesis ? 0 : (expiresAtSeconds - genesis) / epochSeconds;
        RevocationSlot memory revoked = revocations[delegation.user];
        if (delegation.nonce < revoked.nonce && revoked.epoch < end) end = revoked.epoch;
    }

    function _depositFor(uint256 amount) private returns (uint256 number) {
        uint256 plusOne = numberPlusOne[msg.sender];
        if (plusOne == 0) {
            if (amount < DEPOSIT_MIN) revert DepositTooSmall(amount, DEPOSIT_MIN);
            plusOne = ++depositSums.count;
            numberPlusOne[msg.sender] = plusOne;
            depositsByNumber[plusOne - 1].owner = msg.sender;
        }
        number = plusOne - 1;
        _addTo(number, depositsByNumber[number], amount);
    }

    function _addTo(uint256 number, DepositSlot storage record, uint256 amount) private {
        if (amount == 0) revert AmountZero();
        Head memory h = _load();
        if (amount > AMOUNT_MAX || h.held + amount > HELD_MAX) revert AmountTooLarge(amount);
        h.held += uint96(amount);
        _save(h);
        record.deposited += uint96(amount);
        emit Deposited(number, record.owner, msg.sender, amount);
        _pull(amount);
    }

    function _ownDeposit(uint256 number) private view returns (DepositSlot storage record) {
        record = _deposit(number);
        if (record.owner != msg.sender) revert NotDepositOwner(record.owner);
    }

    /// What a leaf of `book` may be at most. Sums that the hatch paid in epochs after the book's
    /// are not held against it.
    function _debitBound(BookSlot storage book, DepositSlot storage record)
        private
        view
        returns (uint256)
    {
        return uint256(record.deposited) - record.withdrawn + _hatchPaidAfter(book, record);
    }

    /// What the signers of `book` could not know.
    function _hatchPaidAfter(BookSlot storage book, DepositSlot storage record)
        private
        view
        returns (uint256)
    {
        return record.hatchEpoch > book.epoch ? record.hatchPaid : 0;
    }

    /// What every answer shows: an open demand, and the leaf in the pending tree, within bounds.
    function _requireAnswer(Head memory h, uint256 number, DebitLeaf calldata leaf)
        private
        view
        returns (DepositSlot storage record)
    {
        record = _deposit(number);
        BookSlot storage book = books[1 - h.finalBook];
        DemandSlot storage asked = demands[number];
        if (h.finalAt == 0 || !asked.open || asked.digest != book.digest) revert NoDemand(number);
        _requireLeaf(book.debitRoot, number, leaf);
        uint256 bound = _debitBound(book, record);
        if (leaf.cumulativeDebit > bound) revert LeafAboveDeposit(leaf.cumulativeDebit, bound);
    }

    function _closeDemand(Head memory h, uint256 number, DebitLeaf calldata leaf) private {
        DemandSlot storage asked = demands[number];
        asked.open = false;
        --h.openDemands;
        h.held -= uint96(demandBond);
        _save(h);
        depositSums.bonds -= uint96(demandBond);
        emit DemandAnswered(
            number, asked.digest, msg.sender, leaf.cumulativeDebit, leaf.salt, leaf.proof
        );
        token.safeTransfer(msg.sender, demandBond);
    }

    function _returnBond(Head memory h, uint256 number, DemandSlot storage asked) private {
        asked.open = false;
        h.held -= uint96(demandBond);
        _save(h);
        depositSums.bonds -= uint96(demandBond);
        address owner = depositsByNumber[number].owner;
        emit BondReturned(number, owner, demandBond);
        token.safeTransfer(owner, demandBond);
    }
}
