import { pathToFileURL } from "node:url";
import { type Clock, LakeError } from "@lake-travis/protocol";
import { ChildEngine } from "./child-engine.ts";
import type { EngineSpec } from "./engine-wire.ts";

/** What an engine is given of a model, whichever engine it is. */
export interface EngineChildOptions {
  /** The file with the weights: `.gguf` or `.onnx`, or what a package of its own reads. */
  readonly modelPath: string;
  readonly slots: number;
  /** Tokens of each slot; the model's own length where it is absent. */
  readonly contextLength?: number;
  /** `auto` uses a GPU where the engine finds one. */
  readonly gpu?: "auto" | false;
  /** An npm package that exports `createEngine(options)`; else the file's ending decides. */
  readonly package?: EnginePackage;
}

/** A further engine, by the name of its npm package. */
export interface EnginePackage {
  readonly name: string;
  /** The folder under whose `node_modules` it is installed. */
  readonly folder: string;
}

/** An npm package's name, with its scope and an entry within it where there are any. */
const packageNamePattern = /^(@[a-z0-9-~][a-z0-9-._~]*\/)?[a-z0-9-~][a-z0-9-._~]*(\/[\w./-]+)?$/;

/**
 * An engine in a process of its own, so that its crash is not the Provider's: llama.cpp for GGUF,
 * ONNX Runtime for ONNX, or a package's. Throws `format-refused` for other files and
 * `argument-invalid` for a package name that is none.
 */
export function createEngineChild(options: EngineChildOptions, clock: Clock): ChildEngine {
  return new ChildEngine(specOf(options), clock);
}

function specOf(options: EngineChildOptions): EngineSpec {
  const { package: foreign, ...given } = options;
  const { modelPath } = given;
  if (foreign !== undefined) {
    if (!packageNamePattern.test(foreign.name)) {
      throw new LakeError("argument-invalid", `'${foreign.name}' is no npm package's name.`);
    }
    const resolveFrom = pathToFileURL(`${foreign.folder}/`).href;
    return { module: foreign.name, resolveFrom, options: given, modelPath };
  }
  const module = /\.gguf$/i.test(modelPath)
    ? new URL("./llama-engine.ts", import.meta.url)
    : /\.onnx$/i.test(modelPath)
      ? new URL("./onnx-engine.ts", import.meta.url)
      : undefined;
  if (module === undefined) {
    throw new LakeError("format-refused", "No engine here reads this model's weights.", {
      advice: "Serve it by a server's URL, or by an engine's npm package.",
    });
  }
  return { module: module.href, options: given, modelPath };
}
