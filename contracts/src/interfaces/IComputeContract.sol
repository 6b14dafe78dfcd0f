// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {INodeRegistry} from "./INodeRegistry.sol";
import {Messages} from "../Messages.sol";

/// @title The money of the network: emissions, deposits, credits, debits
/// @notice Amounts are wei of MOR. Roundings favour the pool. Nobody owns this contract; nothing in
/// it can be paused, upgraded or redirected. Merkle leaves are double-hashed:
/// credit leaf = keccak256(keccak256(abi.encode(address account, uint256 cumulativeCredit))),
/// debit leaf = keccak256(keccak256(abi.encode(uint256 number, uint256 cumulativeDebit, bytes32
/// salt))); inner nodes hash their children in sorted order (OpenZeppelin's MerkleProof).
interface IComputeContract {
    enum Bucket {
        Compute,
        Community
    }

    struct DepositRecord {
        address owner;
        /// wei ever put in.
        uint256 deposited;
        /// wei ever paid back to the owner, or paid out by the hatch.
        uint256 withdrawn;
        /// wei debited and booked here from a final debit leaf.
        uint256 collected;
        /// wei announced for withdrawal, and the epoch of the announcement.
        uint256 announced;
        uint64 announcedEpoch;
    }

    /// A leaf of the debit tree with its proof.
    struct DebitLeaf {
        uint256 cumulativeDebit;
        bytes32 salt;
        bytes32[] proof;
    }

    struct CreditClaim {
        address account;
        uint256 cumulativeCredit;
        bytes32[] proof;
    }

    /// What a Provider shows when no Router settles: each message with its signatures.
    struct SessionProof {
        Messages.Delegation delegation;
        bytes walletSignature;
        Messages.RequestForCompute rfc;
        /// By the Delegation's session key.
        bytes rfcSignature;
        Messages.Ticket ticket;
        /// By a key of the Ticket's Router.
        bytes routerSignature;
        Messages.Tick tick;
        /// By the RFC's session key.
        bytes sessionSignature;
        /// By a key of the Ticket's Provider.
        bytes providerSignature;
    }

    /// One settlement as stored.
    struct Book {
        bytes32 digest;
        bytes32 creditRoot;
        bytes32 debitRoot;
        uint64 epoch;
        uint64 postedAt;
        address poster;
        uint256 posterRepayment;
        Messages.Totals totals;
    }

    event Funded(Bucket indexed bucket, address indexed from, uint256 amount);
    /// @notice The first one; later ones follow from the totals of each SettlementPosted.
    event Checkpointed(uint64 indexed postEpoch, uint256 available);
    event SettlementPosted(
        bytes32 indexed digest,
        uint64 indexed epoch,
        address indexed poster,
        uint64 finalAt,
        Messages.Settlement settlement
    );
    event SettlementFinalised(
        bytes32 indexed digest, uint64 indexed epoch, uint256 posterRepayment
    );
    event SettlementVoided(bytes32 indexed digest, uint64 indexed epoch);
    /// @notice `account` has been paid `cumulativeCredit` wei in all.
    event Claimed(address indexed account, uint256 cumulativeCredit);
    event Deposited(uint256 indexed number, address indexed owner, address from, uint256 amount);
    event WithdrawalAnnounced(uint256 indexed number, uint256 amount, uint64 epoch);
    /// @notice `collected` is the deposit's cumulative debit booked so far, wei.
    event Collected(uint256 indexed number, uint256 collected);
    event Withdrawn(uint256 indexed number, address indexed owner, uint256 amount);
    event RevokedBelow(address indexed user, uint64 nonce, uint64 epoch);
    event Demanded(uint256 indexed number, bytes32 indexed digest, address indexed owner);
    event DemandAnswered(
        uint256 indexed number,
        bytes32 indexed digest,
        address indexed answerer,
        uint256 cumulativeDebit,
        bytes32 salt,
        bytes32[] proof
    );
    event BondReturned(uint256 indexed number, address indexed owner, uint256 amount);
    event SessionPaidByHatch(
        bytes32 indexed sessionId, uint256 indexed number, address indexed provider, uint256 amount
    );

