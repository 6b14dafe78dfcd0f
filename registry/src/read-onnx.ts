import type { FileHandle } from "node:fs/promises";
import { LakeError } from "@lake-travis/protocol";
import { checkFilePath } from "./manifest.ts";

/** What an ONNX file says. */
export interface OnnxFacts {
  readonly graphName: string | undefined;
  readonly producer: string | undefined;
  readonly parameters: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Files with weights that lie beside it; each is a safe relative path. */
  readonly externalFiles: readonly string[];
}

// Field numbers of onnx.proto (github.com/onnx/onnx), as far as they are read.
const model = { producer: 2, graph: 7 } as const;
const graph = { name: 2, initializer: 5, input: 11, output: 12 } as const;
const tensor = { dimension: 1, externalData: 13 } as const;

/** Small parts are read whole; a graph's weights are passed over without reading them. */
const partBytesMax = 1024 * 1024;
const fieldsMax = 2_000_000;
const windowBytes = 64 * 1024;

interface Field {
  readonly number: number;
  readonly wire: number;
  /** For a varint its value; otherwise the length. */
  readonly value: number;
  /** Where the content of a length-delimited field begins. */
  readonly at: number;
}

/** Reads an ONNX file's graph; throws `format-refused` where it is malformed. */
export async function readOnnx(handle: FileHandle): Promise<OnnxFacts> {
  const { size } = await handle.stat();
  const reader = new FileReader(handle);
  const facts = { inputs: [] as string[], outputs: [] as string[], files: new Set<string>() };
  let producer: string | undefined;
  let graphName: string | undefined;
  let parameters = 0;
  let graphs = 0;
  for await (const field of reader.fields(0, size)) {
    if (field.number === model.producer) producer = await reader.text(field);
    if (field.number !== model.graph || field.wire !== 2) continue;
    graphs += 1;
    for await (const part of reader.fields(field.at, field.at + field.value)) {
      if (part.number === graph.name) graphName = await reader.text(part);
      if (part.number === graph.input) facts.inputs.push(await reader.firstText(part));
      if (part.number === graph.output) facts.outputs.push(await reader.firstText(part));
      if (part.number === graph.initializer) parameters += await reader.tensor(part, facts.files);
    }
  }
  if (graphs === 0) throw malformed("has no graph");
  const { inputs, outputs, files } = facts;
  return { graphName, producer, parameters, inputs, outputs, externalFiles: [...files] };
}

/** Reads protobuf fields at any place of a file without loading it. */
class FileReader {
  readonly #handle: FileHandle;
  readonly #window = Buffer.allocUnsafe(windowBytes);
  #start = 0;
  #length = 0;
  #fields = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async *fields(from: number, until: number): AsyncGenerator<Field> {
    let at = from;
    while (at < until) {
      this.#fields += 1;
      if (this.#fields > fieldsMax) throw malformed("has too many fields");
      const key = await this.#varint(at);
      at += key.bytes;
      const number = Math.floor(key.value / 8);
      const wire = key.value % 8;
      if (wire === 0) {
        const { value, bytes } = await this.#varint(at);
        at += bytes;
        yield { number, wire, value, at };
      } else if (wire === 2) {
        const { value, bytes } = await this.#varint(at);
        at += bytes;
        if (at + value > until) throw malformed("is cut off");
        yield { number, wire, value, at };
        at += value;
      } else if (wire === 1 || wire === 5) at += wire === 1 ? 8 : 4;
      else throw malformed("is no protobuf message");
    }
  }

  async text(field: Field): Promise<string> {
    if (field.wire !== 2 || field.value > partBytesMax) throw malformed("has an absurd text");
    const bytes = Buffer.alloc(field.value);
    await this.#handle.read(bytes, 0, field.value, field.at);
    return bytes.toString("utf8");
  }

  /** The name of an input or output: its first field. */
  async firstText(field: Field): Promise<string> {
    for await (const inner of this.fields(field.at, field.at + field.value)) {
      if (inner.number === 1) return await this.text(inner);
    }
    return "";
  }

  /** How many elements a tensor has; notes the file that it lies in, if not in this one. */
  async tensor(field: Field, files: Set<string>): Promise<number> {
    let elements = 1;
    for await (const inner of this.fields(field.at, field.at + field.value)) {
      if (inner.number === tensor.dimension) elements *= await this.#dimensions(inner);
      if (inner.number !== tensor.externalData) continue;
      const words: string[] = [];
      for await (const word of this.fields(inner.at, inner.at + inner.value)) {
        words.push(await this.text(word));
      }
      // An engine opens what stands here: a path outside the model could read any file.
      if (words[0] === "location") files.add(checkFilePath(words[1] ?? ""));
    }
    return elements;
  }

  /** One dimension, or several in packed form. */
  async #dimensions(field: Field): Promise<number> {
    if (field.wire === 0) return field.value;
    let product = 1;
    for (let at = field.at; at < field.at + field.value;) {
      const { value, bytes } = await this.#varint(at);
      product *= value;
      at += bytes;
    }
    return product;
  }

  async #varint(at: number): Promise<{ value: number; bytes: number }> {
    let value = 0;
    for (let bytes = 0; bytes < 8; bytes += 1) {
      const byte = await this.#byte(at + bytes);
      value += (byte & 0x7f) * 2 ** (7 * bytes);
      if (byte < 0x80) return { value, bytes: bytes + 1 };
    }
    throw malformed("has an absurd number");
  }

  async #byte(at: number): Promise<number> {
    if (at < this.#start || at >= this.#start + this.#length) {
      const { bytesRead } = await this.#handle.read(this.#window, 0, windowBytes, at);
      this.#start = at;
      this.#length = bytesRead;
      if (bytesRead === 0) throw malformed("is cut off");
    }
    return this.#window[at - this.#start] as number;
  }
}

function malformed(what: string): LakeError {
  return new LakeError("format-refused", `The ONNX file ${what}.`, {
    advice: "Check that the download was complete.",
  });
}
