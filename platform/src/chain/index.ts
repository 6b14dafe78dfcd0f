export * from "./chain-client.ts";
export * from "./model-names.ts";
export * from "./node-directory.ts";
export * from "./read-blocks.ts";
export * from "./read-deployment.ts";
export * from "./router-chain.ts";
