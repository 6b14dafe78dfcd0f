// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Messages} from "../Messages.sol";

/// @title Routers and Providers: their stake, payout account and signing key
/// @notice A node is the cold account that staked; it is also where the node is paid and its name
/// in every message. Its signing key signs messages, holds nothing, can be rotated, and belongs to
/// one node at most, for ever. Changes of stake and key count from the start of the next epoch on,
/// so that what held "as of an epoch" never changes once the epoch has begun. Stake is wei of MOR.
interface INodeRegistry {
    /// A node has one role; who wants both uses two accounts.
    enum Role {
        None,
        Provider,
        Router
    }

    struct Node {
        Role role;
        /// A slashed node stays slashed: its account and keys cannot come back.
        bool slashed;
        /// Newest signing key (in force from the next epoch if rotated in this one).
        address signingKey;
        /// wei bonded and counting (from the next epoch on).
        uint256 stake;
        /// wei on its way out, still slashable.
        uint256 unbonding;
        /// First epoch in which `unbonding` may be withdrawn.
        uint64 releaseEpoch;
    }

    /// r and yParityAndS of an EIP-2098 compact signature over a Settlement's digest.
    struct RouterSignature {
        address router;
        bytes32 r;
        bytes32 vs;
    }

    event Registered(address indexed account, address indexed signingKey, Role indexed role);
    /// @notice Stake and unbonding of `account` after a change, both in wei.
    event StakeChanged(
        address indexed account, uint256 stake, uint256 unbonding, uint64 releaseEpoch
    );
    event KeyRotated(address indexed account, address indexed signingKey, uint64 fromEpoch);
    event StakeWithdrawn(address indexed account, uint256 amount);
    event Slashed(
        address indexed account, address indexed reporter, uint256 amount, uint256 reward
    );

    error WrongRole();
    error AlreadyRegistered(address account);
    error NotRegistered(address account);
    error NodeSlashed(address account);
    error KeyTaken(address signingKey);
    error KeyConsentInvalid(address signingKey);
    error KeyIsAccount();
    error StakeBelowMinimum(uint256 stake, uint256 minimum);
    error StakeTooLarge(uint256 stake);
    error MinimumOutOfRange();
    error ZeroAmount();
    error RoutersFull(uint256 limit);
    error NotDisplaceable(address account);
    error StillBonded(uint64 releaseEpoch);
    error NothingUnbonding();
    error TooManySignatures(uint256 count, uint256 limit);
    error RoutersNotSorted(address router);
    error RouterSignatureInvalid(address router);
    error QuorumMissing(uint256 weight, uint256 totalWeight);
    error NotEquivocation();
    error NotVoided(bytes32 digest);
    error AlreadySlashed(address account);

    /// @notice Registers the caller and takes `stake` wei.
    /// @param keyConsent EIP-712 signature by `signingKey` over SigningKey(address account)
    /// @param displaced when MAX_ROUTERS are active: an active Router with less stake, which is
    /// unbonded to make room; else zero
    function register(
        Role role,
        address signingKey,
        bytes calldata keyConsent,
        uint256 stake,
        address displaced
    ) external;

    /// @notice Adds `amount` wei to the caller's stake, counted from the next epoch on.
    function addStake(uint256 amount) external;

    /// @notice Names a new signing key, in force from the next epoch on. The old one stays the
    /// node's, so that nobody else can take it and what it signed stays provable.
    function rotateKey(address signingKey, bytes calldata keyConsent) external;

    /// @notice Begins to unbond `amount` wei: all of it, or leaving at least the minimum. The whole
    /// unbonding sum is held UNBONDING_EPOCHS from now on and is slashable till withdrawn.
    function unbond(uint256 amount) external;

    /// @notice Pays `account` what it unbonded; anyone may call.
    function withdrawStake(address account) external;

    /// @notice Slashes a Router whose key signed two different Settlements for one epoch and round.
    function proveEquivocation(
        Messages.Settlement calldata first,
        bytes calldata firstSignature,
        Messages.Settlement calldata second,
        bytes calldata secondSignature
    ) external;

    /// @notice Slashes a Router whose key signed a Settlement that the ComputeContract voided.
    function slashSigner(bytes32 voidedDigest, bytes calldata signature) external;

    /// @notice Reverts unless Routers with more than 2/3 of the stake as of the start of `epoch`
    /// signed `digest`. Signatures sorted by Router account, ascending, none twice.
    function requireQuorum(uint64 epoch, bytes32 digest, RouterSignature[] calldata signatures)
        external
        view;

    function nodes(address account) external view returns (Node memory);
    /// @notice The node that ever registered `signingKey`, or zero.
    function nodeOfKey(address signingKey) external view returns (address);
    /// @notice Key (zero if none) and stake in wei, rounded down to whole 10^12, of `account` as of
    /// the start of `epoch`.
    function snapshotOf(address account, uint64 epoch)
        external
        view
        returns (address signingKey, uint256 stake);
    /// @notice Sum of all Routers' snapshotted stake as of the start of `epoch`, in wei.
    function routerStakeAt(uint64 epoch) external view returns (uint256);
    /// @notice How many Routers are active (bounded by MAX_ROUTERS).
    function activeRouters() external view returns (uint256);
    /// @notice Smallest stake of a role, in wei.
    function minimumStake(Role role) external view returns (uint256);
}
