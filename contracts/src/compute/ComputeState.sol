// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {BudgetCurve} from "../BudgetCurve.sol";
import {EpochClock} from "../EpochClock.sol";
import {Messages} from "../Messages.sol";
import {SortedProof} from "../SortedProof.sol";
import {IComputeContract} from "../interfaces/IComputeContract.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {SessionVerifier} from "./SessionVerifier.sol";

/// @title Storage of the ComputeContract, its finality and its sums
/// @dev The pools are derived, never stored: computePool = fundedCompute + debits - paidCredits -
/// allowanceCredits - modelEmission - posterRepaid; communityPool = fundedCommunity -
/// agentEmission. Each deposit is ring-fenced: until a final debit leaf is booked (`collect`) its
/// MOR pays nobody's credit, so that false totals of a corrupt quorum cannot reach it.
abstract contract ComputeState is EpochClock, ReentrancyGuardTransient, IComputeContract {
    using SafeERC20 for IERC20;

    /// Uncollected debits that credits may be paid ahead of, as a share of all compute funding:
    /// one budget. A false total can thus draw no more than that from the pool.
    uint256 internal constant FLOAT_DIVISOR = 100;
    /// More than all MOR there can be (42 million); keeps sums within their fields.
    uint256 internal constant AMOUNT_MAX = 1e26;
    /// Two to walk back from the newest, and one that a void may take away.
    uint256 internal constant CHECKPOINTS = 4;

    /// All that a claim has to read and write besides its own entry, in one slot.
    struct Head {
        uint88 claimed;
        uint88 claimLimit;
        /// 0: nothing pending.
        uint40 finalAt;
        /// Which of the two books is final; the other is pending or stale.
        uint8 finalBook;
        uint8 newestCheckpoint;
        uint24 openDemands;
    }

    struct Funding {
        uint88 compute;
        uint88 community;
        uint80 posterRepaid;
    }

    struct DepositSums {
        uint88 deposited;
        uint88 withdrawn;
        uint64 count;
        /// Whether `isVoided` holds anything: it is read only then.
        bool voidedAny;
    }

    struct CollectedSums {
        uint88 collected;
        uint88 bonds;
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
        uint88 paidCredits;
        uint64 deposits;
        bool repaid;
        uint88 debits;
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
        uint88 deposited;
        uint88 withdrawn;
        uint88 collected;
        uint32 announcedEpoch;
        uint88 announced;
        /// What the hatch paid out in its latest epoch for this deposit.
        uint32 hatchEpoch;
        uint88 hatchPaid;
        /// What Sessions shown in the hatch cost this deposit, ever; counts against the ceiling.
        uint88 hatchDebits;
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

    Head internal head;
    Funding internal funding;
    DepositSums internal depositSums;
    CollectedSums internal collectedSums;
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
        return (head.claimed, head.claimLimit);
    }

    /// The compiler would read and write the one slot field by field.
    function _load() private view returns (Head memory h) {
        assembly ("memory-safe") {
            let word := sload(head.slot)
            let mask := 0xffffffffffffffffffffff
            mstore(h, and(word, mask))
            mstore(add(h, 0x20), and(shr(88, word), mask))
            mstore(add(h, 0x40), and(shr(176, word), 0xffffffffff))
            mstore(add(h, 0x60), and(shr(216, word), 0xff))
            mstore(add(h, 0x80), and(shr(224, word), 0xff))
            mstore(add(h, 0xa0), shr(232, word))
        }
    }

    /// Writes `head` in one go; each field of `h` is within its width by its type.
    function _save(Head memory h) internal {
        assembly ("memory-safe") {
            let word := or(mload(h), shl(88, mload(add(h, 0x20))))
            word := or(word, shl(176, mload(add(h, 0x40))))
            word := or(word, shl(216, mload(add(h, 0x60))))
            word := or(word, shl(224, mload(add(h, 0x80))))
            sstore(head.slot, or(word, shl(232, mload(add(h, 0xa0)))))
        }
    }

    /// What `head` will be once the pending settlement's time has been taken note of.
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
        funding.posterRepaid += uint80(repayment);
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

    /// Claims are paid up to what final totals grant, paid credits up to collected debits plus the
    /// float, and never out of deposits. Both bounds only grow between refreshes.
    function _refreshClaimLimit(Head memory h) internal view {
        BookSlot storage book = books[h.finalBook];
        Funding memory funded = funding;
        uint256 collected = collectedSums.collected;
        uint256 backedPaid = collected + funded.compute / FLOAT_DIVISOR;
        if (backedPaid > book.paidCredits) backedPaid = book.paidCredits;
        uint256 granted = uint256(book.allowanceCredits) + book.modelEmission + book.agentEmission;
        granted += backedPaid;
        uint256 free = uint256(funded.compute) + funded.community + collected - funded.posterRepaid;
        h.claimLimit = uint88(granted < free ? granted : free);
    }

    /// Books a leaf of the final debit tree against its deposit.
    function _collect(
        Head memory h, uint256 number, DepositSlot storage record, DebitLeaf calldata leaf
    ) internal {
        BookSlot storage book = books[h.finalBook];
        // A deposit younger than the tree owes nothing by it.
        if (number >= book.deposits) return;
        _requireLeaf(book.debitRoot, number, leaf);
        uint256 gross = record.deposited - record.withdrawn;
        uint256 owed = leaf.cumulativeDebit < gross ? leaf.cumulativeDebit : gross;
        if (owed <= record.collected) return;
        collectedSums.collected += uint88(owed - record.collected);
        record.collected = uint88(owed);
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
