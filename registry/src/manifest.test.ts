import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CID } from "multiformats/cid";
import { create as createMultihash } from "multiformats/hashes/digest";
import { contentId, sha256 } from "./content-id.ts";
import { limits } from "./limits.ts";
import { buildManifest, checkFilePath, parseManifest, refuseExecutable } from "./manifest.ts";
import type { Layer, ModelFacts } from "./manifest.ts";

const root = contentId("raw", sha256(Buffer.from("x")));
const layer: Layer = {
  role: "weight",
  path: "model.gguf",
  bytes: 1,
  digest: `0x${"11".repeat(32)}`,
  root,
};
const facts: ModelFacts = {
  kind: "model",
  task: "text-generation",
  format: "gguf",
  needs: { engine: "llama.cpp", ramBytes: 1, vramBytes: 0, instructionSets: ["avx2"] },
};

test("every manifest reads back as it was written, with the same digest each time", () => {
  const text = fc.string({ minLength: 1, maxLength: 50, unit: "grapheme" });
  const factsOf = fc.record(
    {
      kind: fc.constantFrom("model" as const, "agent" as const),
      task: fc.constantFrom(
        "text-generation" as const,
        "classification" as const,
        "agent" as const,
      ),
      format: text,
      architecture: text,
      parameters: fc.nat(),
      quantisation: text,
      contextLength: fc.nat(),
      licence: text,
      title: text,
      description: text,
      needs: fc.constant(facts.needs),
    },
    { requiredKeys: ["kind", "task", "format", "needs"] },
  );
  fc.assert(
    fc.property(factsOf, (given) => {
      const written = buildManifest(given, [layer]);
      assert.deepEqual(written.facts, { ...given });
      const read = parseManifest(written.bytes);
      assert.deepEqual([read.digest, read.facts], [written.digest, written.facts]);
      assert.equal(buildManifest(given as ModelFacts, [layer]).digest, written.digest);
    }),
  );
});

test("file paths that could write elsewhere or deceive the eye are refused", () => {
  const refused = [
    ...["", "/etc/passwd", "../up", "a/../../up", "a/..", ".", "..", "a//b", "a/", "./a"],
    ...["C:\\x", "a\\b", "\\\\host\\share", "a:b", "con", "NUL.txt", "aux.gguf", "lpt1"],
    ...[".hidden", "a/.git/config", "-rf", "name.", "a b", "a\nb", "a\u0000b", "\u001b[2Jx"],
    // Cyrillic a, full-width letters, a combining accent, right-to-left override, zero-width.
    ...["m\u043edel.gguf", "\uff4dodel", "e\u0301.gguf", "x\u202efugg.exe", "mo\u200bdel"],
    ...["~/x", "$HOME", "a%2f..%2fb", "a".repeat(300), "a/b/c/d/e/f/g/h/i"],
  ];
  for (const path of refused) {
    assert.throws(() => checkFilePath(path), { code: "manifest-invalid" }, JSON.stringify(path));
  }
  for (const path of [
    "model.gguf",
    "a/b-1_2.Q4_K_M.gguf",
    "model-00001-of-00003.gguf",
    "LICENSE",
  ]) {
    assert.equal(checkFilePath(path), path);
  }
});

test("no path of any kind passes that leaves its folder", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (path) => {
      let passed = true;
      try {
        checkFilePath(path);
      } catch {
        passed = false;
      }
      const { pathname } = new URL(`file:///store/${passed ? path : ""}`);
      assert.ok(pathname.startsWith("/store/") && (!passed || !pathname.includes("..")));
    }),
    { numRuns: 500 },
  );
});

test("formats that can carry code are refused by name", () => {
  for (const path of [
    "a.pkl",
    "pytorch_model.bin",
    "x.PT",
    "m.ckpt",
    "w.h5",
    "a.npz",
    "s.joblib",
  ]) {
    assert.throws(() => refuseExecutable(path), { code: "format-refused" }, path);
  }
  refuseExecutable("model.safetensors");
});

test("manifests made to deceive or exhaust are refused with their reason", () => {
  const good = JSON.parse(Buffer.from(buildManifest(facts, [layer]).bytes).toString()) as Json;
  const [first] = good["layers"] as Json[];
  const with_ = (change: Json): Json => ({ ...good, layers: [{ ...first, ...change }] });
  const named = (path: string): Json => ({ ...first, annotations: { ...cid, [pathKey]: path } });
  const cid = { "network.laketravis.cid": root.toString() };
  const pathKey = "org.cncf.model.filepath";
  const refused: [string, unknown, RegExp][] = [
    ["no JSON", undefined, /not JSON/],
    ["an array", [], /not an object/],
    ["null", null, /not an object/],
    ["other version", { ...good, schemaVersion: 1 }, /schemaVersion/],
    ["other artifact", { ...good, artifactType: "x" }, /artifactType/],
    ["no layers", { ...good, layers: [] }, /no layers/],
    ["many layers", { ...good, layers: Array(limits.layersMax + 1).fill(first) }, /layers/],
    ["negative size", with_({ size: -1 }), /no size/],
    ["fractional size", with_({ size: 0.5 }), /no size/],
    ["absurd size", with_({ size: Number.MAX_SAFE_INTEGER }), /bytes/],
    ["size as text", with_({ size: "1" }), /no size/],
    ["md5", with_({ digest: "md5:abc" }), /SHA-256/],
    ["no CID", with_({ annotations: { [pathKey]: "a" } }), /no CID/],
    ["unknown codec", with_({ annotations: { ...cbor, [pathKey]: "a" } }), /unknown codec/],
    ["other hash", with_({ annotations: { ...sha512, [pathKey]: "a" } }), /not a SHA-256/],
    ["traversal", with_(named("../../etc/cron.d/x")), /plain relative/],
    ["look-alike", with_(named("m\u043edel.gguf")), /plain relative/],
    ["pickle", with_(named("model.pkl")), /pickle/],
    ["archive", with_({ mediaType: "application/vnd.cncf.model.weight.v1.tar+gzip" }), /archive/],
    ["unknown type", with_({ mediaType: "text/html" }), /unknown media type/],
    ["same path", { ...good, layers: [named("A.gguf"), named("a.gguf")] }, /one file path/],
    ["file as folder", { ...good, layers: [named("a"), named("a/b")] }, /file and a folder/],
    ["config swapped", { ...good, config: { ...(good["config"] as Json), size: 1 } }, /config/],
    ["kind", { ...good, annotations: {} }, /kind/],
    ["long annotation", { ...good, annotations: { a: "x".repeat(20_000) } }, /short text/],
  ];
  for (const [name, document, reason] of refused) {
    const bytes = Buffer.from(document === undefined ? "{" : JSON.stringify(document));
    assert.throws(() => parseManifest(bytes), { message: reason }, name);
  }
  assert.throws(() => parseManifest(new Uint8Array(2 * 1024 * 1024)), { message: /1 MiB/ });
  assert.throws(() => parseManifest(Buffer.from([0xff, 0xfe])), { message: /not JSON/ });
});

type Json = Record<string, unknown>;
const cbor = {
  "network.laketravis.cid": "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
};
const sha512 = {
  "network.laketravis.cid": CID.createV1(
    0x55,
    createMultihash(0x13, new Uint8Array(64)),
  ).toString(),
};
