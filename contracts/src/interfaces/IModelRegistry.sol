// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Unique names of models and agents, their versions, tags and prices
/// @notice A name is "builder/name", a tag a single part; each part is [a-z0-9][a-z0-9._-]*, at
/// most PART_BYTES_MAX bytes, so no two names look alike by foreign letters. The first claim under
/// a builder part binds that part to the claiming account. The bytes lie on IPFS.
interface IModelRegistry {
    enum Kind {
        None,
        Model,
        Agent
    }

    struct Version {
        /// sha256 of the manifest JSON.
        bytes32 manifestDigest;
        /// sha256 multihash digest of the CIDv1 (raw block) that holds the manifest JSON.
        bytes32 manifestCid;
        /// An agent's base model: its manifest digest, and the key (`nameKey`) it is published
        /// under; zero for a model.
        bytes32 baseDigest;
        bytes32 baseNameKey;
        Kind kind;
        /// Unix seconds of publication.
        uint64 publishedAt;
    }

    struct NameRecord {
        /// The Builder: owns the name and is paid. Zero when free or released.
        address owner;
        address pendingOwner;
        uint32 generation;
        uint32 versionCount;
        /// wei of MOR held for the name.
        uint256 bond;
        /// Unix seconds of the release, or zero.
        uint64 releasedAt;
    }

    struct Resolution {
        bytes32 manifestDigest;
        bytes32 manifestCid;
        Kind kind;
        /// Whom Sessions pay; zero after release.
        address builder;
        /// The Builder's price in force at the epoch asked for, wei of MOR per second.
        uint256 weiPerSecond;
        uint32 generation;
        uint64 publishedAt;
        bytes32 baseDigest;
        bytes32 baseNameKey;
    }

    struct TagMove {
        uint32 version;
        uint64 movedAt;
    }

    event Committed(address indexed account, bytes32 indexed commitment);
    event NameClaimed(
        bytes32 indexed nameKey,
        address indexed owner,
        string name,
        uint32 generation,
        uint256 bond
    );
    event NamespaceBound(bytes32 indexed namespaceKey, address indexed owner, string builder);
    event NamespaceOffered(bytes32 indexed namespaceKey, address indexed to);
    event NameReleased(bytes32 indexed nameKey, address indexed owner, uint256 bondReturned);
    event OwnershipOffered(bytes32 indexed nameKey, address indexed to);
    event OwnershipAccepted(bytes32 indexed nameKey, address indexed owner);
    event Published(
        bytes32 indexed nameKey, bytes32 indexed manifestDigest, uint32 version, Version record
    );
    event TagMoved(bytes32 indexed nameKey, string tag, uint32 version, bytes32 manifestDigest);
    event PriceSet(bytes32 indexed nameKey, uint256 weiPerSecond, uint64 fromEpoch);

    error NameInvalid(string name);
    error TagInvalid(string tag);
    error RevealDelayOutOfRange(uint256 given);
    error BondOutOfRange(uint256 given);
    error AlreadyCommitted(bytes32 commitment);
    error CommitmentMissing(bytes32 commitment);
    error RevealTooEarly(uint256 fromBlock);
    error RevealTooLate(uint256 untilBlock);
    error NameTaken(bytes32 nameKey);
    error NamespaceTaken(address owner);
    error NotOwner(address owner);
    error NotOffered(address account);
    error NameUnknown(bytes32 nameKey);
    error DigestMissing();
    error KindInvalid();
    error BaseUnknown(bytes32 baseNameKey, bytes32 baseDigest);
    error VersionExists(bytes32 manifestDigest);
    error VersionUnknown(bytes32 manifestDigest);
    error TagUnknown(string tag);
    error PriceTooHigh(uint256 weiPerSecond, uint256 limit);

    /// @notice Announces a claim without showing it: keccak256(abi.encode(account, name, salt)).
    function commit(bytes32 commitment) external;

    /// @notice Claims `name` for the caller, revealDelayBlocks after the commitment; takes a bond.
    function claim(string calldata name, bytes32 salt) external;

    /// @notice Gives the name up: free after RELEASE_SECONDS, as a new generation. The bond returns
    /// if a version was published, and else goes to the compute pool.
    function release(string calldata name) external;

    /// @notice Offers the name to `to` (zero takes the offer back); `acceptOwnership` takes it.
    function offerOwnership(string calldata name, address to) external;
    function acceptOwnership(string calldata name) external;

    /// @notice Offers the builder part (the right to claim new names under it) to `to`.
    function offerNamespace(string calldata builder, address to) external;
    function acceptNamespace(string calldata builder) external;

    /// @notice Appends a version and points `tag` at it.
    /// @param baseName of an agent: the name its base model is published under; "" for a model
    /// @return version its number, from 1
    function publish(
        string calldata name,
        string calldata tag,
        Kind kind,
        bytes32 manifestDigest,
        bytes32 manifestCid,
        string calldata baseName,
        bytes32 baseDigest
    ) external returns (uint32 version);

    /// @notice Points `tag` at a published version; the history stays.
    function moveTag(string calldata name, string calldata tag, bytes32 manifestDigest) external;

    /// @notice Sets the Builder's price, wei of MOR per second, from the next epoch on.
    function setPrice(string calldata name, uint256 weiPerSecond) external;

    /// @notice What `name:tag` is now, with the Builder's price in force at `epoch`.
    function resolve(string calldata name, string calldata tag, uint64 epoch)
        external
        view
        returns (Resolution memory);

    /// @notice What the version of `name` with `manifestDigest` is.
    function resolveDigest(string calldata name, bytes32 manifestDigest, uint64 epoch)
        external
        view
        returns (Resolution memory);

    /// @notice As `resolveDigest`, by key: how an agent's base model is looked up.
    function resolveKey(bytes32 nameKey_, bytes32 manifestDigest, uint64 epoch)
        external
        view
        returns (Resolution memory);

    /// @notice Record of the newest generation of `name`.
    function nameRecord(string calldata name) external view returns (NameRecord memory);
    /// @notice Key of a generation of a name: keccak256(abi.encode(name, generation)).
    function nameKey(string calldata name, uint32 generation) external pure returns (bytes32);
    function namespaceOwner(string calldata builder) external view returns (address);
    /// @notice Version `version` (from 1) of a generation.
    function versionAt(bytes32 nameKey_, uint32 version) external view returns (Version memory);
    function tagMoveCount(bytes32 nameKey_, string calldata tag) external view returns (uint256);
    function tagMoveAt(bytes32 nameKey_, string calldata tag, uint256 index)
        external
        view
        returns (TagMove memory);
    /// @notice Price in force at `epoch`, wei of MOR per second.
    function priceAt(bytes32 nameKey_, uint64 epoch) external view returns (uint256);
}