    error AmountZero();
    error AmountTooLarge(uint256 amount);
    error ParameterOutOfRange();
    error TransferIncomplete(uint256 expected, uint256 received);
    error CheckpointNotOpen();
    error BudgetForgotten(uint64 epoch);
    error SettlementPending(uint64 finalAt);
    error NothingPending();
    error NotFinalYet(uint64 finalAt);
    error EpochOutOfRange(uint64 epoch, uint64 from, uint64 to);
    error WrongPrevious(bytes32 expected);
    error AlreadyVoided(bytes32 digest);
    error TotalsFell();
    error AllowanceExceedsBudgets(uint256 grown, uint256 budgets);
    error EmissionTooHigh(uint256 grown, uint256 limit);
    error PaidExceedsDebits();
    error FeeTooHigh();
    error DebitsExceedDeposits(uint256 debits, uint256 deposits);
    error DepositCountWrong(uint64 given, uint64 known);
    error PoolExceeded();
    error ProofInvalid();
    error NothingToClaim();
    /// @notice Paid credits are paid out as far as debits were collected: `collect` some, or wait.
    error ClaimsExceedCollected(uint256 limit);
    error DepositTooSmall(uint256 amount, uint256 minimum);
    error DepositUnknown(uint256 number);
    error NotDepositOwner(address owner);
    error NotWithdrawableYet(uint64 announcedEpoch);
    error NothingToWithdraw();
    error NonceNotHigher(uint64 current);
    error DemandClosed();
    error AlreadyDemanded(uint256 number);
    error NoDemand(uint256 number);
    error NotInDebitTree(uint256 number);
    error DelegationInvalid();
    error CeilingExceeded(uint256 cumulativeDebit, uint256 ceiling);
    error LeafAboveDeposit(uint256 cumulativeDebit, uint256 deposit);
    error LeafNotAboveDeposit(uint256 cumulativeDebit, uint256 deposit);
    error NotReturnable();
    error HatchClosed(uint64 fromEpoch, uint64 toEpoch);
    error SessionInvalid();
    error SessionAlreadyPaid(bytes32 sessionId);

    /// @notice Adds `amount` to a bucket; anyone may, from its own MOR.
    function fund(Bucket bucket, uint256 amount) external;

    /// @notice Gives the first budgets a base, once, before any settlement, as soon as
    /// FIRST_CHECKPOINT_MIN is in the compute pool. Anyone may call.
    function checkpoint() external;

    /// @notice Posts the network's settlement up to an epoch. Signed by more than 2/3 of the Router
    /// stake as of that epoch; final one epoch length later; its poster is repaid then.
    function settle(
        Messages.Settlement calldata settlement,
        INodeRegistry.RouterSignature[] calldata signatures
    ) external;

    /// @notice Makes a pending settlement final if its time has come (or void, if a demand was not
    /// answered). Every other verb does the same first.
    function finalize() external;

    /// @notice Pays `account` its credit not yet claimed; anyone may send it.
    function claim(address account, uint256 cumulativeCredit, bytes32[] calldata proof) external;

    /// @notice Several claims; those with nothing left to claim are passed over.
    function claimMany(CreditClaim[] calldata claims) external;

