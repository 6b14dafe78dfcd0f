// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {EpochClock} from "./EpochClock.sol";
import {Messages} from "./Messages.sol";
import {IComputeContract} from "./interfaces/IComputeContract.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";

/// @notice See INodeRegistry.
contract NodeRegistry is EpochClock, ReentrancyGuardTransient, INodeRegistry {
    using SafeERC20 for IERC20;
    using Checkpoints for Checkpoints.Trace208;

    /// Active Routers at most: a settlement with every signature stays below a million gas, and a
    /// newcomer with more stake than the smallest takes its place, so that nobody fills the list.
    uint256 public constant MAX_ROUTERS = 64;
    /// Longer than a settlement may look back (7 epochs) plus its epoch pending, so that whoever
    /// counted towards a quorum still has the stake bonded when it is voided.
    uint64 public constant UNBONDING_EPOCHS = 21;
    /// Share of a slashed stake for who proved it: enough to pay the gas, and far too little to
    /// make slashing oneself an exit.
    uint256 public constant REWARD_PERCENT = 10;
    /// Nobody's minimum may exceed a hundredth of all MOR there can be.
    uint256 public constant MINIMUM_STAKE_MAX = 420_000 ether;
    /// More than all MOR there can be (42 million); keeps sums within their fields.
    uint256 public constant STAKE_MAX = 1e26;
    /// A snapshot packs epoch, stake and key into one slot: stake in units of 10^12 wei.
    uint256 private constant SNAPSHOT_UNIT = 1e12;

    struct NodeSlot {
        uint88 stake;
        uint88 unbonding;
        uint32 releaseEpoch;
        uint32 snapshotCount;
        Role role;
        bool slashed;
    }

    struct Snapshot {
        uint32 fromEpoch;
        uint64 stakeUnits;
        address signingKey;
    }

    IERC20 public immutable token;
    IComputeContract public immutable computeContract;
    /// @notice Smallest stake of a Router, wei.
    uint256 public immutable routerStakeMin;
    /// @notice Smallest stake of a Provider, wei.
    uint256 public immutable providerStakeMin;
    bytes32 private immutable messageDomain;

    uint256 public activeRouters;
    mapping(address signingKey => address account) public nodeOfKey;
    mapping(address account => NodeSlot) private slots;
    mapping(address account => mapping(uint256 index => Snapshot)) private snapshots;
    /// Newest snapshot of each Router that is not slashed: one slot read per signature.
    mapping(address account => Snapshot) private routerSnapshot;
    Checkpoints.Trace208 private routerStake;

    constructor(
        uint64 epochSeconds_,
        uint64 genesis_,
        address token_,
        address computeContract_,
        uint256 routerStakeMin_,
        uint256 providerStakeMin_
    ) EpochClock(epochSeconds_, genesis_) {
        if (routerStakeMin_ < SNAPSHOT_UNIT || routerStakeMin_ > MINIMUM_STAKE_MAX) {
            revert MinimumOutOfRange();
        }
        if (providerStakeMin_ == 0 || providerStakeMin_ > MINIMUM_STAKE_MAX) {
            revert MinimumOutOfRange();
        }
        token = IERC20(token_);
        computeContract = IComputeContract(computeContract_);
        routerStakeMin = routerStakeMin_;
        providerStakeMin = providerStakeMin_;
        messageDomain = Messages.domainSeparator(computeContract_);
        // Slashed stake goes to the compute pool by `fund`, which takes it from here.
        IERC20(token_).forceApprove(computeContract_, type(uint256).max);
    }

    /// @inheritdoc INodeRegistry
    function register(
        Role role,
        address signingKey,
        bytes calldata keyConsent,
        uint256 stake,
        address displaced
    ) external nonReentrant {
        NodeSlot storage node = slots[msg.sender];
        if (role == Role.None) revert WrongRole();
        if (node.role != Role.None) revert AlreadyRegistered(msg.sender);
        if (role == Role.Router) _makeRoom(stake, displaced);
        node.role = role;
        _takeKey(signingKey, keyConsent);
        _setStake(msg.sender, stake, 0, signingKey);
        emit Registered(msg.sender, signingKey, role);
        token.safeTransferFrom(msg.sender, address(this), stake);
    }

    /// @inheritdoc INodeRegistry
    function addStake(uint256 amount) external nonReentrant {
        NodeSlot storage node = _ownNode();
        if (amount == 0) revert ZeroAmount();
        if (node.stake == 0 && node.role == Role.Router) _makeRoom(amount, address(0));
        _setStake(msg.sender, node.stake + amount, node.unbonding, _newestKey(msg.sender));
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc INodeRegistry
    function rotateKey(address signingKey, bytes calldata keyConsent) external {
        NodeSlot storage node = _ownNode();
        _takeKey(signingKey, keyConsent);
        _writeSnapshot(msg.sender, node, signingKey);
        emit KeyRotated(msg.sender, signingKey, currentEpoch() + 1);
    }

    /// @inheritdoc INodeRegistry
    function unbond(uint256 amount) external {
        NodeSlot storage node = _ownNode();
        if (amount == 0) revert ZeroAmount();
        if (amount > node.stake) revert StakeBelowMinimum(0, amount);
        _unbond(msg.sender, node, amount);
    }

    /// @inheritdoc INodeRegistry
    function withdrawStake(address account) external nonReentrant {
        NodeSlot storage node = slots[account];
        uint256 amount = node.unbonding;
        if (amount == 0) revert NothingUnbonding();
        if (currentEpoch() < node.releaseEpoch) revert StillBonded(node.releaseEpoch);
        node.unbonding = 0;
        emit StakeWithdrawn(account, amount);
        emit StakeChanged(account, node.stake, 0, node.releaseEpoch);
        token.safeTransfer(account, amount);
    }

    /// @inheritdoc INodeRegistry
    function proveEquivocation(
        Messages.Settlement calldata first,
        bytes calldata firstSignature,
        Messages.Settlement calldata second,
        bytes calldata secondSignature
    ) external nonReentrant {
        if (first.epoch != second.epoch || first.round != second.round) revert NotEquivocation();
        bytes32 firstDigest = Messages.digest(messageDomain, Messages.hashSettlement(first));
        bytes32 secondDigest = Messages.digest(messageDomain, Messages.hashSettlement(second));
        if (firstDigest == secondDigest) revert NotEquivocation();
        address account = nodeOfKey[ECDSA.recover(firstDigest, firstSignature)];
        if (account != nodeOfKey[ECDSA.recover(secondDigest, secondSignature)]) {
            revert NotEquivocation();
        }
        _slash(account);
    }

    /// @inheritdoc INodeRegistry
    function slashSigner(bytes32 voidedDigest, bytes calldata signature) external nonReentrant {
        if (!computeContract.isVoided(voidedDigest)) revert NotVoided(voidedDigest);
        _slash(nodeOfKey[ECDSA.recover(voidedDigest, signature)]);
    }

    /// @inheritdoc INodeRegistry
    function requireQuorum(uint64 epoch, bytes32 digest, RouterSignature[] calldata signatures)
        external
        view
    {
        uint256 count = signatures.length;
        if (count > MAX_ROUTERS) revert TooManySignatures(count, MAX_ROUTERS);
        uint256 weight;
        address previous;
        for (uint256 i = 0; i < count; ++i) {
            RouterSignature calldata signed = signatures[i];
            if (signed.router <= previous) revert RoutersNotSorted(signed.router);
            previous = signed.router;
            weight += _signedWeight(epoch, digest, signed);
        }
        uint256 total = routerStakeAt(epoch);
        if (weight * 3 <= total * 2) revert QuorumMissing(weight, total);
    }

    /// @inheritdoc INodeRegistry
    function nodes(address account) external view returns (Node memory) {
        NodeSlot storage node = slots[account];
        return Node({
            role: node.role,
            slashed: node.slashed,
            signingKey: _newestKey(account),
            stake: node.stake,
            unbonding: node.unbonding,
            releaseEpoch: node.releaseEpoch
        });
    }

    /// @inheritdoc INodeRegistry
    function snapshotOf(address account, uint64 epoch)
        external
        view
        returns (address signingKey, uint256 stake)
    {
        Snapshot memory snapshot = _snapshotAt(account, slots[account].snapshotCount, epoch);
        return (snapshot.signingKey, snapshot.stakeUnits * SNAPSHOT_UNIT);
    }

    /// @inheritdoc INodeRegistry
    function minimumStake(Role role) public view returns (uint256) {
        return role == Role.Router ? routerStakeMin : providerStakeMin;
    }

    /// @inheritdoc INodeRegistry
    function routerStakeAt(uint64 epoch) public view returns (uint256) {
        return routerStake.upperLookupRecent(SafeCast.toUint48(epoch)) * SNAPSHOT_UNIT;
    }

    /// Weight of one signature; a slashed Router weighs nothing, in past epochs too.
    function _signedWeight(uint64 epoch, bytes32 digest, RouterSignature calldata signed)
        private
        view
        returns (uint256)
    {
        // Empty, so without a key, for Providers, strangers and slashed Routers.
        Snapshot memory snapshot = routerSnapshot[signed.router];
        if (snapshot.fromEpoch > epoch) {
            snapshot = _snapshotAt(signed.router, slots[signed.router].snapshotCount, epoch);
        }
        (address signer,,) = ECDSA.tryRecover(digest, signed.r, signed.vs);
        if (signer == address(0) || signer != snapshot.signingKey) {
            revert RouterSignatureInvalid(signed.router);
        }
        return snapshot.stakeUnits * SNAPSHOT_UNIT;
    }

    /// The last snapshot that began by `epoch`; usually the newest. The search is over one node's
    /// own changes, at most one an epoch, halving each time.
    function _snapshotAt(address account, uint256 count, uint64 epoch)
        private
        view
        returns (Snapshot memory found)
    {
        if (count == 0) return found;
        found = snapshots[account][count - 1];
        if (found.fromEpoch <= epoch) return found;
        uint256 low = 0;
        uint256 high = count - 1;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (snapshots[account][middle].fromEpoch <= epoch) low = middle + 1;
            else high = middle;
        }
        return low == 0 ? Snapshot(0, 0, address(0)) : snapshots[account][low - 1];
    }

    function _newestKey(address account) private view returns (address) {
        uint256 count = slots[account].snapshotCount;
        return count == 0 ? address(0) : snapshots[account][count - 1].signingKey;
    }

    function _ownNode() private view returns (NodeSlot storage node) {
        node = slots[msg.sender];
        if (node.role == Role.None) revert NotRegistered(msg.sender);
        if (node.slashed) revert NodeSlashed(msg.sender);
    }

    function _takeKey(address signingKey, bytes calldata keyConsent) private {
        if (signingKey == msg.sender) revert KeyIsAccount();
        if (nodeOfKey[signingKey] != address(0)) revert KeyTaken(signingKey);
        bytes32 consent = Messages.digest(messageDomain, Messages.hashSigningKey(msg.sender));
        (address signer,,) = ECDSA.tryRecoverCalldata(consent, keyConsent);
        if (signer == address(0) || signer != signingKey) revert KeyConsentInvalid(signingKey);
        nodeOfKey[signingKey] = msg.sender;
    }

    /// A newcomer to a full list names a Router with less stake, which unbonds; none is searched.
    function _makeRoom(uint256 stake, address displaced) private {
        if (activeRouters < MAX_ROUTERS) {
            ++activeRouters;
            return;
        }
        if (displaced == address(0)) revert RoutersFull(MAX_ROUTERS);
        NodeSlot storage node = slots[displaced];
        uint256 old = node.stake;
        if (node.role != Role.Router || old == 0 || old >= stake) revert NotDisplaceable(displaced);
        _unbond(displaced, node, old);
        ++activeRouters;
    }

    function _unbond(address account, NodeSlot storage node, uint256 amount) private {
        uint256 left = node.stake - amount;
        if (left == 0 && node.role == Role.Router) --activeRouters;
        node.releaseEpoch = SafeCast.toUint32(currentEpoch() + UNBONDING_EPOCHS);
        _setStake(account, left, node.unbonding + amount, _newestKey(account));
    }

    /// Writes stake and unbonding, the snapshot from the next epoch on, and the Routers' sum.
    function _setStake(address account, uint256 stake, uint256 unbonding, address signingKey)
        private
    {
        NodeSlot storage node = slots[account];
        if (stake > STAKE_MAX || unbonding > STAKE_MAX) revert StakeTooLarge(stake);
        uint256 minimum = minimumStake(node.role);
        if (stake != 0 && stake < minimum) revert StakeBelowMinimum(stake, minimum);
        if (stake == 0 && unbonding == 0 && !node.slashed) revert StakeBelowMinimum(0, minimum);
        uint256 oldUnits = node.stake / SNAPSHOT_UNIT;
        node.stake = uint88(stake);
        node.unbonding = uint88(unbonding);
        _writeSnapshot(account, node, signingKey);
        if (node.role == Role.Router) {
            uint256 sum = routerStake.latest() + stake / SNAPSHOT_UNIT - oldUnits;
            routerStake.push(uint48(currentEpoch() + 1), SafeCast.toUint208(sum));
        }
        emit StakeChanged(account, stake, unbonding, node.releaseEpoch);
    }

    function _writeSnapshot(address account, NodeSlot storage node, address signingKey) private {
        uint32 from = SafeCast.toUint32(currentEpoch() + 1);
        uint32 count = node.snapshotCount;
        // A second change in one epoch replaces the first: neither has come into force yet.
        if (count != 0 && snapshots[account][count - 1].fromEpoch == from) --count;
        uint64 units = uint64(node.stake / SNAPSHOT_UNIT);
        snapshots[account][count] = Snapshot(from, units, signingKey);
        if (node.role == Role.Router) routerSnapshot[account] = snapshots[account][count];
        if (node.slashed) delete routerSnapshot[account];
        node.snapshotCount = count + 1;
    }

    /// Takes all that the Router has bonded; what it signed under this stake was a lie.
    function _slash(address account) private {
        NodeSlot storage node = slots[account];
        if (node.role != Role.Router) revert WrongRole();
        if (node.slashed) revert AlreadySlashed(account);
        uint256 amount = uint256(node.stake) + node.unbonding;
        if (node.stake != 0) --activeRouters;
        node.slashed = true;
        _setStake(account, 0, 0, _newestKey(account));
        uint256 reward = amount * REWARD_PERCENT / 100;
        emit Slashed(account, msg.sender, amount, reward);
        if (amount == 0) return;
        token.safeTransfer(msg.sender, reward);
        computeContract.fund(IComputeContract.Bucket.Compute, amount - reward);
    }
}
