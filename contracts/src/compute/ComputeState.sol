// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {BudgetCurve} from "../BudgetCurve.sol";
import {EpochClock} from "../EpochClock.sol";
import {Ledger} from "../Ledger.sol";
import {Messages} from "../Messages.sol";
import {SortedProof} from "../SortedProof.sol";
import {IComputeContract} from "../interfaces/IComputeContract.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {SessionVerifier} from "./SessionVerifier.sol";

/// @title Storage of the ComputeContract, its finality and its sums
/// @dev The pools are derived, never stored: computePool = fundedCompute + debits - paidCredits -
/// allowanceCredits - modelEmission - posterRepaid; communityPool = fundedCommunity -
/// agentEmission. Each deposit is ring-fenced: until a final debit leaf is booked (`collect`) its
/// MOR pays nobody's credit, so that false totals of a corrupt quorum cannot reach it (see Ledger).
abstract contract ComputeState is EpochClock, ReentrancyGuardTransient, IComputeContract {
    using SafeERC20 for IERC20;

    /// More than all MOR there can be (42 million); keeps sums within their fields.
    uint256 internal constant AMOUNT_MAX = 1e26;
    /// Paid use over all time, which the same MOR can pass through again and again: 10,000 million
    /// MOR. It keeps debits within their fields, and the half per cent of them that the pool keeps
    /// within its own.
    uint256 internal constant HELD_MAX = 1e28;
    /// Two to walk back from the newest, and one that a void may take away.
    uint256 internal constant CHECKPOINTS = 4;

    /// All that a claim has to read besides its own entry, packed in one slot. Claims write none
    /// of it; every other movement of MOR is booked in `held`.
    struct Head {
        /// What would be held had nobody ever claimed (see Ledger).
        uint96 held;
        uint96 claimLimit;
        uint24 openDemands;
        /// 0: nothing pending. 37 bits.
        uint40 finalAt;
        /// Which of the two books is final; the other is pending or stale. 1 bit.
        uint8 finalBook;
        /// 2 bits.
        uint8 newestCheckpoint;
    }

    struct Funding {
        uint88 compute;
        uint88 community;
        uint80 posterRepaid;
    }

    /// `withdrawn` has room for MOR that goes in and out for ever.
    struct DepositSums {
        uint112 withdrawn;
        uint96 bonds;
        uint40 count;
        /// Whether `isVoided` holds anything: it is read only then.
        bool voidedAny;
    }

    struct BookSlot {
        bytes32 digest;
        bytes32 creditRoot;
        bytes32 debitRoot;
        uint88 allowanceCredits;
        uint88 modelEmission;
        uint32 epoch;
        uint40 postedAt;
        uint88 agentEmission;
        uint96 paidCredits;
        uint64 deposits;
        bool repaid;
        uint96 debits;
        address poster;
    }

    /// Base of the budgets of epochs after `postEpoch` (see BudgetCurve). `carried` is the sum of
    /// the budgets of epochs up to `postEpoch` that were not settled when it was written.
    struct Checkpoint {
        uint32 postEpoch;
        uint88 carried;
        uint88 available;
    }

    struct DepositSlot {
        address owner;
        uint96 deposited;
        uint96 withdrawn;
        uint96 collected;
        uint32 announcedEpoch;
        uint96 announced;
        /// What the hatch paid out in its latest epoch for this deposit.
        uint32 hatchEpoch;
        uint96 hatchPaid;
        /// What Sessions shown in the hatch cost this deposit, ever; counts against the ceiling.
        uint96 hatchDebits;
    }

    IERC20 public immutable token;
    INodeRegistry public immutable registry;
    /// @notice wei of MOR that the poster of a settlement is repaid, pool permitting.
    uint256 public immutable posterRepayment;
    /// @notice wei of MOR that a demand costs its owner if it is answered.
    uint256 public immutable demandBond;
    /// @inheritdoc IComputeContract
    bytes32 public immutable domainSeparator;
    /// @notice Checks Sessions and Delegations; has no state and no rights.
    SessionVerifier public immutable verifier;

    /// A Head, packed by `_save`.
    uint256 private headWord;
    Funding internal funding;
    DepositSums internal depositSums;
    uint256 internal collectedSum;
    BookSlot[2] internal books;
    Checkpoint[CHECKPOINTS] internal checkpoints;
    mapping(address account => uint256) internal claimedBy;
    mapping(uint256 number => DepositSlot) internal depositsByNumber;
    /// Deposit number plus one, so that 0 means none.
    mapping(address owner => uint256) internal numberPlusOne;
    /// @inheritdoc IComputeContract
    mapping(bytes32 digest => bool) public isVoided;

    constructor(
        address token_,
        address registry_,
        uint256 posterRepayment_,
        uint256 demandBond_
    ) {
        // 10 MOR is far above any chain's gas for one settlement an epoch.
        if (posterRepayment_ > 10 ether) revert ParameterOutOfRange();
        // A bond above 100 MOR would keep small owners from watching.
        if (demandBond_ == 0 || demandBond_ > 100 ether) revert ParameterOutOfRange();
        token = IERC20(token_);
        registry = INodeRegistry(registry_);
        posterRepayment = posterRepayment_;
        demandBond = demandBond_;
        domainSeparator = Messages.domainSeparator(address(this));
        verifier = new SessionVerifier(INodeRegistry(registry_), domainSeparator);
        if (block.timestamp >= genesis) checkpoints[0].postEpoch = uint32(currentEpoch());
    }

    /// @inheritdoc IComputeContract
    function computePool() public view returns (uint256) {
        BookSlot storage book = books[_settledHead().finalBook];
        uint256 inflow = uint256(funding.compute) + book.debits;
        return inflow - book.paidCredits - book.allowanceCredits - book.modelEmission
            - funding.posterRepaid;
    }

    /// @inheritdoc IComputeContract
    function communityPool() external view returns (uint256) {
        return funding.community - books[_settledHead().finalBook].agentEmission;
    }

    /// @inheritdoc IComputeContract
    function budgetOf(uint64 epoch) external view returns (uint256) {
        uint256 index = _settledHead().newestCheckpoint;
        for (uint256 i = 0; i < CHECKPOINTS - 1; ++i) {
            Checkpoint memory base = checkpoints[index];
            if (epoch > base.postEpoch) {
                uint256 k = epoch - base.postEpoch;
                return BudgetCurve.spendableDown(base.available, k)
                    - BudgetCurve.spendableDown(base.available, k - 1);
            }
            index = (index + CHECKPOINTS - 1) % CHECKPOINTS;
        }
        revert BudgetForgotten(epoch);
    }

    /// @inheritdoc IComputeContract
    function finalSettlement() external view returns (Book memory) {
        return _readBook(_settledHead().finalBook);
    }

    /// @inheritdoc IComputeContract
    function pendingSettlement() external view returns (Book memory book, uint64 finalAt) {
        Head memory h = _settledHead();
        if (h.finalAt != 0) return (_readBook(1 - h.finalBook), h.finalAt);
    }

    /// @inheritdoc IComputeContract
    function claimedOf(address account) external view returns (uint256) {
        return claimedBy[account];
    }

    /// @inheritdoc IComputeContract
    function claimTotals() external view returns (uint256 claimed, uint256 limit) {
        Head memory h = _load();
        return (Ledger.claimed(token.balanceOf(address(this)), h.held), h.claimLimit);
    }

    /// The compiler would read and write the one slot field by field.
    function _load() internal view returns (Head memory h) {
        assembly ("memory-safe") {
            let word := sload(headWord.slot)
            let mask := 0xffffffffffffffffffffffff
            mstore(h, and(word, mask))
            mstore(add(h, 0x20), and(shr(96, word), mask))
            mstore(add(h, 0x40), and(shr(192, word), 0xffffff))
            mstore(add(h, 0x60), and(shr(216, word), 0x1fffffffff))
            mstore(add(h, 0x80), and(shr(253, word), 1))
            mstore(add(h, 0xa0), shr(254, word))
        }
    }

    /// Writes the head in one go; each field of `h` is within its width by its type, the last three
    /// by what is ever put there (2^37 seconds end in the year 6325).
    function _save(Head memory h) internal {
        assembly ("memory-safe") {
            let word := or(mload(h), shl(96, mload(add(h, 0x20))))
            word := or(word, shl(192, mload(add(h, 0x40))))
            word := or(word, shl(216, mload(add(h, 0x60))))
            word := or(word, shl(253, mload(add(h, 0x80))))
            sstore(headWord.slot, or(word, shl(254, mload(add(h, 0xa0)))))
        }
    }

    /// What the head will be once the pending settlement's time has been taken note of.
    function _settledHead() internal view returns (Head memory h) {
        h = _load();
        if (h.finalAt == 0 || block.timestamp < h.finalAt) return h;
        if (h.openDemands == 0) h.finalBook = 1 - h.finalBook;
        else h.newestCheckpoint = uint8((h.newestCheckpoint + CHECKPOINTS - 1) % CHECKPOINTS);
        h.finalAt = 0;
        h.openDemands = 0;
    }

    /// Makes the pending settlement final or void if its time has come. Every verb begins so.
    function _advance() internal returns (Head memory h) {
        h = _load();
        if (h.finalAt == 0 || block.timestamp < h.finalAt) return h;
        if (h.openDemands != 0) {
            _void(h);
        } else {
            _finalise(h);
        }
        _save(h);
    }

    function _finalise(Head memory h) private {
        h.finalBook = 1 - h.finalBook;
        h.finalAt = 0;
        BookSlot storage book = books[h.finalBook];
        uint256 repayment = book.repaid ? posterRepayment : 0;
        if (repayment != 0 && !_repayable(h)) {
            repayment = 0;
            book.repaid = false;
        }
        funding.posterRepaid += uint80(repayment);
        h.held -= uint96(repayment);
        _refreshClaimLimit(h);
        emit SettlementFinalised(book.digest, book.epoch, repayment);
        if (repayment != 0) token.safeTransfer(book.poster, repayment);
    }

    /// Forgets the pending settlement; who signed it can be slashed from now on.
    function _void(Head memory h) internal {
        BookSlot storage book = books[1 - h.finalBook];
        h.finalAt = 0;
        h.openDemands = 0;
        h.newestCheckpoint = uint8((h.newestCheckpoint + CHECKPOINTS - 1) % CHECKPOINTS);
        isVoided[book.digest] = true;
        depositSums.voidedAny = true;
        emit SettlementVoided(book.digest, book.epoch);
    }

    function _repayable(Head memory h) private view returns (bool) {
        Funding memory funded = funding;
        uint256 inflow = uint256(funded.compute) + funded.community;
        uint256 free = Ledger.freeMoney(inflow, collectedSum, funded.posterRepaid);
        uint256 balance = token.balanceOf(address(this));
        return Ledger.repayable(posterRepayment, balance, h.held, free);
    }

    /// Both parts of the limit only grow between refreshes.
    function _refreshClaimLimit(Head memory h) internal view {
        BookSlot storage book = books[h.finalBook];
        Funding memory funded = funding;
        uint256 granted = uint256(book.allowanceCredits) + book.modelEmission + book.agentEmission;
        h.claimLimit = uint96(
            Ledger.limitDown(
                granted,
                book.paidCredits,
                collectedSum,
                funded.compute,
                funded.community,
                funded.posterRepaid
            )
        );
    }

    /// Deposits less withdrawals, all owners' together.
    function _netDeposits(Head memory h) internal view returns (uint256) {
        Funding memory funded = funding;
        uint256 inflow = uint256(funded.compute) + funded.community;
        return Ledger.netDeposits(h.held, inflow, funded.posterRepaid, depositSums.bonds);
    }

    /// Books a leaf of the final debit tree against its deposit.
    function _collect(
        Head memory h, uint256 number, DepositSlot storage record, DebitLeaf calldata leaf
    ) internal {
        BookSlot storage book = books[h.finalBook];
        // A deposit younger than the tree owes nothing by it.
        if (number >= book.deposits) return;
        _requireLeaf(book.debitRoot, number, leaf);
        uint256 before = record.collected;
        uint256 owed = Ledger.collectable(
            leaf.cumulativeDebit, record.deposited, record.withdrawn, before
        );
        if (owed == before) return;
        collectedSum += owed - before;
        record.collected = uint96(owed);
        emit Collected(number, owed);
        _refreshClaimLimit(h);
    }

    function _requireLeaf(bytes32 root, uint256 number, DebitLeaf calldata leaf) internal pure {
        bytes32 inner = keccak256(abi.encode(number, leaf.cumulativeDebit, leaf.salt));
        bytes32 outer = keccak256(abi.encode(inner));
        if (!SortedProof.verify(leaf.proof, root, outer)) revert ProofInvalid();
    }

    function _deposit(uint256 number) internal view returns (DepositSlot storage record) {
        record = depositsByNumber[number];
        if (record.owner == address(0)) revert DepositUnknown(number);
    }

    /// Takes exactly `amount` from the caller, or nothing: a token that keeps a part is refused.
    function _pull(uint256 amount) internal {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert TransferIncomplete(amount, received);
    }

    function _readBook(uint256 index) private view returns (Book memory) {
        BookSlot storage book = books[index];
        return Book({
            digest: book.digest,
            creditRoot: book.creditRoot,
            debitRoot: book.debitRoot,
            epoch: book.epoch,
            postedAt: book.postedAt,
            poster: book.poster,
            posterRepayment: book.repaid ? posterRepayment : 0,
            totals: Messages.Totals({
                allowanceCredits: book.allowanceCredits,
                modelEmission: book.modelEmission,
                agentEmission: book.agentEmission,
                paidCredits: book.paidCredits,
                debits: book.debits,
                deposits: book.deposits
            })
        });
    }
}
