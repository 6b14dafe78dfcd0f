export type { Effect, RouterEvent } from "./core/events.ts";
export { createState, type RouterState } from "./core/state.ts";
export { stateHash } from "./core/state-hash.ts";
export { step, type Step } from "./core/step.ts";
export { readRouterFlags, type RouterFlags } from "./router-flags.ts";
export { type RouterFacts, RouterNode, type RouterOptions } from "./router-node.ts";
