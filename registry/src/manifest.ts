import { LakeError, isHex, type Hex, type ModelKind } from "@lake-travis/protocol";
import type { CID } from "multiformats/cid";
import { contentId, parseContentId, sha256 } from "./content-id.ts";
import { limits } from "./limits.ts";

// A CNCF ModelPack artifact (github.com/modelpack/model-spec) in an OCI image manifest: config and
// layers with media type, size and SHA-256 digest. Two things are ours, as OCI annotations: the
// CIDv1 of each layer, and what a Provider needs to serve the model. The config travels inside
// the manifest (OCI's `data` field), so that one block tells everything about a model.

/** Media types of ModelPack layers that hold one file as it is; archives are refused. */
export const layerMediaTypes = {
  weight: "application/vnd.cncf.model.weight.v1.raw",
  weightConfig: "application/vnd.cncf.model.weight.config.v1.raw",
  doc: "application/vnd.cncf.model.doc.v1.raw",
  code: "application/vnd.cncf.model.code.v1.raw",
} as const;

/** What a layer is for. */
export type LayerRole = keyof typeof layerMediaTypes;

const manifestMediaType = "application/vnd.oci.image.manifest.v1+json";
const artifactType = "application/vnd.cncf.model.manifest.v1+json";
const configMediaType = "application/vnd.cncf.model.config.v1+json";
const filePathKey = "org.cncf.model.filepath";
const ours = "network.laketravis.";

/** What a model is for: it decides which requests it answers and which engine runs it. */
export type ModelTask = "text-generation" | "embedding" | "classification" | "agent" | "other";

/** One file of a model. */
export interface Layer {
  readonly role: LayerRole;
  /** Relative path with `/`, checked by {@link checkFilePath}. */
  readonly path: string;
  readonly bytes: number;
  readonly digest: Hex;
  readonly root: CID;
}

/** What a machine needs to serve a model. */
export interface ModelNeeds {
  /** `llama.cpp`, `onnxruntime`, `openai-compatible` or another engine's name. */
  readonly engine: string;
  /** Bytes of memory with a context of moderate length. */
  readonly ramBytes: number;
  /** Bytes of accelerator memory for full speed; 0 where a processor is enough. */
  readonly vramBytes: number;
  /** Instruction sets without which the engine does not start, such as `avx2`. */
  readonly instructionSets: readonly string[];
}

/** What a manifest says about a model, beside its files. */
export interface ModelFacts {
  readonly kind: ModelKind;
  readonly task: ModelTask;
  /** `gguf`, `onnx`, `safetensors`, `agent`. */
  readonly format: string;
  readonly architecture?: string;
  readonly parameters?: number;
  readonly quantisation?: string;
  readonly contextLength?: number;
  readonly tokenizer?: string;
  readonly licence?: string;
  readonly title?: string;
  readonly description?: string;
  /** For an agent: handle of its base model, and the digest of that model's manifest. */
  readonly baseModel?: string;
  readonly baseDigest?: Hex;
  readonly needs: ModelNeeds;
}

/** A manifest as this code works with it. */
export interface Manifest {
  readonly facts: ModelFacts;
  readonly layers: readonly Layer[];
  /** The bytes whose SHA-256 is the manifest digest. */
  readonly bytes: Uint8Array;
  readonly digest: Hex;
  readonly cid: CID;
}

/**
 * Writes the manifest of a model. The same files and facts give the same bytes, so publishing
 * twice gives one version.
 *
 * Throws `manifest-invalid` where the result would not be read back.
 */
export function buildManifest(facts: ModelFacts, layers: readonly Layer[]): Manifest {
  const config = Buffer.from(JSON.stringify(configOf(facts, layers)));
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestMediaType,
    artifactType,
    config: {
      mediaType: configMediaType,
      digest: ociDigest(toHexDigest(config)),
      size: config.length,
      data: config.toString("base64"),
    },
    layers: layers.map((layer) => ({
      mediaType: layerMediaTypes[layer.role],
      digest: ociDigest(layer.digest),
      size: layer.bytes,
      annotations: { [filePathKey]: layer.path, [`${ours}cid`]: layer.root.toString() },
    })),
    annotations: annotationsOf(facts),
  };
  return parseManifest(Buffer.from(JSON.stringify(manifest)));
}

/**
 * Reads a manifest; unknown fields are ignored, everything used is checked.
 *
 * Throws `manifest-invalid` with the reason, before anything is written anywhere; `format-refused`
 * for archives and for formats that can carry code, such as pickle.
 */
export function parseManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > limits.manifestBytesMax) throw invalid("It is larger than 1 MiB.");
  const document = objectOf(parseJson(bytes), "It");
  if (document["schemaVersion"] !== 2) throw invalid("Its schemaVersion is not 2.");
  if (document["artifactType"] !== artifactType) {
    throw invalid(`Its artifactType is not ${artifactType}.`);
  }
  const layers = layersOf(document["layers"]);
  const config = readConfig(objectOf(document["config"], "Its config"));
  const facts = factsOf(annotationsIn(document["annotations"], "It"), config);
  const digest = sha256(bytes);
  const cid = contentId("raw", digest);
  return { facts, layers, bytes, digest: toHexDigest(bytes), cid };
}

