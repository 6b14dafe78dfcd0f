export { type ModelToServe } from "./model-shelf.ts";
export { type ProviderFacts, ProviderNode, type ProviderNodeOptions } from "./provider-node.ts";
export { LlamaEngine, type LlamaEngineOptions } from "./engine/llama-engine.ts";
export { type MeasuredSpeed, measureSpeed } from "./engine/measure-speed.ts";
