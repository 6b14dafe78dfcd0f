// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The signed messages of Lake Travis
/// @notice Every message is EIP-712 typed data under one domain: name "Lake Travis", version "1",
/// this chain's id, and the ComputeContract as verifying contract. `hash*` give the struct hash;
/// wherever one message names another (delegationHash, rfcHash, offerHash, acceptHash, tickHash,
/// sessionId, previous) it is by its full EIP-712 digest, `digest(domainSeparator, hash)`, so that
/// a reference cannot be replayed on another chain either.
/// @dev Times are unix milliseconds, amounts wei of MOR, rates wei per second.
library Messages {
    struct Delegation {
        address user;
        address sessionKey;
        uint256 epochLimit;
        uint256 debitCeiling;
        bytes32 pseudonymCommitment;
        uint64 expiresAt;
        uint64 nonce;
    }

    struct Revocation {
        address user;
        uint64 nonce;
    }

    struct Offer {
        address provider;
        string model;
        bytes32 manifestDigest;
        uint256 weiPerSecond;
        uint32 minSeconds;
        uint32 slots;
        uint64 milliTps;
        string engineClass;
        string hardwareClass;
        string endpoint;
        bytes32 tlsFingerprint;
        uint64 validUntil;
        uint64 sequence;
    }

    struct RequestForCompute {
        address router;
        bytes32 delegationHash;
        address sessionKey;
        string model;
        bytes32 manifestDigest;
        uint256 maxWeiPerSecond;
        uint64 minMilliTps;
        uint32 maxLatencyMs;
        uint32 maxSeconds;
        bytes32 nonce;
        uint64 deadline;
        /// keccak256 of the canonical JSON of the User's routing wish; zero: none.
        bytes32 wishHash;
    }

    struct Accept {
        bytes32 rfcHash;
        bytes32 offerHash;
        uint64 expiresAt;
    }

    struct Payee {
        address account;
        uint8 kind;
        uint256 weiPerSecond;
    }

    struct Ticket {
        bytes32 rfcHash;
        bytes32 offerHash;
        bytes32 acceptHash;
        bytes32 whyHash;
        address sessionKey;
        address provider;
        address router;
        uint64 epoch;
        bytes32 manifestDigest;
        Payee[] payees;
        uint256 reservedAllowance;
        uint256 reservedDeposit;
        uint32 minSeconds;
        uint32 maxSeconds;
        uint32 tickSeconds;
        uint64 connectBy;
        uint64 openedAt;
    }

    struct Open {
        bytes32 sessionId;
        bytes32 nonce;
        uint64 openedAt;
    }

    struct Tick {
        bytes32 sessionId;
        uint32 secondsAgreed;
        uint32 requestsAnswered;
        uint32 requestsFailed;
        uint64 tokens;
        uint32 ttftMs;
        uint64 activeMs;
    }

    struct Close {
        bytes32 sessionId;
        bytes32 tickHash;
        uint8 party;
        uint8 reason;
    }

    struct Seal {
        uint64 epoch;
        address router;
        bytes32 recordsRoot;
        uint64 count;
    }

    struct Totals {
        uint256 allowanceCredits;
        uint256 modelEmission;
        uint256 agentEmission;
        uint256 paidCredits;
        uint256 debits;
        uint64 deposits;
    }

    struct Settlement {
        uint64 epoch;
        uint32 round;
        bytes32 previous;
        bytes32 sealsHash;
        bytes32 creditRoot;
        bytes32 debitRoot;
        bytes32 recordRoot;
        bytes32 recordCid;
        bytes32 rules;
        bytes32 baselineHash;
        Totals totals;
    }

    bytes32 internal constant DOMAIN_TYPEHASH = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );
    bytes32 internal constant SIGNING_KEY_TYPEHASH = keccak256("SigningKey(address account)");
    bytes32 internal constant DELEGATION_TYPEHASH = keccak256(
        "Delegation(address user,address sessionKey,uint256 epochLimit,uint256 debitCeiling,bytes32 pseudonymCommitment,uint64 expiresAt,uint64 nonce)"
    );
    bytes32 internal constant REVOCATION_TYPEHASH =
        keccak256("Revocation(address user,uint64 nonce)");
    bytes32 internal constant OFFER_TYPEHASH = keccak256(
        "Offer(address provider,string model,bytes32 manifestDigest,uint256 weiPerSecond,uint32 minSeconds,uint32 slots,uint64 milliTps,string engineClass,string hardwareClass,string endpoint,bytes32 tlsFingerprint,uint64 validUntil,uint64 sequence)"
    );
    bytes32 internal constant RFC_TYPEHASH = keccak256(
        "RequestForCompute(address router,bytes32 delegationHash,address sessionKey,string model,bytes32 manifestDigest,uint256 maxWeiPerSecond,uint64 minMilliTps,uint32 maxLatencyMs,uint32 maxSeconds,bytes32 nonce,uint64 deadline,bytes32 wishHash)"
    );
    bytes32 internal constant ACCEPT_TYPEHASH =
        keccak256("Accept(bytes32 rfcHash,bytes32 offerHash,uint64 expiresAt)");
    bytes32 internal constant PAYEE_TYPEHASH =
        keccak256("Payee(address account,uint8 kind,uint256 weiPerSecond)");
    bytes32 internal constant TICKET_TYPEHASH = keccak256(
        "Ticket(bytes32 rfcHash,bytes32 offerHash,bytes32 acceptHash,bytes32 whyHash,address sessionKey,address provider,address router,uint64 epoch,bytes32 manifestDigest,Payee[] payees,uint256 reservedAllowance,uint256 reservedDeposit,uint32 minSeconds,uint32 maxSeconds,uint32 tickSeconds,uint64 connectBy,uint64 openedAt)Payee(address account,uint8 kind,uint256 weiPerSecond)"
    );
    bytes32 internal constant OPEN_TYPEHASH =
        keccak256("Open(bytes32 sessionId,bytes32 nonce,uint64 openedAt)");
    bytes32 internal constant TICK_TYPEHASH = keccak256(
        "Tick(bytes32 sessionId,uint32 seconds,uint32 requestsAnswered,uint32 requestsFailed,uint64 tokens,uint32 ttftMs,uint64 activeMs)"
    );
    bytes32 internal constant CLOSE_TYPEHASH =
        keccak256("Close(bytes32 sessionId,bytes32 tickHash,uint8 party,uint8 reason)");
    bytes32 internal constant SEAL_TYPEHASH =
        keccak256("Seal(uint64 epoch,address router,bytes32 recordsRoot,uint64 count)");
    bytes32 internal constant TOTALS_TYPEHASH = keccak256(
        "Totals(uint256 allowanceCredits,uint256 modelEmission,uint256 agentEmission,uint256 paidCredits,uint256 debits,uint64 deposits)"
    );
    bytes32 internal constant SETTLEMENT_TYPEHASH = keccak256(
        "Settlement(uint64 epoch,uint32 round,bytes32 previous,bytes32 sealsHash,bytes32 creditRoot,bytes32 debitRoot,bytes32 recordRoot,bytes32 recordCid,bytes32 rules,bytes32 baselineHash,Totals totals)Totals(uint256 allowanceCredits,uint256 modelEmission,uint256 agentEmission,uint256 paidCredits,uint256 debits,uint64 deposits)"
    );

    /// @notice The EIP-712 domain of the ComputeContract at `computeContract` on this chain.
    function domainSeparator(address computeContract) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                DOMAIN_TYPEHASH,
                keccak256("Lake Travis"),
                keccak256("1"),
                block.chainid,
                computeContract
            )
        );
    }

    /// @notice What is signed: keccak256(0x1901 | domain separator | struct hash).
    function digest(bytes32 separator, bytes32 structHash) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, hex"1901")
            mstore(add(free, 0x02), separator)
            mstore(add(free, 0x22), structHash)
            result := keccak256(free, 0x42)
        }
    }

    /// @notice A signing key's consent to sign for `account`; nobody can register a stranger's key.
    function hashSigningKey(address account) internal pure returns (bytes32) {
        return keccak256(abi.encode(SIGNING_KEY_TYPEHASH, account));
    }

    function hashDelegation(Delegation memory m) internal pure returns (bytes32) {
        return keccak256(abi.encode(DELEGATION_TYPEHASH, m));
    }

    function hashRevocation(Revocation memory m) internal pure returns (bytes32) {
        return keccak256(abi.encode(REVOCATION_TYPEHASH, m));
    }

    function hashOffer(Offer memory m) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                abi.encode(
                    OFFER_TYPEHASH,
                    m.provider,
                    keccak256(bytes(m.model)),
                    m.manifestDigest,
                    m.weiPerSecond,
                    m.minSeconds,
                    m.slots,
                    m.milliTps
                ),
                abi.encode(
                    keccak256(bytes(m.engineClass)),
                    keccak256(bytes(m.hardwareClass)),
                    keccak256(bytes(m.endpoint)),
                    m.tlsFingerprint,
                    m.validUntil,
                    m.sequence
                )
            )
        );
    }

    function hashRfc(RequestForCompute memory m) internal pure returns (bytes32) {
        return keccak256(
            bytes.concat(
                abi.encode(
                    RFC_TYPEHASH,
                    m.router,
                    m.delegationHash,
                    m.sessionKey,
                    keccak256(bytes(m.model)),
                    m.manifestDigest
                ),
                abi.encode(
                    m.maxWeiPerSecond,
                    m.minMilliTps,
                    m.maxLatencyMs,
                    m.maxSeconds,
                    m.nonce,
                    m.deadline,
                    m.wishHash
                )
            )
        );
    }

    function hashAccept(Accept memory m) internal pure returns (bytes32) {
        return keccak256(abi.encode(ACCEPT_TYPEHASH, m));
    }

    function hashPayee(Payee memory m) internal pure returns (bytes32) {
        return keccak256(abi.encode(PAYEE_TYPEHASH, m));
    }

    /// @dev The caller bounds `payees`; here it is as long as the caller gave.
    function hashTicket(Ticket memory m) internal pure returns (bytes32) {
        bytes32[] memory payees = new bytes32[](m.payees.length);
        for (uint256 i = 0; i < payees.length; ++i) {
            payees[i] = hashPayee(m.payees[i]);
        }
        return keccak256(
            bytes.concat(
                abi.encode(
                    TICKET_TYPEHASH,
                    m.rfcHash,
                    m.offerHash,
                    m.acceptHash,
                    m.whyHash,
                    m.sessionKey,
                    m.provider,
                    m.router,
                    m.epoch
                ),
                abi.encode(
                    m.manifestDigest,
                    keccak256(abi.encodePacked(payees)),
                    m.reservedAllowance,
                    m.reservedDeposit,
                    m.minSeconds,
                    m.maxSeconds,
                    m.tickSeconds,
                    m.connectBy,
                    m.openedAt
                )
            )
        );
    }

    function hashOpen(Open memory m) internal pure returns (bytes32) {
        return keccak256(abi.encode(OPEN_TYPEHASH, m));
    }

    function hashTick(Tick memory m) internal pure returns (bytes32) {
        return keccak256(abi.encode(TICK_TYPEHASH, m));
    }

    function hashClose(Close memory m) internal pure returns (bytes32) {
        return keccak256(abi.encode(CLOSE_TYPEHASH, m));
    }

    function hashSeal(Seal memory m) internal pure returns (bytes32) {
        return keccak256(abi.encode(SEAL_TYPEHASH, m));
    }

    function hashTotals(Totals calldata m) internal pure returns (bytes32 result) {
        bytes32 typeHash = TOTALS_TYPEHASH;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            calldatacopy(add(free, 0x20), m, 0xc0)
            result := keccak256(free, 0xe0)
        }
    }

    /// @dev Both structs are static, so calldata holds them as they are hashed. Dirty high bits of
    /// a short field can only make the hash one that nobody signed.
    function hashSettlement(Settlement calldata m) internal pure returns (bytes32 result) {
        bytes32 totalsHash = hashTotals(m.totals);
        bytes32 typeHash = SETTLEMENT_TYPEHASH;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            // Ten words before the totals.
            calldatacopy(add(free, 0x20), m, 0x140)
            mstore(add(free, 0x160), totalsHash)
            result := keccak256(free, 0x180)
        }
    }
}
