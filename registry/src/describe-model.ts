import { open, readFile, type FileHandle } from "node:fs/promises";
import { LakeError, type Hex, type ModelKind } from "@lake-travis/protocol";
import type { ModelFacts, ModelNeeds, ModelTask } from "./manifest.ts";
import { readGguf } from "./read-gguf.ts";
import { readOnnx } from "./read-onnx.ts";
import { readSafetensors } from "./read-safetensors.ts";

/** What the Builder says beside what the files say. */
export interface BuilderWords {
  readonly kind: ModelKind;
  readonly task?: ModelTask;
  readonly title?: string;
  readonly description?: string;
  readonly licence?: string;
  /** For an agent: handle of the base model, and the digest of its manifest. */
  readonly baseModel?: string;
  readonly baseDigest?: Hex;
}

/** A file of a model that is about to be published. */
export interface ModelFile {
  /** Path inside the model. */
  readonly path: string;
  /** Path on this disk. */
  readonly source: string;
  readonly bytes: number;
}

type FileFacts = Omit<ModelFacts, "kind">;

/** What an engine takes beside weights and cache: code, scratch buffers, the vocabulary. */
const engineBytes = 96 * 1024 * 1024;
/** The context that `ramBytes` counts on, where the model has one so long. */
const usualContext = 4096;
/** From this size on a processor is too slow to be useful: ten tokens a second at 20 GB/s. */
const acceleratorBytes = 2 * 1024 * 1024 * 1024;

/**
 * Reads what a model's files say about it: architecture, parameters, quantisation, context,
 * tokenizer, licence, and from those what a machine needs to serve it.
 *
 * Throws `format-refused` where the weights are malformed, or in a format that may carry code.
 */
export async function describeModel(
  files: readonly ModelFile[],
  words: BuilderWords,
): Promise<ModelFacts> {
  const facts = words.kind === "agent" ? agentFacts() : await weightFacts(files);
  const { baseModel, baseDigest, ...said } = words;
  return {
    ...facts,
    ...said,
    ...(baseModel === undefined ? {} : { baseModel }),
    ...(baseDigest === undefined ? {} : { baseDigest }),
  };
}

async function weightFacts(files: readonly ModelFile[]): Promise<FileFacts> {
  const gguf = files.find((file) => file.path.toLowerCase().endsWith(".gguf"));
  if (gguf !== undefined) return await withHandle(gguf, (handle) => ggufFacts(handle, files));
  const onnx = files.find((file) => file.path.toLowerCase().endsWith(".onnx"));
  if (onnx !== undefined) return await withHandle(onnx, (handle) => onnxFacts(handle, files));
  if (files.some(isSafetensors)) return await safetensorsFacts(files);
  throw new LakeError("format-refused", "No file of weights was found.", {
    advice: "Publish a .gguf, .onnx or .safetensors file, or a folder with one, or --kind agent.",
  });
}

async function ggufFacts(handle: FileHandle, files: readonly ModelFile[]): Promise<FileFacts> {
  const read = await readGguf(handle);
  const weights = sum(files.filter((file) => file.path.toLowerCase().endsWith(".gguf")));
  const context = Math.min(read.contextLength ?? usualContext, usualContext);
  const memory = Math.ceil(weights + context * read.cacheBytesPerToken + engineBytes);
  return defined({
    task: "text-generation" as const,
    format: "gguf",
    architecture: read.architecture,
    parameters: read.parameters,
    quantisation: read.quantisation,
    contextLength: read.contextLength,
    tokenizer: read.tokenizer,
    licence: read.licence,
    title: read.name,
    description: read.description,
    needs: needs("llama.cpp", memory),
  }) as FileFacts;
}

async function onnxFacts(handle: FileHandle, files: readonly ModelFile[]): Promise<FileFacts> {
  const read = await readOnnx(handle);
  const paths = new Set(files.map((file) => file.path));
  const absent = read.externalFiles.filter((path) => !paths.has(path));
  if (absent.length > 0) {
    throw new LakeError("format-refused", `The ONNX file needs ${absent[0]}, which is not here.`, {
      advice: "Publish the folder with all its weights.",
    });
  }
  return defined({
    task: "classification" as const,
    format: "onnx",
    architecture: read.graphName,
    parameters: read.parameters,
    needs: needs("onnxruntime", sum(files) * 2 + engineBytes),
  }) as FileFacts;
}

async function safetensorsFacts(files: readonly ModelFile[]): Promise<FileFacts> {
  let parameters = 0;
  let precision: string | undefined;
  for (const file of files.filter(isSafetensors)) {
    const read = await withHandle(file, readSafetensors);
    parameters += read.parameters;
    precision ??= read.precision;
  }
  const config = await readConfig(files.find((file) => file.path === "config.json"));
  const weights = sum(files.filter(isSafetensors));
  return defined({
    task: "text-generation" as const,
    format: "safetensors",
    architecture: config.architecture,
    parameters,
    quantisation: precision,
    contextLength: config.contextLength,
    tokenizer: files.some((file) => file.path === "tokenizer.json") ? "tokenizer.json" : undefined,
    needs: needs("openai-compatible", Math.ceil(weights * cacheFactor) + engineBytes),
  }) as FileFacts;
}

/** Cache and activations beside safetensors weights, as vLLM's own default leaves for them. */
const cacheFactor = 1.2;
/** A `config.json` is a few kilobytes. */
const configBytesMax = 1024 * 1024;

async function readConfig(
  file: ModelFile | undefined,
): Promise<{ architecture?: string; contextLength?: number }> {
  if (file === undefined || file.bytes > configBytesMax) return {};
  let config: unknown;
  try {
    config = JSON.parse(await readFile(file.source, "utf8"));
  } catch (cause) {
    throw new LakeError("format-refused", "The config.json is not JSON.", { cause });
  }
  const { model_type: type, max_position_embeddings: context } = Object(config) as Record<
    string,
    unknown
  >;
  return {
    ...(typeof type === "string" ? { architecture: type.slice(0, 100) } : {}),
    ...(Number.isSafeInteger(context) ? { contextLength: context as number } : {}),
  };
}

function isSafetensors(file: ModelFile): boolean {
  return file.path.toLowerCase().endsWith(".safetensors");
}

function agentFacts(): FileFacts {
  return { task: "agent", format: "agent", needs: needs("", 0) };
}

function needs(engine: string, ramBytes: number): ModelNeeds {
  return {
    engine,
    ramBytes,
    vramBytes: ramBytes >= acceleratorBytes ? ramBytes : 0,
    // The engines choose at run time among what the processor has; none is needed to start.
    instructionSets: [],
  };
}

async function withHandle<Result>(
  file: ModelFile,
  read: (handle: FileHandle) => Promise<Result>,
): Promise<Result> {
  const handle = await open(file.source, "r");
  try {
    return await read(handle);
  } finally {
    await handle.close();
  }
}

function sum(files: readonly ModelFile[]): number {
  return files.reduce((total, file) => total + file.bytes, 0);
}

function defined<T extends object>(value: T): Partial<T> {
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries) as Partial<T>;
}
