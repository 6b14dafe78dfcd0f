export * from "./chain-client.ts";
export * from "./node-directory.ts";
export * from "./read-blocks.ts";
export * from "./read-deployment.ts";
export * from "./router-chain.ts";