/** The layer that an engine opens: the first file of weights; undefined for an agent. */
export function weightsOf(manifest: Manifest): Layer | undefined {
  return manifest.layers.find((layer) => layer.role === "weight");
}

/** All bytes of a model's files. */
export function modelBytes(manifest: Manifest): number {
  return manifest.layers.reduce((sum, layer) => sum + layer.bytes, 0);
}

/**
 * Returns the path of a file inside a model if it is safe to write; throws `manifest-invalid`.
 *
 * Plain ASCII letters, digits and `._+-=` only: no look-alike letters, no control or escape
 * characters, no `..`, no absolute or Windows paths, no hidden files, no device names.
 */
export function checkFilePath(path: string): string {
  const segments = path.split("/");
  const isSafe =
    path.length <= limits.filePathMax &&
    segments.length <= limits.filePathDepthMax &&
    segments.every(
      (segment) =>
        /^[A-Za-z0-9_][A-Za-z0-9._+=-]*$/.test(segment) &&
        !segment.endsWith(".") &&
        !windowsDevice.test(segment),
    );
  if (isSafe) return path;
  const shown = JSON.stringify(path.slice(0, limits.filePathMax));
  throw invalid(`The file path ${shown} is not a plain relative one.`);
}

/** Throws `format-refused` for a file whose format can carry code, by its name. */
export function refuseExecutable(path: string): void {
  const extension = /\.[^./]+$/.exec(path.toLowerCase())?.[0] ?? "";
  if (!pickleExtensions.has(extension)) return;
  throw new LakeError("format-refused", `${path} is a pickle file, which can run code.`, {
    advice: "Convert it to safetensors or GGUF; nothing in a model may be executed.",
  });
}

const pickleExtensions = new Set([
  ".pkl",
  ".pickle",
  ".pt",
  ".pth",
  ".ckpt",
  ".bin",
  ".joblib",
  ".dill",
  ".npy",
  ".npz",
  ".h5",
  ".keras",
  ".mar",
]);

// Windows opens a device for these names whatever their extension.
const windowsDevice = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

function configOf(facts: ModelFacts, layers: readonly Layer[]): object {
  const text = facts.task === "text-generation" || facts.task === "agent";
  return {
    descriptor: dropUndefined({
      title: facts.title,
      description: facts.description,
      licenses: facts.licence === undefined ? undefined : [facts.licence],
    }),
    config: dropUndefined({
      architecture: facts.architecture,
      format: facts.format,
      paramSize: facts.parameters?.toString(),
      quantization: facts.quantisation,
      capabilities: text ? { inputTypes: ["text"], outputTypes: ["text"] } : undefined,
    }),
    modelfs: { type: "layers", diffIds: layers.map((layer) => ociDigest(layer.digest)) },
  };
}

function annotationsOf(facts: ModelFacts): Record<string, string> {
  const { needs } = facts;
  const values = dropUndefined({
    kind: facts.kind,
    task: facts.task,
    contextLength: facts.contextLength?.toString(),
    tokenizer: facts.tokenizer,
    baseModel: facts.baseModel,
    baseDigest: facts.baseDigest,
    "needs.engine": needs.engine,
    "needs.ramBytes": needs.ramBytes.toString(),
    "needs.vramBytes": needs.vramBytes.toString(),
    "needs.instructionSets": needs.instructionSets.join(" "),
  });
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [ours + key, value]));
}

function factsOf(annotations: Record<string, string>, config: Json): ModelFacts {
  const own = (key: string): string | undefined => annotations[ours + key];
  const model = objectOf(config["config"], "Its model config");
  const descriptor = objectOf(config["descriptor"] ?? {}, "Its descriptor");
  const licenses: unknown = descriptor["licenses"];
  const kind = own("kind");
  if (kind !== "model" && kind !== "agent") throw invalid("Its kind is neither model nor agent.");
  const baseDigest = own("baseDigest");
  if (baseDigest !== undefined && !isHex(baseDigest, 32)) throw invalid("Its base is no digest.");
  return dropUndefined({
    kind,
    task: taskOf(own("task")),
    format: textOf(model["format"]) ?? "",
    architecture: textOf(model["architecture"]),
    parameters: numberOf(textOf(model["paramSize"])),
    quantisation: textOf(model["quantization"]),
    contextLength: numberOf(own("contextLength")),
    tokenizer: own("tokenizer"),
    licence: Array.isArray(licenses) ? textOf(licenses[0]) : undefined,
    title: textOf(descriptor["title"]),
    description: textOf(descriptor["description"]),
    baseModel: own("baseModel"),
    baseDigest,
    needs: {
      engine: own("needs.engine") ?? "",
      ramBytes: numberOf(own("needs.ramBytes")) ?? 0,
      vramBytes: numberOf(own("needs.vramBytes")) ?? 0,
      instructionSets: (own("needs.instructionSets") ?? "")
        .split(" ")
        .filter((name) => name !== ""),
    },
  }) as ModelFacts;
}

