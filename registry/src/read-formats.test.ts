import assert from "node:assert/strict";
import { mkdir, open, symlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { FileHandle } from "node:fs/promises";
import fc from "fast-check";
import { ggufOf, ScratchNetwork } from "../test/scratch-network.ts";
import { describeModel } from "./describe-model.ts";
import { listFiles } from "./list-files.ts";
import { readGguf } from "./read-gguf.ts";
import { readOnnx } from "./read-onnx.ts";
import { readSafetensors } from "./read-safetensors.ts";

const tiny = fileURLToPath(
  new URL("../../assets/models/lake-travis-tiny-q8_0.gguf", import.meta.url),
);

test("the tiny model says what it is", async () => {
  const facts = await describeModel(await listFiles(tiny), { kind: "model" });
  assert.equal(facts.architecture, "llama");
  assert.equal(facts.quantisation, "Q8_0");
  assert.equal(facts.contextLength, 512);
  assert.equal(facts.parameters, 2_484_288);
  assert.equal(facts.licence, "mit");
  assert.equal(facts.needs.engine, "llama.cpp");
});

test("a safetensors folder says what it is", async (context) => {
  const network = await ScratchNetwork.open(context);
  await network.file(
    "model.safetensors",
    safetensorsOf({ w: tensor("BF16", [2, 3], [0, 12]) }, 12),
  );
  const config = { model_type: "qwen2", max_position_embeddings: 32768 };
  await network.file("config.json", Buffer.from(JSON.stringify(config)));
  const facts = await describeModel(await listFiles(network.folder), { kind: "model" });
  assert.equal(facts.format, "safetensors");
  assert.equal(facts.architecture, "qwen2");
  assert.deepEqual([facts.parameters, facts.quantisation, facts.contextLength], [6, "BF16", 32768]);
});

test("malformed files are refused, never crashed on", async (context) => {
  const network = await ScratchNetwork.open(context);
  const good = ggufOf(Buffer.alloc(8));
  const huge = Buffer.from(good);
  huge.writeBigUInt64LE(2n ** 62n, 16);
  const refused: [(handle: FileHandle) => Promise<unknown>, Buffer][] = [
    [readGguf, Buffer.from("PK\u0003\u0004 a zip")],
    [readGguf, Buffer.alloc(0)],
    [readGguf, good.subarray(0, 40)],
    [readGguf, huge],
    [readSafetensors, Buffer.alloc(4)],
    [readSafetensors, Buffer.from("ffffffffffffff7f00", "hex")],
    [readSafetensors, safetensorsOf({ w: tensor("F32", [1], [0, 400]) }, 4)],
    [readSafetensors, safetensorsOf({ w: tensor("F32", [-1], [0, 4]) }, 4)],
    [readSafetensors, safetensorsOf({ w: null }, 4)],
    [readOnnx, Buffer.alloc(0)],
    [readOnnx, Buffer.from("ffffffffffffffffffffff", "hex")],
    [readOnnx, Buffer.from("3affffff0f00", "hex")],
    [readOnnx, onnxWithExternal("../../etc/passwd")],
  ];
  for (const [read, bytes] of refused) {
    await assert.rejects(readBytes(network, read, bytes), (error: { code?: string }) =>
      ["format-refused", "manifest-invalid"].includes(error.code ?? ""),
    );
  }
  const facts = await readBytes(network, readOnnx, onnxWithExternal("weights.data"));
  assert.deepEqual((facts as { externalFiles: string[] }).externalFiles, ["weights.data"]);
});

test("arbitrary bytes behind a right beginning end in a refusal or in facts", async (context) => {
  const network = await ScratchNetwork.open(context);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(2), async (tail, which) => {
      const heads = [Buffer.from("GGUF\u0003\0\0\0"), Buffer.alloc(0), Buffer.from([0x3a])];
      const read = [readGguf, readSafetensors, readOnnx][which] ?? readGguf;
      const bytes = Buffer.concat([heads[which] ?? Buffer.alloc(0), tail]);
      await readBytes(network, read, bytes).catch((error: unknown) => {
        const { code = "" } = error as { code?: string };
        assert.ok(["format-refused", "manifest-invalid"].includes(code), String(error));
      });
    }),
    { numRuns: 300 },
  );
});

test("folders with links, devices or pickles are not published", async (context) => {
  const network = await ScratchNetwork.open(context);
  const folder = join(network.folder, "model");
  await mkdir(folder);
  await symlink("/etc/passwd", join(folder, "vocab.txt"));
  await assert.rejects(listFiles(folder), { code: "format-refused", message: /symbolic link/ });
  await assert.rejects(listFiles(join(folder, "vocab.txt")), { code: "format-refused" });
  await assert.rejects(listFiles("/dev/null"), { code: "format-refused" });
  await assert.rejects(listFiles(await network.file("model.pt", 10)), { message: /pickle/ });
  await assert.rejects(listFiles(join(network.folder, "absent")), { code: "folder-unusable" });
});

async function readBytes(
  network: ScratchNetwork,
  read: (handle: FileHandle) => Promise<unknown>,
  bytes: Buffer,
): Promise<unknown> {
  const handle = await open(await network.file("bytes", bytes), "r");
  try {
    return await read(handle);
  } finally {
    await handle.close();
  }
}

function tensor(dtype: string, shape: number[], offsets: number[]): object {
  return { dtype, shape, data_offsets: offsets };
}

function safetensorsOf(header: object, dataBytes: number): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

function onnxWithExternal(location: string): Buffer {
  const field = (number: number, content: Buffer): Buffer =>
    Buffer.concat([Buffer.from([number * 8 + 2, content.length]), content]);
  const entry = Buffer.concat([field(1, Buffer.from("location")), field(2, Buffer.from(location))]);
  const initializer = Buffer.concat([Buffer.from([8, 2]), field(13, entry)]);
  return field(7, field(5, initializer));
}
