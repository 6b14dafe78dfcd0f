import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { LakeError } from "@lake-travis/protocol";
import { systemClock } from "@lake-travis/platform";
import { createEngineChild } from "./create-engine-child.ts";
import { measureSpeed } from "./measure-speed.ts";
import { OnnxEngine } from "./onnx-engine.ts";

const digits = fileURLToPath(new URL("../../../assets/models/digits.onnx", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "lake-onnx-"));
after(() => rmSync(folder, { recursive: true }));
const signal = new AbortController().signal;

/** Digits of five by seven dots, as the model was trained on, in pictures of eight by eight. */
const glyphs: Readonly<Record<string, string>> = {
  1: "00100 01100 00100 00100 00100 00100 01110",
  4: "00010 00110 01010 10010 11111 00010 00010",
  7: "11111 00001 00010 00100 01000 01000 01000",
};

function pictureOf(glyph: string): number[] {
  const rows = glyph.split(" ").map((row) => [0, ...Array.from(row, Number), 0, 0]);
  return [...rows, new Array<number>(8).fill(0)].flat();
}

test("the digits are read", async () => {
  const engine = new OnnxEngine({ modelPath: digits, slots: 1 });
  await engine.start();
  assert.deepEqual(engine.description.classifier?.inputShape, [1, 8, 8]);
  const input = Object.values(glyphs).map(pictureOf);
  const { labels, probabilities } = await engine.classify({ model: "m", input }, signal);
  const read = probabilities.map((row) => labels[row.indexOf(Math.max(...row))]);
  assert.deepEqual(read, Object.keys(glyphs));
  await engine.stop();
});

test("more inputs than fit into one batch are all answered, in their order", async () => {
  const engine = new OnnxEngine({ modelPath: digits, slots: 1 });
  await engine.start();
  const pictures = Object.values(glyphs).map(pictureOf);
  const input = Array.from({ length: 2_500 }, (_, index) => pictures[index % 3] ?? []);
  const { probabilities } = await engine.classify({ model: "m", input }, signal);
  assert.equal(probabilities.length, 2_500);
  const expected = Object.keys(glyphs).map(Number);
  probabilities.forEach((row, index) => {
    assert.equal(row.indexOf(Math.max(...row)), expected[index % 3]);
  });
  const left = new AbortController();
  const cut = engine.classify({ model: "m", input }, left.signal);
  left.abort(new LakeError("answer-interrupted", "The reader has left."));
  await assert.rejects(cut, /has left/);
  await engine.stop();
});

test("labels lie beside the model, a line each or as Hugging Face writes them", async () => {
  const modelPath = join(folder, "digits.onnx");
  copyFileSync(digits, modelPath);
  const labels = async (): Promise<readonly string[] | undefined> => {
    const engine = new OnnxEngine({ modelPath, slots: 1 });
    await engine.start();
    const found = engine.description.classifier?.labels;
    await engine.stop();
    return found;
  };
  assert.deepEqual((await labels())?.slice(0, 3), ["0", "1", "2"]);
  writeFileSync(join(folder, "config.json"), '{"id2label": {"1": "one", "x": "no"}}');
  assert.deepEqual((await labels())?.slice(0, 3), ["0", "one", "2"]);
  writeFileSync(join(folder, "labels.txt"), "zero\none\r\ntwo\n");
  assert.deepEqual((await labels())?.slice(0, 4), ["zero", "one", "two", "3"]);
});

test("a file that is no model is refused, in a child process too", async () => {
  const modelPath = join(folder, "broken.onnx");
  writeFileSync(modelPath, "nothing of the kind");
  for (const engine of [
    new OnnxEngine({ modelPath, slots: 1 }),
    createEngineChild({ modelPath, slots: 1 }, systemClock),
  ]) {
    await assert.rejects(
      engine.start(),
      (error) => error instanceof LakeError && error.code === "engine-failed",
    );
    await engine.stop();
  }
  const stranger = { modelPath: join(folder, "weights.bin"), slots: 1 };
  assert.throws(() => createEngineChild(stranger, systemClock), /No engine here reads/);
  const named = { ...stranger, package: { name: "../evil", folder } };
  assert.throws(() => createEngineChild(named, systemClock), /no npm package's name/);
});

test("its speed is measured in inferences per second", async () => {
  const engine = createEngineChild({ modelPath: digits, slots: 2 }, systemClock);
  await engine.start();
  const speed = await measureSpeed(engine, systemClock);
  assert.ok(speed.milliTpsFull > 50_000, `${speed.milliTpsFull}`);
  assert.ok(speed.milliTpsFull <= speed.milliTpsAlone);
  await engine.stop();
});