function layersOf(value: unknown): Layer[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid("It has no layers.");
  if (value.length > limits.layersMax) throw invalid(`It has ${value.length} layers.`);
  const layers = value.map((layer: unknown, at) => layerOf(objectOf(layer, `Layer ${at}`), at));
  // Case-insensitive file systems would write two of them into one file.
  const paths = new Set(layers.map((layer) => layer.path.toLowerCase()));
  if (paths.size !== layers.length) throw invalid("Two layers have one file path.");
  for (const path of paths) {
    const isFolderToo = [...paths].some((other) => other.startsWith(`${path}/`));
    if (isFolderToo) throw invalid(`The path ${path} is both a file and a folder.`);
  }
  const total = layers.reduce((sum, layer) => sum + layer.bytes, 0);
  if (total > limits.modelBytesMax) throw invalid(`Its files have ${total} bytes.`);
  return layers;
}

function layerOf(layer: Json, at: number): Layer {
  const role = roleOf(textOf(layer["mediaType"]), at);
  const annotations = annotationsIn(layer["annotations"], `Layer ${at}`);
  const path = checkFilePath(annotations[filePathKey] ?? "");
  refuseExecutable(path);
  const bytes = layer["size"];
  if (!Number.isSafeInteger(bytes) || (bytes as number) < 0) {
    throw invalid(`Layer ${at} has no size.`);
  }
  if ((bytes as number) > limits.layerBytesMax)
    throw invalid(`Layer ${at} has ${String(bytes)} bytes.`);
  const digest = /^sha256:([0-9a-f]{64})$/.exec(textOf(layer["digest"]) ?? "")?.[1];
  if (digest === undefined) throw invalid(`Layer ${at} has no SHA-256 digest.`);
  const cid = annotations[`${ours}cid`];
  if (cid === undefined) throw invalid(`Layer ${at} has no CID.`);
  const root = parseContentId(cid);
  return { role, path, bytes: bytes as number, digest: `0x${digest}`, root };
}

function roleOf(mediaType: string | undefined, at: number): LayerRole {
  for (const [role, known] of Object.entries(layerMediaTypes)) {
    if (mediaType === known) return role as LayerRole;
  }
  if (mediaType?.includes(".tar") === true) {
    throw new LakeError("format-refused", `Layer ${at} is an archive (${mediaType}).`, {
      advice: "Publish the files themselves: archives cannot be checked before they are unpacked.",
    });
  }
  throw invalid(`Layer ${at} has the unknown media type ${mediaType?.slice(0, 80)}.`);
}

function readConfig(config: Json): Json {
  if (config["mediaType"] !== configMediaType) throw invalid("Its config has a wrong media type.");
  const data = textOf(config["data"]);
  if (data === undefined) throw invalid("Its config is not embedded.");
  const bytes = Buffer.from(data, "base64");
  const isRight =
    config["size"] === bytes.length && config["digest"] === ociDigest(toHexDigest(bytes));
  if (!isRight) throw invalid("Its config does not match its digest.");
  return objectOf(parseJson(bytes), "Its config");
}

function taskOf(text: string | undefined): ModelTask {
  switch (text) {
    case "text-generation":
    case "embedding":
    case "classification":
    case "agent":
      return text;
    default:
      return "other";
  }
}

type Json = Record<string, unknown>;

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new LakeError("manifest-invalid", "The manifest is not JSON.", { cause });
  }
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw invalid(`${what} is not an object.`);
}

function annotationsIn(value: unknown, what: string): Record<string, string> {
  const entries = Object.entries(objectOf(value ?? {}, `The annotations of ${what}`));
  if (entries.length > limits.annotationsMax) throw invalid(`${what} has too many annotations.`);
  for (const [, text] of entries) {
    if (typeof text !== "string" || text.length > limits.annotationLengthMax) {
      throw invalid(`${what} has an annotation that is no short text.`);
    }
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

function textOf(value: unknown): string | undefined {
  if (typeof value !== "string" || value.length > limits.annotationLengthMax) return undefined;
  return value;
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,15}$/.test(text)) return undefined;
  return Number(text);
}

function ociDigest(digest: Hex): string {
  return `sha256:${digest.slice(2)}`;
}

function toHexDigest(bytes: Uint8Array): Hex {
  return `0x${Buffer.from(sha256(bytes)).toString("hex")}`;
}

type Defined<T> = { [Key in keyof T]: Exclude<T[Key], undefined> };

function dropUndefined<T extends object>(value: T): Partial<Defined<T>> {
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries) as Partial<Defined<T>>;
}

function invalid(sentence: string): LakeError {
  return new LakeError("manifest-invalid", `The manifest is refused. ${sentence}`, {
    advice: "Ask the model's Builder to publish it again.",
  });
}
