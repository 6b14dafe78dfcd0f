import type { InferenceSession } from "onnxruntime-web";
import { LakeError } from "@lake-travis/protocol";

/** The input and the output of an ONNX graph that make it a classifier. */
export interface OnnxGraph {
  readonly inputName: string;
  readonly inputType: InputType;
  /** Sizes of one input, without the batch. */
  readonly inputShape: readonly number[];
  /** Their product. */
  readonly inputLength: number;
  /** Several inputs may go into one run. */
  readonly isBatched: boolean;
  readonly outputName: string;
}

const inputTypes = ["float32", "float64", "uint8", "int32", "int64"] as const;
type InputType = (typeof inputTypes)[number];

/** Larger inputs than any request may carry. */
const inputLengthMax = 786_432;

/** Finds the classifier in a session's graph; throws `engine-failed` naming what does not fit. */
export function describeGraph(
  session: Pick<InferenceSession, "inputMetadata" | "outputMetadata">,
): OnnxGraph {
  const [input, second] = session.inputMetadata;
  if (input?.isTensor !== true || second !== undefined) {
    throw misfit("has more inputs than the one tensor that a classifier reads");
  }
  const inputType = inputTypes.find((type) => type === input.type);
  if (inputType === undefined) throw misfit(`reads ${input.type}, which is no plain number`);
  const [batch, ...sizes] = input.shape;
  const inputShape = sizes.filter((size): size is number => typeof size === "number" && size > 0);
  const inputLength = inputShape.reduce((product, size) => product * size, 1);
  const isFixed = inputShape.length === sizes.length && sizes.length > 0;
  if (!isFixed || inputLength > inputLengthMax) {
    throw misfit("does not say how large one input is");
  }
  if (typeof batch === "number" && batch > 1) throw misfit("reads only batches of a fixed size");
  return {
    inputName: input.name,
    inputType,
    inputShape,
    inputLength,
    isBatched: batch !== 1,
    outputName: outputOf(session),
  };
}

/** The rows one behind the other, in the numbers that the graph reads. */
export function tensorData(
  type: InputType,
  rows: readonly (readonly number[])[],
): Float32Array | Float64Array | Uint8Array | Int32Array | BigInt64Array {
  const flat = rows.flat();
  if (type === "float32") return Float32Array.from(flat);
  if (type === "float64") return Float64Array.from(flat);
  if (type === "uint8") return Uint8Array.from(flat);
  if (type === "int32") return Int32Array.from(flat);
  return BigInt64Array.from(flat, (value) => BigInt(Math.trunc(value)));
}

/** Whether one row of an output is a distribution already. */
export function isProbabilities(row: readonly number[]): boolean {
  const within = row.every((value) => value >= 0 && value <= 1);
  if (row.length === 1) return within;
  return within && Math.abs(row.reduce((sum, value) => sum + value, 0) - 1) < 1e-3;
}

/** One row of an output as a distribution; a single figure is that of the second of two classes. */
export function probabilitiesOf(row: readonly number[], isDistribution: boolean): number[] {
  const [only = 0, ...others] = row;
  if (others.length === 0) {
    const second = isDistribution ? only : 1 / (1 + Math.exp(-only));
    return [1 - second, second];
  }
  if (isDistribution) return [...row];
  // Less the largest, so that no exponential overflows.
  const largest = row.reduce((a, b) => Math.max(a, b));
  const powers = row.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

// scikit-learn's exporter writes the label beside the probabilities; the latter are wanted.
function outputOf(session: Pick<InferenceSession, "outputMetadata">): string {
  const floats = session.outputMetadata.filter(
    (output) => output.isTensor && /^float(32|64)$/.test(output.type) && output.shape.length === 2,
  );
  const found = floats.find(({ name }) => /prob/i.test(name)) ?? floats[0];
  if (found === undefined) throw misfit("has no output of one figure for each class");
  return found.name;
}

function misfit(what: string): LakeError {
  return new LakeError("engine-failed", `This ONNX model ${what}.`, {
    advice: "Export it with one input [n, sizes] and one output [n, classes].",
  });
}
