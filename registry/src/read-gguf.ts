import type { FileHandle } from "node:fs/promises";
import { LakeError } from "@lake-travis/protocol";

/** What the header of a GGUF file says. */
export interface GgufFacts {
  readonly architecture: string;
  readonly name: string | undefined;
  readonly licence: string | undefined;
  readonly description: string | undefined;
  readonly parameters: number;
  readonly quantisation: string | undefined;
  readonly contextLength: number | undefined;
  readonly tokenizer: string | undefined;
  /** Bytes of key-value cache for one token of context. */
  readonly cacheBytesPerToken: number;
}

/** Vocabularies of 256,000 tokens with merges take 20 MiB; more than this is no header. */
const headerBytesMax = 128 * 1024 * 1024;
const firstReadBytes = 1024 * 1024;
/** Known models have below 100 keys and below 10,000 tensors. */
const keysMax = 65_536;
const tensorsMax = 1_000_000;

// Names of `general.file_type` in ggml's llama_ftype; gaps are retired types.
const fileTypes: Readonly<Record<number, string>> = {
  0: "F32",
  1: "F16",
  2: "Q4_0",
  3: "Q4_1",
  7: "Q8_0",
  8: "Q5_0",
  9: "Q5_1",
  10: "Q2_K",
  11: "Q3_K_S",
  12: "Q3_K_M",
  13: "Q3_K_L",
  14: "Q4_K_S",
  15: "Q4_K_M",
  16: "Q5_K_S",
  17: "Q5_K_M",
  18: "Q6_K",
  19: "IQ2_XXS",
  20: "IQ2_XS",
  21: "Q2_K_S",
  22: "IQ3_XS",
  23: "IQ3_XXS",
  24: "IQ1_S",
  25: "IQ4_NL",
  26: "IQ3_S",
  27: "IQ3_M",
  28: "IQ2_S",
  29: "IQ2_M",
  30: "IQ4_XS",
  31: "IQ1_M",
  32: "BF16",
  36: "TQ1_0",
  37: "TQ2_0",
  38: "MXFP4_MOE",
};

/** Reads the header of a GGUF file; throws `format-refused` where it is malformed. */
export async function readGguf(handle: FileHandle): Promise<GgufFacts> {
  for (let bytes = firstReadBytes; ; bytes *= 4) {
    const buffer = Buffer.allocUnsafe(Math.min(bytes, headerBytesMax));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    try {
      return readHeader(new Cursor(buffer.subarray(0, bytesRead)));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      // The header goes on behind what was read: read more, unless that was all.
      if (bytesRead < buffer.length || bytes >= headerBytesMax) throw malformed("is cut off");
    }
  }
}

function readHeader(cursor: Cursor): GgufFacts {
  if (cursor.text(4) !== "GGUF") throw malformed("does not begin with GGUF");
  const version = cursor.u32();
  if (version !== 2 && version !== 3) throw malformed(`has the unknown version ${version}`);
  const tensors = cursor.u64();
  const keys = cursor.u64();
  if (keys > keysMax || tensors > tensorsMax) throw malformed("has an absurd number of entries");
  const values = new Map<string, string | number | undefined>();
  for (let at = 0; at < keys; at += 1) values.set(cursor.string(), cursor.value(cursor.u32()));
  let parameters = 0;
  for (let at = 0; at < tensors; at += 1) parameters += cursor.tensor();
  return factsOf(values, parameters);
}

function factsOf(values: Map<string, string | number | undefined>, parameters: number): GgufFacts {
  const text = (key: string): string | undefined => {
    const value = values.get(key);
    return typeof value === "string" && value !== "" ? value.slice(0, 1000) : undefined;
  };
  const number = (key: string): number | undefined => {
    const value = values.get(key);
    return typeof value === "number" ? value : undefined;
  };
  const architecture = text("general.architecture");
  if (architecture === undefined) throw malformed("names no architecture");
  const heads = number(`${architecture}.attention.head_count`) ?? 0;
  const width = number(`${architecture}.embedding_length`) ?? 0;
  const cacheHeads = number(`${architecture}.attention.head_count_kv`) ?? heads;
  const layers = number(`${architecture}.block_count`) ?? 0;
  // Keys and values, two bytes each (F16), for each layer and cached head.
  const cacheBytesPerToken = heads === 0 ? 0 : (4 * layers * cacheHeads * width) / heads;
  return {
    architecture,
    name: text("general.name"),
    licence: text("general.license"),
    description: text("general.description"),
    parameters,
    quantisation: fileTypes[number("general.file_type") ?? -1],
    contextLength: number(`${architecture}.context_length`),
    tokenizer: text("tokenizer.ggml.model"),
    cacheBytesPerToken,
  };
}

/** Reads little-endian values; running off the end is a RangeError. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  u64(): number {
    const value = this.#bytes.readBigUInt64LE(this.#take(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed("has an absurd number");
    return Number(value);
  }

  text(length: number): string {
    const at = this.#take(length);
    return this.#bytes.toString("utf8", at, at + length);
  }

  string(): string {
    return this.text(this.u64());
  }

  /** A metadata value of this type; arrays are skipped, for only their neighbours are used. */
  value(type: number): string | number | undefined {
    const width = scalarBytes[type];
    if (type === 8) return this.string();
    if (type === 9) {
      this.#skipArray();
      return undefined;
    }
    if (width === undefined) throw malformed(`has the unknown value type ${type}`);
    const at = this.#take(width);
    if (type === 6) return this.#bytes.readFloatLE(at);
    if (type === 12) return this.#bytes.readDoubleLE(at);
    if (type === 10) return Number(this.#bytes.readBigUInt64LE(at));
    if (type === 11) return Number(this.#bytes.readBigInt64LE(at));
    const isSigned = type === 1 || type === 3 || type === 5;
    return isSigned ? this.#bytes.readIntLE(at, width) : this.#bytes.readUIntLE(at, width);
  }

  /** Passes a tensor's entry and returns how many elements it has. */
  tensor(): number {
    this.string();
    const dimensions = this.u32();
    if (dimensions > 8) throw malformed("has a tensor of absurd shape");
    let elements = 1;
    for (let at = 0; at < dimensions; at += 1) elements *= this.u64();
    this.#take(4 + 8);
    return elements;
  }

  #skipArray(): void {
    const type = this.u32();
    const count = this.u64();
    const width = scalarBytes[type];
    if (width !== undefined) this.#take(count * width);
    else if (type === 8) for (let at = 0; at < count; at += 1) this.#take(this.u64());
    else throw malformed("has nested arrays");
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw new RangeError("beyond what was read");
    this.#at = at + length;
    return at;
  }
}

// Bytes of each scalar type by its number: u8, i8, u16, i16, u32, i32, f32, bool, u64, i64, f64.
const scalarBytes: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};

function malformed(what: string): LakeError {
  return new LakeError("format-refused", `The GGUF file ${what}.`, {
    advice: "Check that the download was complete.",
  });
}
