import type { FileHandle } from "node:fs/promises";
import { LakeError } from "@lake-travis/protocol";

/** What the header of a safetensors file says. */
export interface SafetensorsFacts {
  readonly parameters: number;
  /** The type that most parameters have, such as `BF16`. */
  readonly precision: string | undefined;
}

/** The format's own limit of its header. */
const headerBytesMax = 100_000_000;
const tensorsMax = 1_000_000;

/** Reads the header of a safetensors file; throws `format-refused` where it is malformed. */
export async function readSafetensors(handle: FileHandle): Promise<SafetensorsFacts> {
  const prefix = Buffer.alloc(8);
  const { bytesRead } = await handle.read(prefix, 0, 8, 0);
  const length = prefix.readBigUInt64LE();
  const { size } = await handle.stat();
  if (bytesRead < 8 || length > BigInt(headerBytesMax) || Number(length) + 8 > size) {
    throw malformed("has no header");
  }
  const header = Buffer.alloc(Number(length));
  await handle.read(header, 0, header.length, 8);
  const entries = Object.entries(parse(header)).filter(([name]) => name !== "__metadata__");
  if (entries.length > tensorsMax) throw malformed("has an absurd number of tensors");
  let parameters = 0;
  const byType = new Map<string, number>();
  for (const [, tensor] of entries) {
    const { dtype, count } = readTensor(tensor, size - 8 - header.length);
    parameters += count;
    byType.set(dtype, (byType.get(dtype) ?? 0) + count);
  }
  const [most] = [...byType].sort(([, one], [, other]) => other - one);
  return { parameters, precision: most?.[0] };
}

function readTensor(value: unknown, dataBytes: number): { dtype: string; count: number } {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  const isRight =
    typeof dtype === "string" &&
    /^[A-Z0-9_]{1,16}$/.test(dtype) &&
    isSizes(shape) &&
    isSizes(offsets) &&
    offsets.length === 2 &&
    (offsets[0] ?? 0) <= (offsets[1] ?? 0) &&
    (offsets[1] ?? 0) <= dataBytes;
  if (!isRight) throw malformed("has a malformed tensor");
  return { dtype, count: shape.reduce((product, size) => product * size, 1) };
}

function isSizes(value: unknown): value is number[] {
  return (
    Array.isArray(value) &&
    value.length <= 16 &&
    value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0)
  );
}

function parse(header: Buffer): object {
  try {
    const value: unknown = JSON.parse(header.toString("utf8"));
    if (typeof value === "object" && value !== null) return value;
  } catch (cause) {
    throw malformed("has a header that is not JSON", cause);
  }
  throw malformed("has a header that is no object");
}

function malformed(what: string, cause?: unknown): LakeError {
  return new LakeError("format-refused", `The safetensors file ${what}.`, { cause });
}
