// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ModelRegistry} from "../src/ModelRegistry.sol";
import {IModelRegistry} from "../src/interfaces/IModelRegistry.sol";
import {Network} from "./Network.sol";

contract ModelRegistryTest is Network {
    address internal alice = address(0xA11CE);
    address internal bob = address(0xB0B);
    bytes32 internal constant DIGEST = keccak256("manifest");
    bytes32 internal constant CID = keccak256("cid");

    function setUp() public {
        deploy();
        give(alice, 1_000 * MOR);
        give(bob, 1_000 * MOR);
        approveAs(alice, address(models));
        approveAs(bob, address(models));
    }

    function claimAs(address account, string memory name) internal {
        commitAs(account, name);
        vm.roll(block.number + 2);
        vm.prank(account);
        models.claim(name, SALT);
    }

    function commitAs(address account, string memory name) internal {
        vm.prank(account);
        models.commit(keccak256(abi.encode(account, name, SALT)));
    }

    function publishAs(address account, string memory name, string memory tag, bytes32 digest)
        internal
    {
        vm.prank(account);
        models.publish(name, tag, IModelRegistry.Kind.Model, digest, CID, "", 0);
    }

    function revertsClaim(string memory name, bytes4 selector) internal {
        commitAs(alice, name);
        vm.roll(block.number + 2);
        vm.prank(alice);
        vm.expectPartialRevert(selector);
        models.claim(name, SALT);
    }

    function test_constructor_is_range_checked() public {
        vm.expectPartialRevert(IModelRegistry.RevealDelayOutOfRange.selector);
        new ModelRegistry(EPOCH, GENESIS, address(mor), address(compute), 0, MOR);
        vm.expectPartialRevert(IModelRegistry.RevealDelayOutOfRange.selector);
        new ModelRegistry(EPOCH, GENESIS, address(mor), address(compute), 7_201, MOR);
        vm.expectPartialRevert(IModelRegistry.BondOutOfRange.selector);
        new ModelRegistry(EPOCH, GENESIS, address(mor), address(compute), 1, 0);
        vm.expectPartialRevert(IModelRegistry.BondOutOfRange.selector);
        new ModelRegistry(EPOCH, GENESIS, address(mor), address(compute), 1, 1_000 * MOR + 1);
        new ModelRegistry(EPOCH, GENESIS, address(mor), address(compute), 7_200, 1_000 * MOR);
    }

    function test_claims_by_commit_and_reveal() public {
        claimAs(alice, "lake/tiny");
        IModelRegistry.NameRecord memory record = models.nameRecord("lake/tiny");
        equal(record.owner, alice, "owner");
        equal(record.generation, 1, "generation");
        equal(record.bond, 10 * MOR, "bond");
        equal(mor.balanceOf(address(models)), 10 * MOR, "held");
        equal(models.namespaceOwner("lake"), alice, "namespace");
        claimAs(alice, "lake/other");
        revertsClaim("lake/tiny", IModelRegistry.NameTaken.selector);
    }

    function test_reveal_needs_a_commitment_of_the_right_age() public {
        vm.prank(alice);
        vm.expectPartialRevert(IModelRegistry.CommitmentMissing.selector);
        models.claim("lake/tiny", SALT);
        commitAs(alice, "lake/tiny");
        vm.roll(101);
        vm.prank(alice);
        vm.expectPartialRevert(IModelRegistry.RevealTooEarly.selector);
        models.claim("lake/tiny", SALT);
        vm.roll(101 + 50_400);
        vm.prank(alice);
        vm.expectPartialRevert(IModelRegistry.RevealTooLate.selector);
        models.claim("lake/tiny", SALT);
        commitAs(alice, "lake/tiny");
        vm.roll(101 + 2 * 50_400);
        vm.prank(alice);
        models.claim("lake/tiny", SALT);
    }

    function test_a_commitment_cannot_be_restarted_or_stolen() public {
        commitAs(alice, "lake/tiny");
        vm.roll(block.number + 2);
        bytes32 commitment = keccak256(abi.encode(alice, "lake/tiny", SALT));
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.AlreadyCommitted.selector);
        models.commit(commitment);
        vm.roll(block.number + 50_398);
        vm.expectPartialRevert(IModelRegistry.AlreadyCommitted.selector);
        models.commit(commitment);
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.CommitmentMissing.selector);
        models.claim("lake/tiny", SALT);
        vm.prank(alice);
        models.claim("lake/tiny", SALT);
        equal(models.committedAt(commitment), 0, "spent");
    }

    function test_grammar() public {
        bytes4 invalid = IModelRegistry.NameInvalid.selector;
        revertsClaim("", invalid);
        revertsClaim("lake", invalid);
        revertsClaim("/tiny", invalid);
        revertsClaim("lake/", invalid);
        revertsClaim("lake/ti/ny", invalid);
        revertsClaim("Lake/tiny", invalid);
        revertsClaim("lake/-tiny", invalid);
        revertsClaim("lake/ti ny", invalid);
        revertsClaim(unicode"lake/tіny", invalid);
        revertsClaim("{ake/tiny", invalid);
        revertsClaim("lake/tin:", invalid);
        revertsClaim("lake/tin`", invalid);
        claimAs(alice, "0lake._-/9.a_z-");
    }

    function test_grammar_bounds_length(uint8 builderBytes, uint8 nameBytes) public {
        string memory name = string(bytes.concat(many(builderBytes), "/", many(nameBytes)));
        if (builderBytes > 0 && builderBytes <= 64 && nameBytes > 0 && nameBytes <= 64) {
            claimAs(alice, name);
        } else {
            revertsClaim(name, IModelRegistry.NameInvalid.selector);
        }
    }

    function test_the_longest_parts() public {
        claimAs(alice, string(bytes.concat(many(64), "/", many(64))));
        bytes4 invalid = IModelRegistry.NameInvalid.selector;
        revertsClaim(string(bytes.concat(many(65), "/", many(63))), invalid);
        revertsClaim(string(bytes.concat(many(63), "/", many(65))), invalid);
    }

    function many(uint256 count) internal pure returns (bytes memory text) {
        text = new bytes(count);
        for (uint256 i = 0; i < count; ++i) {
            text[i] = "a";
        }
    }

    /// Each byte is allowed inside a part exactly if the grammar says so.
    function test_grammar_byte_by_byte(bytes1 char) public {
        bool digit = char >= "0" && char <= "9";
        bool letter = char >= "a" && char <= "z";
        bool inner = char == "." || char == "_" || char == "-";
        string memory name = string(bytes.concat("lake/a", char));
        if (digit || letter || inner) claimAs(alice, name);
        else revertsClaim(name, IModelRegistry.NameInvalid.selector);
        string memory first = string(bytes.concat("lake/", char, "a"));
        if (digit || letter) claimAs(alice, first);
        else revertsClaim(first, IModelRegistry.NameInvalid.selector);
    }

    function test_namespace_belongs_to_its_first_claimant() public {
        claimAs(alice, "lake/tiny");
        commitAs(bob, "lake/bob");
        vm.roll(block.number + 2);
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NamespaceTaken.selector);
        models.claim("lake/bob", SALT);
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NotOwner.selector);
        models.offerNamespace("lake", bob);
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NotOffered.selector);
        models.acceptNamespace("lake");
        vm.prank(alice);
        models.offerNamespace("lake", bob);
        vm.prank(bob);
        models.acceptNamespace("lake");
        vm.prank(bob);
        models.claim("lake/bob", SALT);
        equal(models.nameRecord("lake/tiny").owner, alice, "names stay");
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NotOffered.selector);
        models.acceptNamespace("lake");
    }

    function test_publishes_and_resolves(bytes32 digest, bytes32 cid) public {
        vm.assume(digest != 0 && cid != 0 && digest != DIGEST);
        claimAs(alice, "lake/tiny");
        vm.prank(alice);
        uint32 version =
            models.publish("lake/tiny", "latest", IModelRegistry.Kind.Model, digest, cid, "", 0);
        equal(version, 1, "version");
        IModelRegistry.Resolution memory got = models.resolve("lake/tiny", "latest", 0);
        equal(got.manifestDigest, digest, "digest");
        equal(got.manifestCid, cid, "cid");
        equal(got.builder, alice, "builder");
        equal(got.generation, 1, "generation");
        equal(got.publishedAt, block.timestamp, "time");
        check(got.kind == IModelRegistry.Kind.Model, "kind");
        equal(models.resolveDigest("lake/tiny", digest, 0).manifestCid, cid, "by digest");
        publishAs(alice, "lake/tiny", "v2", DIGEST);
        equal(models.resolve("lake/tiny", "latest", 0).manifestDigest, digest, "tag stays");
        bytes32 key = models.nameKey("lake/tiny", 1);
        equal(models.versionAt(key, 2).manifestDigest, DIGEST, "appended");
        equal(models.nameRecord("lake/tiny").versionCount, 2, "count");
    }

    function test_publish_refuses_what_is_not_complete() public {
        claimAs(alice, "lake/tiny");
        vm.startPrank(alice);
        vm.expectRevert(IModelRegistry.DigestMissing.selector);
        models.publish("lake/tiny", "v", IModelRegistry.Kind.Model, 0, CID, "", 0);
        vm.expectRevert(IModelRegistry.DigestMissing.selector);
        models.publish("lake/tiny", "v", IModelRegistry.Kind.Model, DIGEST, 0, "", 0);
        vm.expectRevert(IModelRegistry.KindInvalid.selector);
        models.publish("lake/tiny", "v", IModelRegistry.Kind.None, DIGEST, CID, "", 0);
        vm.expectRevert(IModelRegistry.KindInvalid.selector);
        models.publish("lake/tiny", "v", IModelRegistry.Kind.Model, DIGEST, CID, "", DIGEST);
        vm.expectRevert(IModelRegistry.KindInvalid.selector);
        models.publish("lake/tiny", "v", IModelRegistry.Kind.Model, DIGEST, CID, "lake/x", 0);
        vm.expectPartialRevert(IModelRegistry.TagInvalid.selector);
        models.publish("lake/tiny", "V", IModelRegistry.Kind.Model, DIGEST, CID, "", 0);
        models.publish("lake/tiny", "v", IModelRegistry.Kind.Model, DIGEST, CID, "", 0);
        vm.expectPartialRevert(IModelRegistry.VersionExists.selector);
        models.publish("lake/tiny", "w", IModelRegistry.Kind.Model, DIGEST, CID, "", 0);
        vm.stopPrank();
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NotOwner.selector);
        models.publish("lake/tiny", "w", IModelRegistry.Kind.Model, CID, CID, "", 0);
    }

    function test_an_agent_names_its_base_model() public {
        claimAs(alice, "lake/tiny");
        claimAs(bob, "bob/agent");
        publishAs(alice, "lake/tiny", "latest", DIGEST);
        vm.startPrank(bob);
        vm.expectPartialRevert(IModelRegistry.BaseUnknown.selector);
        models.publish("bob/agent", "v", IModelRegistry.Kind.Agent, CID, CID, "lake/tiny", CID);
        models.publish("bob/agent", "v", IModelRegistry.Kind.Agent, CID, CID, "lake/tiny", DIGEST);
        bytes32 other = keccak256("other");
        vm.expectPartialRevert(IModelRegistry.BaseUnknown.selector);
        models.publish("bob/agent", "v", IModelRegistry.Kind.Agent, other, CID, "bob/agent", CID);
        vm.stopPrank();
        IModelRegistry.Resolution memory got = models.resolve("bob/agent", "v", 0);
        equal(got.baseDigest, DIGEST, "base");
        IModelRegistry.Resolution memory base =
            models.resolveKey(got.baseNameKey, got.baseDigest, 0);
        equal(base.builder, alice, "base's Builder");
    }

    function test_tags_move_with_their_history() public {
        claimAs(alice, "lake/tiny");
        publishAs(alice, "lake/tiny", "latest", DIGEST);
        vm.warp(block.timestamp + 7);
        publishAs(alice, "lake/tiny", "latest", CID);
        vm.prank(alice);
        models.moveTag("lake/tiny", "latest", DIGEST);
        bytes32 key = models.nameKey("lake/tiny", 1);
        equal(models.tagMoveCount(key, "latest"), 3, "moves");
        equal(models.tagMoveAt(key, "latest", 1).version, 2, "second");
        equal(models.tagMoveAt(key, "latest", 1).movedAt, GENESIS + 7, "when");
        equal(models.resolve("lake/tiny", "latest", 0).manifestDigest, DIGEST, "newest counts");
        vm.prank(alice);
        vm.expectPartialRevert(IModelRegistry.VersionUnknown.selector);
        models.moveTag("lake/tiny", "latest", SALT);
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NotOwner.selector);
        models.moveTag("lake/tiny", "latest", DIGEST);
        vm.expectPartialRevert(IModelRegistry.TagUnknown.selector);
        models.resolve("lake/tiny", "nope", 0);
        vm.expectPartialRevert(IModelRegistry.VersionUnknown.selector);
        models.resolveDigest("lake/tiny", SALT, 0);
    }

    function test_a_price_counts_from_the_next_epoch(uint256 first, uint256 second) public {
        first = bound(first, 0, 1_000 * MOR);
        second = bound(second, 0, 1_000 * MOR);
        claimAs(alice, "lake/tiny");
        publishAs(alice, "lake/tiny", "latest", DIGEST);
        vm.prank(alice);
        models.setPrice("lake/tiny", first);
        equal(models.resolve("lake/tiny", "latest", 0).weiPerSecond, 0, "not yet");
        equal(models.resolve("lake/tiny", "latest", 1).weiPerSecond, first, "next epoch");
        vm.warp(block.timestamp + 3 * uint256(EPOCH));
        vm.prank(alice);
        models.setPrice("lake/tiny", second);
        bytes32 key = models.nameKey("lake/tiny", 1);
        equal(models.priceAt(key, 3), first, "still");
        equal(models.priceAt(key, 4), second, "then");
        vm.prank(alice);
        vm.expectPartialRevert(IModelRegistry.PriceTooHigh.selector);
        models.setPrice("lake/tiny", 1_000 * MOR + 1);
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NotOwner.selector);
        models.setPrice("lake/tiny", 1);
    }

    function test_ownership_moves_in_two_steps() public {
        claimAs(alice, "lake/tiny");
        publishAs(alice, "lake/tiny", "latest", DIGEST);
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NotOwner.selector);
        models.offerOwnership("lake/tiny", bob);
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NotOffered.selector);
        models.acceptOwnership("lake/tiny");
        vm.prank(alice);
        models.offerOwnership("lake/tiny", bob);
        equal(models.nameRecord("lake/tiny").owner, alice, "not yet");
        vm.prank(bob);
        models.acceptOwnership("lake/tiny");
        equal(models.resolve("lake/tiny", "latest", 0).builder, bob, "paid from now on");
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NotOffered.selector);
        models.acceptOwnership("lake/tiny");
    }

    function test_the_bond_returns_only_if_a_version_was_published(bool published) public {
        claimAs(alice, "lake/tiny");
        if (published) publishAs(alice, "lake/tiny", "latest", DIGEST);
        uint256 before = mor.balanceOf(alice);
        vm.prank(alice);
        models.release("lake/tiny");
        equal(mor.balanceOf(alice) - before, published ? 10 * MOR : 0, "returned");
        equal(compute.computePool(), published ? 0 : 10 * MOR, "or to the pool");
        equal(mor.balanceOf(address(models)), 0, "nothing stays");
        equal(models.nameRecord("lake/tiny").bond, 0, "no bond");
        vm.prank(alice);
        vm.expectPartialRevert(IModelRegistry.NotOwner.selector);
        models.release("lake/tiny");
    }

    function test_a_released_name_is_free_after_a_year_as_a_new_generation() public {
        claimAs(alice, "lake/tiny");
        publishAs(alice, "lake/tiny", "latest", DIGEST);
        vm.prank(alice);
        models.offerOwnership("lake/tiny", bob);
        vm.prank(alice);
        models.release("lake/tiny");
        vm.prank(bob);
        vm.expectPartialRevert(IModelRegistry.NotOffered.selector);
        models.acceptOwnership("lake/tiny");
        equal(models.resolve("lake/tiny", "latest", 0).builder, address(0), "nobody is paid");
        equal(models.resolve("lake/tiny", "latest", 0).weiPerSecond, 0, "nothing");
        vm.warp(block.timestamp + 365 days - 1);
        revertsClaim("lake/tiny", IModelRegistry.NameTaken.selector);
        vm.warp(block.timestamp + 1);
        vm.roll(block.number + 50_401);
        claimAs(alice, "lake/tiny");
        equal(models.nameRecord("lake/tiny").generation, 2, "generation");
        equal(models.nameRecord("lake/tiny").versionCount, 0, "empty");
        vm.expectPartialRevert(IModelRegistry.TagUnknown.selector);
        models.resolve("lake/tiny", "latest", 0);
        bytes32 old = models.nameKey("lake/tiny", 1);
        equal(models.resolveKey(old, DIGEST, 0).builder, address(0), "old stays nobody's");
        equal(models.resolveKey(old, DIGEST, 0).generation, 1, "old generation");
    }
}
