import type { Clock } from "@lake-travis/protocol";
import { ChildEngine } from "./child-engine.ts";
import type { LlamaEngineOptions } from "./llama-engine.ts";

/** llama.cpp in a process of its own, so that its crash is not the Provider's. */
export function createLlamaChild(options: LlamaEngineOptions, clock: Clock): ChildEngine {
  return new ChildEngine(
    { module: new URL("./llama-engine.ts", import.meta.url).href, options },
    clock,
  );
}
