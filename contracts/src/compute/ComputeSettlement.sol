// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BudgetCurve} from "../BudgetCurve.sol";
import {Messages} from "../Messages.sol";
import {INodeRegistry} from "../interfaces/INodeRegistry.sol";
import {ComputeState} from "./ComputeState.sol";

/// @title Funding, budgets and settlements
abstract contract ComputeSettlement is ComputeState {
    /// A settlement may be for one of the last 7 epochs (covering all before it): whoever had stake
    /// then is still bonded (NodeRegistry.UNBONDING_EPOCHS).
    uint64 public constant SETTLE_WITHIN_EPOCHS = 7;
    /// A third of the first day's emission: dust cannot use up the only first checkpoint.
    uint256 public constant FIRST_CHECKPOINT_MIN = 1_000 ether;
    /// wei by which sums of credits, each rounded down to the wei, may differ from exact shares:
    /// enough for 10^11 roundings in one settlement, a millionth of a MOR.
    uint256 public constant ROUNDING_SLACK = 1e12;
    /// Builders' emission: at most 10% of allowance-paid charges, of which credits are 99.5%.
    uint256 private constant EMISSION_PER_MILLE = 100;
    /// Of each charge 0.5% stays in the pool; 99.5% is credited.
    uint256 private constant CREDITED_PER_MILLE = 995;

    /// @notice See IComputeContract.
    function fund(Bucket bucket, uint256 amount) external nonReentrant {
        if (amount == 0) revert AmountZero();
        uint256 sum = amount + (bucket == Bucket.Compute ? funding.compute : funding.community);
        if (amount > AMOUNT_MAX || sum > AMOUNT_MAX) revert AmountTooLarge(amount);
        if (bucket == Bucket.Compute) funding.compute = uint88(sum);
        else funding.community = uint88(sum);
        Head memory h = _load();
        h.held += uint96(amount);
        _save(h);
        emit Funded(bucket, msg.sender, amount);
        _pull(amount);
    }

    /// @notice See IComputeContract.
    function checkpoint() external nonReentrant {
        Head memory h = _advance();
        uint256 pool = computePool();
        bool opened = h.finalAt != 0 || books[h.finalBook].digest != 0
            || checkpoints[h.newestCheckpoint].available != 0;
        if (opened || pool < FIRST_CHECKPOINT_MIN) revert CheckpointNotOpen();
        _writeCheckpoint(h, currentEpoch(), 0, pool);
        emit Checkpointed(currentEpoch(), pool);
        _save(h);
    }

    /// @notice See IComputeContract.
    function settle(
        Messages.Settlement calldata settlement,
        INodeRegistry.RouterSignature[] calldata signatures
    ) external nonReentrant {
        Head memory h = _advance();
        if (h.finalAt != 0) revert SettlementPending(h.finalAt);
        BookSlot storage last = books[h.finalBook];
        if (settlement.previous != last.digest) revert WrongPrevious(last.digest);
        (uint256 budgets, uint256 carried) = _budgetsCovered(h, settlement.epoch);
        _checkTotals(h, last, settlement.totals, budgets);
        bytes32 digest = Messages.digest(domainSeparator, Messages.hashSettlement(settlement));
        // Its signatures are public; without this anyone could post it again.
        if (depositSums.voidedAny && isVoided[digest]) revert AlreadyVoided(digest);
        registry.requireQuorum(settlement.epoch, digest, signatures);
        bool repaid = _checkpointAfter(h, settlement.totals, carried);
        _writeBook(books[1 - h.finalBook], settlement, digest, repaid);
        h.finalAt = uint40(block.timestamp + epochSeconds);
        _save(h);
        emit SettlementPosted(digest, settlement.epoch, msg.sender, h.finalAt, settlement);
    }

    /// @notice See IComputeContract.
    function finalize() external nonReentrant {
        uint64 finalAt = _load().finalAt;
        if (finalAt == 0) revert NothingPending();
        if (block.timestamp < finalAt) revert NotFinalYet(finalAt);
        _advance();
    }

    /// @notice See IComputeContract.
    function nextSettlementFrom() external view returns (uint64) {
        return _settlementFrom(_settledHead(), currentEpoch());
    }

    /// Budgets of all epochs up to `epoch` not settled yet, and of those that stay unsettled.
    function _budgetsCovered(Head memory h, uint64 epoch)
        private
        view
        returns (uint256 budgets, uint256 carried)
    {
        uint64 current = currentEpoch();
        uint64 from = _settlementFrom(h, current);
        if (epoch < from || epoch >= current) revert EpochOutOfRange(epoch, from, current);
        Checkpoint memory base = checkpoints[h.newestCheckpoint];
        uint256 spendable = BudgetCurve.spendableDown(base.available, epoch - base.postEpoch);
        budgets = base.carried + spendable;
        carried = BudgetCurve.spendableDown(base.available, current - base.postEpoch) - spendable;
    }

    /// All unsettled epochs must lie on the newest checkpoint, and the stake must still be bonded.
    /// Once the hatch is open only the epoch just ended may be settled, so that the settlement
    /// knows what the hatch paid before this epoch.
    function _settlementFrom(Head memory h, uint64 current) private view returns (uint64) {
        uint64 from = checkpoints[h.newestCheckpoint].postEpoch;
        if (current > from + SETTLE_WITHIN_EPOCHS) return current - 1;
        return from;
    }

    function _checkTotals(
        Head memory h,
        BookSlot storage last,
        Messages.Totals calldata totals,
        uint256 budgets
    ) private view {
        // Adding would overflow only if a total exceeded all MOR there can be.
        if (totals.allowanceCredits > AMOUNT_MAX) revert AmountTooLarge(totals.allowanceCredits);
        if (totals.paidCredits > totals.debits) revert PaidExceedsDebits();
        uint256 allowance = _grown(totals.allowanceCredits, last.allowanceCredits);
        if (allowance > budgets) revert AllowanceExceedsBudgets(allowance, budgets);
        uint256 limit = (allowance + ROUNDING_SLACK) * EMISSION_PER_MILLE / CREDITED_PER_MILLE;
        if (limit > budgets / 10) limit = budgets / 10;
        uint256 models = _grown(totals.modelEmission, last.modelEmission);
        if (models > limit) revert EmissionTooHigh(models, limit);
        uint256 agents = _grown(totals.agentEmission, last.agentEmission);
        if (agents > limit) revert EmissionTooHigh(agents, limit);
        if (totals.agentEmission > funding.community) revert PoolExceeded();
        _checkDeposits(h, last, totals);
    }

    function _checkDeposits(
        Head memory h, BookSlot storage last, Messages.Totals calldata totals
    ) private view {
        uint256 net = _netDeposits(h);
        if (totals.debits > net) revert DebitsExceedDeposits(totals.debits, net);
        uint40 count = depositSums.count;
        if (totals.deposits > count || totals.deposits < last.deposits) {
            revert DepositCountWrong(totals.deposits, count);
        }
        uint256 debits = _grown(totals.debits, last.debits);
        uint256 paid = _grown(totals.paidCredits, last.paidCredits);
        // A larger share kept back would swell the pool, and with it budgets, on paper.
        if (debits * CREDITED_PER_MILLE > (paid + ROUNDING_SLACK) * 1000) revert FeeTooHigh();
    }

    function _grown(uint256 total, uint256 before) private pure returns (uint256) {
        if (total < before) revert TotalsFell();
        return total - before;
    }

    /// Sets the base of the budgets to come: what the pool holds after this settlement, less the
    /// reserve for epochs begun and not covered by it, less the poster's repayment.
    function _checkpointAfter(Head memory h, Messages.Totals calldata totals, uint256 carried)
        private
        returns (bool repaid)
    {
        Funding memory funded = funding;
        uint256 inflow = uint256(funded.compute) + totals.debits;
        uint256 outflow = totals.paidCredits + totals.allowanceCredits + totals.modelEmission
            + funded.posterRepaid;
        // Budgets lie within what was reserved for them, so this subtraction cannot fail.
        uint256 pool = inflow - outflow;
        uint256 reserve = BudgetCurve.reserveUp(carried);
        uint256 available = pool > reserve ? pool - reserve : 0;
        // The repayment is a side issue of a pool; it never takes more than 1% of it.
        repaid = posterRepayment != 0 && available / 100 >= posterRepayment;
        if (repaid) available -= posterRepayment;
        _writeCheckpoint(h, currentEpoch(), carried, available);
    }

    function _writeCheckpoint(Head memory h, uint64 epoch, uint256 carried, uint256 available)
        private
    {
        h.newestCheckpoint = uint8((h.newestCheckpoint + 1) % CHECKPOINTS);
        checkpoints[h.newestCheckpoint] =
            Checkpoint(uint32(epoch), uint88(carried), uint88(available));
    }

    function _writeBook(
        BookSlot storage book,
        Messages.Settlement calldata settlement,
        bytes32 digest,
        bool repaid
    ) private {
        Messages.Totals calldata totals = settlement.totals;
        book.digest = digest;
        book.creditRoot = settlement.creditRoot;
        book.debitRoot = settlement.debitRoot;
        // Slot by slot: the compiler would write the packed fields one after another.
        uint256 first = totals.allowanceCredits | totals.modelEmission << 88
            | uint256(settlement.epoch) << 176 | block.timestamp << 208;
        uint256 second = totals.agentEmission | totals.paidCredits << 88
            | uint256(totals.deposits) << 184 | (repaid ? uint256(1) << 248 : 0);
        uint256 third = totals.debits | uint256(uint160(msg.sender)) << 96;
        assembly ("memory-safe") {
            sstore(add(book.slot, 3), first)
            sstore(add(book.slot, 4), second)
            sstore(add(book.slot, 5), third)
        }
    }
}