    /// @notice Puts `amount` into the caller's deposit, the caller's first giving it a number.
    function deposit(uint256 amount) external returns (uint256 number);
    function depositWithPermit(uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (uint256 number);
    /// @notice Puts the caller's MOR into anybody's deposit.
    function topUp(uint256 number, uint256 amount) external;

    /// @notice Announces (or changes; 0 cancels) the caller's withdrawal. Routers stop reserving
    /// the sum from the next epoch on.
    function announceWithdrawal(uint256 number, uint256 amount) external;

    /// @notice Pays the owner what was announced, as far as the final debit leaf leaves it; the
    /// final root must be of an epoch later than the announcement's. Anyone may send it.
    /// @param leaf ignored (may be empty) while the final tree does not cover the deposit
    function withdraw(uint256 number, DebitLeaf calldata leaf) external;

    /// @notice Books a final debit leaf against its deposit, so that credits paid from it can be
    /// claimed beyond the float. Anyone may send it.
    function collect(uint256 number, DebitLeaf calldata leaf) external;

    /// @notice Delegations of the caller with a nonce below `nonce` are void from now on.
    function revokeBelow(uint64 nonce) external;

    /// @notice The owner asks to see its leaf in the pending settlement, against `demandBond`.
    function demand(uint256 number) external;

    /// @notice Answers a demand with a leaf that a wallet-signed Delegation's ceiling covers.
    /// The bond goes to who answers.
    function answerDemand(
        uint256 number,
        DebitLeaf calldata leaf,
        Messages.Delegation calldata delegation,
        bytes calldata walletSignature
    ) external;

    /// @notice Answers a demand with a leaf no higher than the final one (or zero).
    function answerUnchanged(
        uint256 number, DebitLeaf calldata leaf, DebitLeaf calldata finalLeaf
    ) external;

    /// @notice Voids the pending settlement by a leaf above its deposit. Anyone may.
    function proveExcess(uint256 number, DebitLeaf calldata leaf) external;

    /// @notice Returns the bond of a demand whose settlement was voided.
    function reclaimBond(uint256 number) external;

    /// @notice Provider window of the hatch: pays a Session's payees from its User's deposit, up to
    /// the Ticket's `reservedDeposit`. Anyone may send it.
    function paySession(SessionProof calldata proof) external;

    /// @notice Owner window of the hatch: pays the owner all that the final leaf leaves.
    function withdrawByHatch(uint256 number, DebitLeaf calldata leaf) external;

    /// @notice Last window of the hatch, when nobody may hold the debit tree any more: pays the
    /// owner all that was not collected, without a proof.
    function withdrawWithoutProof(uint256 number) external;

    /// @notice wei of the compute pool by the final settlement.
    function computePool() external view returns (uint256);
    /// @notice wei of the community pool by the final settlement.
    function communityPool() external view returns (uint256);
    /// @notice wei that all allowance-paid Sessions of `epoch` may cost together.
    function budgetOf(uint64 epoch) external view returns (uint256);
    /// @notice The final settlement (zeros before the first).
    function finalSettlement() external view returns (Book memory);
    /// @notice The pending settlement and when it becomes final (0: none pending).
    function pendingSettlement() external view returns (Book memory, uint64 finalAt);
    /// @notice Lowest epoch that the next settlement may be for; the highest is currentEpoch - 1.
    function nextSettlementFrom() external view returns (uint64);
    function isVoided(bytes32 digest) external view returns (bool);
    /// @notice wei that `account` has claimed.
    function claimedOf(address account) external view returns (uint256);
    /// @notice wei claimed by all, and how much could be claimed at most by now. MOR that came by a
    /// plain transfer is seen as not yet claimed.
    function claimTotals() external view returns (uint256 claimed, uint256 limit);
    function depositCount() external view returns (uint64);
    function depositOf(uint256 number) external view returns (DepositRecord memory);
    /// @notice The deposit number of `owner`; reverts with DepositUnknown if it has none.
    function numberOf(address owner) external view returns (uint256);
    /// @notice Lowest Delegation nonce still good, and the epoch in which it was raised.
    function revocationOf(address user) external view returns (uint64 nonce, uint64 epoch);
    /// @notice First epoch of each hatch window if nothing is settled any more: Providers, owners,
    /// owners without proof.
    function hatchEpochs()
        external
        view
        returns (uint64 providers, uint64 owners, uint64 withoutProof);
    /// @notice Sums over all deposits and the bonds of demands, wei.
    function depositTotals()
        external
        view
        returns (uint256 deposited, uint256 withdrawn, uint256 collected, uint256 bonds);
    function domainSeparator() external view returns (bytes32);
}
