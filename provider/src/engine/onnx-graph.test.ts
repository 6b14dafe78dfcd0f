import assert from "node:assert/strict";
import { test } from "node:test";
import { describeGraph, isProbabilities, probabilitiesOf, tensorData } from "./onnx-graph.ts";

type Metadata = Parameters<typeof describeGraph>[0]["inputMetadata"][number];

function tensor(name: string, type: string, shape: readonly (number | string)[]): Metadata {
  return { name, isTensor: true, type, shape } as Metadata;
}

const image = tensor("image", "float32", ["n", 3, 4]);
const probs = tensor("probs", "float32", ["n", 10]);
const label = tensor("label", "int64", ["n"]);
const opaque = { name: "map", isTensor: false } as Metadata;

test("a classifier is found in its graph", () => {
  const graph = describeGraph({ inputMetadata: [image], outputMetadata: [label, probs] });
  assert.deepEqual(graph, {
    inputName: "image",
    inputType: "float32",
    inputShape: [3, 4],
    inputLength: 12,
    isBatched: true,
    outputName: "probs",
  });
  const single = tensor("row", "int64", [1, 5]);
  const logits = tensor("out", "float32", [1, 2]);
  assert.equal(
    describeGraph({ inputMetadata: [single], outputMetadata: [logits] }).isBatched,
    false,
  );
});

test("what is no classifier is named", () => {
  const check = (inputs: Metadata[], outputs: Metadata[], expected: RegExp): void => {
    assert.throws(
      () => describeGraph({ inputMetadata: inputs, outputMetadata: outputs }),
      expected,
    );
  };
  check([], [probs], /more inputs than the one/);
  check([image, image], [probs], /more inputs than the one/);
  check([opaque], [probs], /more inputs than the one/);
  check([tensor("t", "string", ["n", 3])], [probs], /reads string/);
  check([tensor("i", "float32", ["n", "h", "w"])], [probs], /how large one input is/);
  check([tensor("i", "float32", ["n", 0])], [probs], /how large one input is/);
  check([tensor("i", "float32", ["n"])], [probs], /how large one input is/);
  check([tensor("i", "float32", ["n", 1_000, 1_000])], [probs], /how large one input is/);
  check([tensor("i", "float32", [8, 3])], [probs], /batches of a fixed size/);
  check([image], [label], /no output of one figure for each class/);
  check([image], [opaque], /no output of one figure for each class/);
});

test("outputs become distributions", () => {
  assert.equal(isProbabilities([0.25, 0.75]), true);
  assert.equal(isProbabilities([0.25, 0.7]), false);
  assert.equal(isProbabilities([-1, 2]), false);
  assert.deepEqual(probabilitiesOf([0.25, 0.75], true), [0.25, 0.75]);
  assert.deepEqual(probabilitiesOf([0.75], true), [0.25, 0.75]);
  assert.deepEqual(probabilitiesOf([0], false), [0.5, 0.5]);
  assert.deepEqual(probabilitiesOf([1_000, 1_000], false), [0.5, 0.5]);
});

test("numbers arrive in the type that the graph reads", () => {
  assert.deepEqual(tensorData("float32", [[1.5], [2]]), Float32Array.of(1.5, 2));
  assert.deepEqual(tensorData("float64", [[0.1]]), Float64Array.of(0.1));
  assert.deepEqual(tensorData("uint8", [[255, 1]]), Uint8Array.of(255, 1));
  assert.deepEqual(tensorData("int32", [[-3]]), Int32Array.of(-3));
  assert.deepEqual(tensorData("int64", [[7.9]]), BigInt64Array.of(7n));
});
