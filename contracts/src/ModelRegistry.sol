// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from
    "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {EpochClock} from "./EpochClock.sol";
import {Names} from "./Names.sol";
import {IComputeContract} from "./interfaces/IComputeContract.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";

/// @notice See IModelRegistry.
contract ModelRegistry is EpochClock, ReentrancyGuardTransient, IModelRegistry {
    using SafeERC20 for IERC20;
    using Checkpoints for Checkpoints.Trace224;

    /// A released name stays empty for a year, so that nobody is served a stranger's model under a
    /// handle that they still remember.
    uint64 public constant RELEASE_SECONDS = 365 days;
    /// Blocks within which a commitment must be revealed: about a week of 12 s blocks.
    uint256 public constant REVEAL_BLOCKS_MAX = 50_400;
    /// A longer delay before the reveal would only annoy.
    uint256 public constant REVEAL_DELAY_MAX = 7_200;
    /// A bond above this would close the registry to newcomers.
    uint256 public constant BOND_MAX = 1_000 ether;
    /// No model costs 1,000 MOR a second; keeps products far from overflow.
    uint256 public constant PRICE_MAX = 1_000 ether;

    struct Entry {
        address owner;
        uint32 generation;
        uint32 versionCount;
        address pendingOwner;
        uint64 releasedAt;
        uint256 bond;
    }

    /// What a key was made of, so that it leads back to its owner.
    struct Origin {
        bytes32 nameHash;
        uint32 generation;
    }

    struct Namespace {
        address owner;
        address pendingOwner;
    }

    IERC20 public immutable token;
    IComputeContract public immutable computeContract;
    /// @notice Blocks between a commitment and its reveal, at least 1.
    uint256 public immutable revealDelayBlocks;
    /// @notice wei of MOR held for each name.
    uint256 public immutable nameBond;

    mapping(bytes32 commitment => uint256 blockNumber) public committedAt;
    mapping(bytes32 namespaceKey => Namespace) private namespaces;
    mapping(bytes32 nameHash => Entry) private entries;
    mapping(bytes32 nameKey => Origin) private origins;
    mapping(bytes32 nameKey => mapping(uint256 number => Version)) private versions;
    mapping(bytes32 nameKey => mapping(bytes32 manifestDigest => uint32 number)) private numbers;
    mapping(bytes32 nameKey => mapping(bytes32 tagHash => TagMove[])) private tagMoves;
    mapping(bytes32 nameKey => Checkpoints.Trace224) private prices;

    constructor(
        uint64 epochSeconds_,
        uint64 genesis_,
        address token_,
        address computeContract_,
        uint256 revealDelayBlocks_,
        uint256 nameBond_
    ) EpochClock(epochSeconds_, genesis_) {
        if (revealDelayBlocks_ == 0 || revealDelayBlocks_ > REVEAL_DELAY_MAX) {
            revert RevealDelayOutOfRange(revealDelayBlocks_);
        }
        if (nameBond_ == 0 || nameBond_ > BOND_MAX) revert BondOutOfRange(nameBond_);
        token = IERC20(token_);
        computeContract = IComputeContract(computeContract_);
        revealDelayBlocks = revealDelayBlocks_;
        nameBond = nameBond_;
        // Forfeited bonds go to the compute pool by `fund`, which takes them from here.
        IERC20(token_).forceApprove(computeContract_, type(uint256).max);
    }

    /// @inheritdoc IModelRegistry
    function commit(bytes32 commitment) external {
        uint256 made = committedAt[commitment];
        // An expired commitment may be made again; a live one is not restarted by a stranger.
        if (made != 0 && block.number <= made + REVEAL_BLOCKS_MAX) {
            revert AlreadyCommitted(commitment);
        }
        committedAt[commitment] = block.number;
        emit Committed(msg.sender, commitment);
    }

    /// @inheritdoc IModelRegistry
    function claim(string calldata name, bytes32 salt) external nonReentrant {
        _spendCommitment(keccak256(abi.encode(msg.sender, name, salt)));
        _bindNamespace(name);
        bytes32 nameHash = keccak256(bytes(name));
        Entry storage entry = entries[nameHash];
        uint32 generation = entry.generation + 1;
        bytes32 key = nameKey(name, generation);
        bool released = entry.releasedAt != 0
            && block.timestamp >= uint256(entry.releasedAt) + RELEASE_SECONDS;
        if (generation != 1 && !released) revert NameTaken(nameKey(name, entry.generation));
        entries[nameHash] = Entry(msg.sender, generation, 0, address(0), 0, nameBond);
        origins[key] = Origin(nameHash, generation);
        emit NameClaimed(key, msg.sender, name, generation, nameBond);
        token.safeTransferFrom(msg.sender, address(this), nameBond);
    }

    /// @inheritdoc IModelRegistry
    function release(string calldata name) external nonReentrant {
        (Entry storage entry, bytes32 key) = _ownEntry(name);
        uint256 bond = entry.bond;
        bool published = entry.versionCount != 0;
        entry.owner = address(0);
        entry.pendingOwner = address(0);
        entry.bond = 0;
        entry.releasedAt = uint64(block.timestamp);
        emit NameReleased(key, msg.sender, published ? bond : 0);
        if (published) token.safeTransfer(msg.sender, bond);
        else computeContract.fund(IComputeContract.Bucket.Compute, bond);
    }

    /// @inheritdoc IModelRegistry
    function offerOwnership(string calldata name, address to) external {
        (Entry storage entry, bytes32 key) = _ownEntry(name);
        entry.pendingOwner = to;
        emit OwnershipOffered(key, to);
    }

    /// @inheritdoc IModelRegistry
    function acceptOwnership(string calldata name) external {
        Entry storage entry = entries[keccak256(bytes(name))];
        if (entry.pendingOwner != msg.sender) revert NotOffered(msg.sender);
        entry.owner = msg.sender;
        entry.pendingOwner = address(0);
        emit OwnershipAccepted(nameKey(name, entry.generation), msg.sender);
    }

    /// @inheritdoc IModelRegistry
    function offerNamespace(string calldata builder, address to) external {
        bytes32 key = keccak256(bytes(builder));
        Namespace storage namespace = namespaces[key];
        if (namespace.owner != msg.sender) revert NotOwner(namespace.owner);
        namespace.pendingOwner = to;
        emit NamespaceOffered(key, to);
    }

    /// @inheritdoc IModelRegistry
    function acceptNamespace(string calldata builder) external {
        bytes32 key = keccak256(bytes(builder));
        if (namespaces[key].pendingOwner != msg.sender) revert NotOffered(msg.sender);
        namespaces[key] = Namespace(msg.sender, address(0));
        emit NamespaceBound(key, msg.sender, builder);
    }

    /// @inheritdoc IModelRegistry
    function publish(
        string calldata name,
        string calldata tag,
        Kind kind,
        bytes32 manifestDigest,
        bytes32 manifestCid,
        string calldata baseName,
        bytes32 baseDigest
    ) external returns (uint32 version) {
        (Entry storage entry, bytes32 key) = _ownEntry(name);
        if (manifestDigest == 0 || manifestCid == 0) revert DigestMissing();
        if (numbers[key][manifestDigest] != 0) revert VersionExists(manifestDigest);
        bytes32 baseKey = _baseKey(kind, baseName, baseDigest);
        version = ++entry.versionCount;
        Version memory record = Version({
            manifestDigest: manifestDigest,
            manifestCid: manifestCid,
            baseDigest: baseDigest,
            baseNameKey: baseKey,
            kind: kind,
            publishedAt: uint64(block.timestamp)
        });
        numbers[key][manifestDigest] = version;
        versions[key][version] = record;
        emit Published(key, manifestDigest, version, record);
        _moveTag(key, tag, version, manifestDigest);
    }

    /// @inheritdoc IModelRegistry
    function moveTag(string calldata name, string calldata tag, bytes32 manifestDigest) external {
        (, bytes32 key) = _ownEntry(name);
        uint32 version = numbers[key][manifestDigest];
        if (version == 0) revert VersionUnknown(manifestDigest);
        _moveTag(key, tag, version, manifestDigest);
    }

    /// @inheritdoc IModelRegistry
    function setPrice(string calldata name, uint256 weiPerSecond) external {
        (, bytes32 key) = _ownEntry(name);
        if (weiPerSecond > PRICE_MAX) revert PriceTooHigh(weiPerSecond, PRICE_MAX);
        uint64 from = currentEpoch() + 1;
        prices[key].push(SafeCast.toUint32(from), uint224(weiPerSecond));
        emit PriceSet(key, weiPerSecond, from);
    }

    /// @inheritdoc IModelRegistry
    function resolve(string calldata name, string calldata tag, uint64 epoch)
        external
        view
        returns (Resolution memory)
    {
        bytes32 key = nameKey(name, entries[keccak256(bytes(name))].generation);
        TagMove[] storage moves = tagMoves[key][keccak256(bytes(tag))];
        uint256 count = moves.length;
        if (count == 0) revert TagUnknown(tag);
        return _resolution(key, moves[count - 1].version, epoch);
    }

    /// @inheritdoc IModelRegistry
    function resolveDigest(string calldata name, bytes32 manifestDigest, uint64 epoch)
        external
        view
        returns (Resolution memory)
    {
        bytes32 key = nameKey(name, entries[keccak256(bytes(name))].generation);
        return resolveKey(key, manifestDigest, epoch);
    }

    /// @inheritdoc IModelRegistry
    function resolveKey(bytes32 nameKey_, bytes32 manifestDigest, uint64 epoch)
        public
        view
        returns (Resolution memory)
    {
        uint32 version = numbers[nameKey_][manifestDigest];
        if (version == 0) revert VersionUnknown(manifestDigest);
        return _resolution(nameKey_, version, epoch);
    }

    /// @inheritdoc IModelRegistry
    function nameRecord(string calldata name) external view returns (NameRecord memory) {
        Entry storage entry = entries[keccak256(bytes(name))];
        return NameRecord({
            owner: entry.owner,
            pendingOwner: entry.pendingOwner,
            generation: entry.generation,
            versionCount: entry.versionCount,
            bond: entry.bond,
            releasedAt: entry.releasedAt
        });
    }

    /// @inheritdoc IModelRegistry
    function nameKey(string calldata name, uint32 generation) public pure returns (bytes32) {
        return keccak256(abi.encode(name, generation));
    }

    /// @inheritdoc IModelRegistry
    function namespaceOwner(string calldata builder) external view returns (address) {
        return namespaces[keccak256(bytes(builder))].owner;
    }

    /// @inheritdoc IModelRegistry
    function versionAt(bytes32 nameKey_, uint32 version) external view returns (Version memory) {
        return versions[nameKey_][version];
    }

    /// @inheritdoc IModelRegistry
    function tagMoveCount(bytes32 nameKey_, string calldata tag) external view returns (uint256) {
        return tagMoves[nameKey_][keccak256(bytes(tag))].length;
    }

    /// @inheritdoc IModelRegistry
    function tagMoveAt(bytes32 nameKey_, string calldata tag, uint256 index)
        external
        view
        returns (TagMove memory)
    {
        return tagMoves[nameKey_][keccak256(bytes(tag))][index];
    }

    /// @inheritdoc IModelRegistry
    function priceAt(bytes32 nameKey_, uint64 epoch) public view returns (uint256) {
        return prices[nameKey_].upperLookupRecent(SafeCast.toUint32(epoch));
    }

    function _spendCommitment(bytes32 commitment) private {
        uint256 made = committedAt[commitment];
        if (made == 0) revert CommitmentMissing(commitment);
        uint256 from = made + revealDelayBlocks;
        uint256 until = made + REVEAL_BLOCKS_MAX;
        if (block.number < from) revert RevealTooEarly(from);
        if (block.number > until) revert RevealTooLate(until);
        delete committedAt[commitment];
    }

    /// The first claim under a builder part binds it; later ones must be by its owner.
    function _bindNamespace(string calldata name) private {
        uint256 slash = Names.slashOf(bytes(name));
        if (slash == 0) revert NameInvalid(name);
        bytes calldata builder = bytes(name)[:slash];
        bytes32 key = keccak256(builder);
        address owner = namespaces[key].owner;
        if (owner == msg.sender) return;
        if (owner != address(0)) revert NamespaceTaken(owner);
        namespaces[key].owner = msg.sender;
        emit NamespaceBound(key, msg.sender, string(builder));
    }

    function _ownEntry(string calldata name)
        private
        view
        returns (Entry storage entry, bytes32 key)
    {
        entry = entries[keccak256(bytes(name))];
        if (entry.owner != msg.sender) revert NotOwner(entry.owner);
        key = nameKey(name, entry.generation);
    }

    /// An agent names the model that it runs on, so that its Builder is paid too.
    function _baseKey(Kind kind, string calldata baseName, bytes32 baseDigest)
        private
        view
        returns (bytes32 key)
    {
        if (kind == Kind.Model) {
            if (baseDigest != 0 || bytes(baseName).length != 0) revert KindInvalid();
            return 0;
        }
        if (kind != Kind.Agent) revert KindInvalid();
        key = nameKey(baseName, entries[keccak256(bytes(baseName))].generation);
        uint32 number = numbers[key][baseDigest];
        if (number == 0 || versions[key][number].kind != Kind.Model) {
            revert BaseUnknown(key, baseDigest);
        }
    }

    function _moveTag(bytes32 key, string calldata tag, uint32 version, bytes32 manifestDigest)
        private
    {
        if (!Names.isPart(bytes(tag))) revert TagInvalid(tag);
        tagMoves[key][keccak256(bytes(tag))].push(TagMove(version, uint64(block.timestamp)));
        emit TagMoved(key, tag, version, manifestDigest);
    }

    function _resolution(bytes32 key, uint32 number, uint64 epoch)
        private
        view
        returns (Resolution memory)
    {
        Version storage version = versions[key][number];
        uint32 generation = origins[key].generation;
        Entry storage entry = entries[origins[key].nameHash];
        // A released name's Builder is nobody; a later generation is a stranger to this one.
        bool current = entry.owner != address(0) && entry.generation == generation;
        return Resolution({
            manifestDigest: version.manifestDigest,
            manifestCid: version.manifestCid,
            kind: version.kind,
            builder: current ? entry.owner : address(0),
            weiPerSecond: current ? priceAt(key, epoch) : 0,
            generation: generation,
            publishedAt: version.publishedAt,
            baseDigest: version.baseDigest,
            baseNameKey: version.baseNameKey
        });
    }
}
