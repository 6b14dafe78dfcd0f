import assert from "node:assert/strict";
import { createCipheriv, createHash } from "node:crypto";
import { test } from "node:test";
import { encode, prepare } from "@ipld/dag-pb";
import { UnixFS } from "ipfs-unixfs";
import fc from "fast-check";
import { contentId, sha256 } from "./content-id.ts";
import { layOutFile, readFileNode } from "./file-dag.ts";

const mib = 1024 * 1024;

// The expected CIDs are Kubo's own (test/cli/cid_profiles_test.go, unixfs-v1-2025); its random
// bytes are the ChaCha20 stream with the seed's SHA-256 as key and a zero nonce.
test("CIDs are those that Kubo gives with the profile unixfs-v1-2025", () => {
  const hello = Buffer.from("hello world");
  const small = layOutFile([{ digest: sha256(hello), length: hello.length }]);
  assert.equal(
    small.root.toString(),
    "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
  );

  const key = createHash("sha256").update("v1-2025-seed").digest();
  const cipher = createCipheriv("chacha20", key, Buffer.alloc(16));
  const zeros = Buffer.alloc(mib);
  const leaves = Array.from({ length: 1025 }, () => ({
    digest: sha256(cipher.update(zeros)),
    length: mib,
  }));
  const atLimit = layOutFile(leaves.slice(0, 1024));
  assert.equal(
    atLimit.root.toString(),
    "bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm",
  );
  const over = layOutFile(leaves);
  assert.equal(over.root.toString(), "bafybeihmzokxxjqwxjcryerhp5ezpcog2wcawfryb2xm64xiakgm4a5jue");
  assert.equal(over.nodes.length, 3);
});

test("the empty file is one empty leaf", () => {
  const { root } = layOutFile([{ digest: sha256(new Uint8Array()), length: 0 }]);
  assert.equal(root.toString(), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
});

test("every layout reads back to its leaves", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 3000 }),
      fc.integer({ min: 1, max: 9 }),
      (count, last) => {
        const leaves = Array.from({ length: count }, (_, at) => ({
          digest: sha256(Buffer.from(String(at))),
          length: at === count - 1 ? last : 7,
        }));
        const { root, nodes } = layOutFile(leaves);
        const byDigest = new Map(
          nodes.map((node) => [Buffer.from(node.digest).toString("hex"), node]),
        );
        const length = 7 * (count - 1) + last;
        let level = [{ cid: root, length }];
        while (level.some(({ cid }) => cid.code === 0x70)) {
          level = level.flatMap((part) => {
            const node = byDigest.get(Buffer.from(part.cid.multihash.digest).toString("hex"));
            assert.ok(node);
            return [...readFileNode(node.bytes, part.length)];
          });
        }
        assert.deepEqual(
          level.map(({ cid, length: bytes }) => [cid.toString(), bytes]),
          leaves.map((leaf) => [contentId("raw", leaf.digest).toString(), leaf.length]),
        );
      },
    ),
    { numRuns: 20 },
  );
});

const leaf = contentId("raw", sha256(Buffer.from("leaf")));

type FileType = "file" | "directory" | "symlink";

function node(type: FileType, sizes: readonly number[], links = sizes.length, data?: Uint8Array) {
  const file = new UnixFS({
    type,
    blockSizes: sizes.map(BigInt),
    ...(data === undefined ? {} : { data }),
  });
  const Links = Array.from({ length: links }, () => ({ Name: "", Tsize: 1, Hash: leaf }));
  return encode(prepare({ Data: file.marshal(), Links }));
}

test("nodes made to deceive are refused", () => {
  const refused: [string, Uint8Array, number, RegExp][] = [
    ["directory", node("directory", []), 0, /directory/],
    ["symlink", node("symlink", [], 0, Buffer.from("/etc/passwd")), 11, /symlink/],
    ["inline data", node("file", [], 0, Buffer.from("hello")), 5, /raw leaves/],
    ["fewer sizes than links", node("file", [5], 2), 5, /one size for each link/],
    ["empty parts", node("file", [5, 0, 5]), 10, /empty part/],
    ["wrong sum", node("file", [5, 5]), 11, /10 bytes where 11/],
    ["leaf beyond the block limit", node("file", [3 * mib]), 3 * mib, /larger than a block/],
    ["no links", node("file", []), 0, /one size/],
    ["not protobuf", Buffer.from("GGUF is no dag-pb"), 5, /no UnixFS node/],
    ["empty bytes", new Uint8Array(), 5, /no UnixFS node|one size|raw leaves/],
  ];
  for (const [name, bytes, length, reason] of refused) {
    assert.throws(
      () => readFileNode(bytes, length),
      { code: "block-invalid", message: reason },
      name,
    );
  }
});
